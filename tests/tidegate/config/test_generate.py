import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from tidegate.config.generate import HIDDEN, default_toml, documentation, effective_toml
from tidegate.config.load import load
from tidegate.config.model import AuthConfig, Config, HttpConfig, StoreConfig
from tidegate.config.schema import SETTINGS

ROOT = Path(__file__).parents[3]


def test_the_file_in_the_repository_is_current():
    """After a change of the model: python -m tidegate.config.generate > config/tidegate.toml"""
    assert (ROOT / "config" / "tidegate.toml").read_text() == default_toml()


def test_the_default_file_loads_to_the_defaults(tmp_path):
    file = tmp_path / "tidegate.toml"
    file.write_text(default_toml())
    assert load(file=file) == Config()


@pytest.mark.parametrize("path", SETTINGS)
def test_every_setting_is_documented(path):
    setting = SETTINGS[path]
    assert len(documentation(setting.owner).get(setting.name, "")) > 10


def test_the_effective_configuration_is_toml_without_secrets():
    secret, url = "topsecret" * 4, "postgresql+asyncpg://u:password@h/d"
    config = replace(Config(), auth=AuthConfig(api_key="key", api_secret=secret), store=StoreConfig(url=url))
    text = effective_toml(replace(config, http=HttpConfig(port=81)))
    assert secret not in text and "password" not in text
    shown = tomllib.loads(text)
    assert shown["auth"]["api_secret"] == shown["store"]["url"] == HIDDEN
    assert shown["http"]["port"] == 81
    assert "port = 81  # set" in text
    assert "port = 7882\n" in text


def test_quotes_and_backslashes_survive(tmp_path):
    config = replace(Config(), data_dir=Path('/tmp/a "b" \\c ü'))
    assert tomllib.loads(effective_toml(config))["data_dir"] == str(config.data_dir)
