from dataclasses import fields, is_dataclass

import pytest

from media.errors import ConfigError
from tidegate.config.model import Config
from tidegate.config.schema import SETTINGS, TABLES, value_of


def test_every_field_of_every_table_is_a_setting():
    wanted = {item.name for item in fields(Config) if item.name not in TABLES}
    wanted |= {f"{table}.{item.name}" for table, kind in TABLES.items() for item in fields(kind)}
    assert set(SETTINGS) == wanted
    assert all(is_dataclass(kind) for kind in TABLES.values())


def test_every_setting_has_its_default_and_is_found_in_a_config():
    assert {path: value_of(Config(), path) for path in SETTINGS} == {path: item.default for path, item in SETTINGS.items()}


def test_no_two_settings_share_a_variable():
    names = [name for item in SETTINGS.values() for name in item.env_names]
    assert len(names) == len(set(names))


def test_flags_and_variables_have_the_same_name():
    """`--announce-ip` is TIDEGATE_ANNOUNCE_IP, and so on: what the README promises."""
    flags = "data-dir host http-port rtc-port rtmp-port announce-ip public-url trusted-proxy tls-cert tls-key drain-timeout"
    names = {name for item in SETTINGS.values() for name in item.env_names}
    for flag in [*flags.split(), "dev", "log-format", "log-level"]:
        assert "TIDEGATE_" + flag.replace("-", "_").upper() in names


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("http.port", "0", 0),
        ("http.port", "65535", 65535),
        ("drain_timeout", "1.5", 1.5),
        ("drain_timeout", "0", 0.0),
        ("dev", "TRUE", True),
        ("dev", "off", False),
        ("rtc.announce_ips", " 192.0.2.1 ,,2001:db8::1", ("192.0.2.1", "2001:db8::1")),
        ("log.format", "json", "json"),
        ("auth.api_key", "key", "key"),
    ],
)
def test_a_text_becomes_a_value(path, text, value):
    got = SETTINGS[path].from_text(text)
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("http.port", "-1"),
        ("http.port", "65536"),
        ("http.port", "8080.5"),
        ("drain_timeout", "-0.1"),
        ("drain_timeout", "nan"),
        ("drain_timeout", "inf"),
        ("sfu.max_rooms", "0"),
        ("dev", "maybe"),
        ("log.format", "yaml"),
    ],
)
def test_a_text_that_is_no_value_is_refused(path, text):
    with pytest.raises(ConfigError) as caught:
        SETTINGS[path].from_text(text)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("http.port", "8080"),
        ("http.port", True),
        ("http.port", 1.5),
        ("drain_timeout", "5"),
        ("drain_timeout", True),
        ("dev", 1),
        ("http.host", 1),
        ("rtc.announce_ips", "192.0.2.1"),
        ("rtc.announce_ips", [1]),
        ("log.format", 1),
        ("data_dir", 1),
    ],
)
def test_a_toml_value_of_another_type_is_refused(path, value):
    with pytest.raises(ConfigError) as caught:
        SETTINGS[path].from_toml(value)
    assert caught.value.path == path
