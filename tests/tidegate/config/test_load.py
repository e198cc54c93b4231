from pathlib import Path

import pytest

from media.errors import ConfigError
from tidegate.config.load import load


@pytest.fixture
def toml(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "tidegate.toml"
        path.write_text(text)
        return path

    return write


def test_nothing_given_is_the_defaults():
    config = load()
    assert config.http.port == 8080
    assert config.data_dir == Path("tidegate-data")


def test_flags_go_before_environment_before_file_before_defaults(toml):
    file = toml("drain_timeout = 9\n[http]\nport = 1\nhost = '127.0.0.2'\n[rtc]\nport = 2\n")
    environ = {"TIDEGATE_HTTP_PORT": "11", "TIDEGATE_RTC_PORT": "12"}
    config = load(file=file, environ=environ, flags={"http.port": 21, "rtc.port": None})
    assert (config.http.port, config.rtc.port, config.http.host) == (21, 12, "127.0.0.2")
    assert config.drain_timeout == 9.0
    assert config.rtmp.port == 1935


def test_the_environment_may_name_the_file(toml):
    file = toml("[http]\nport = 1\n")
    assert load(environ={"TIDEGATE_CONFIG": str(file)}).http.port == 1


@pytest.mark.parametrize(
    ("text", "path", "hint"),
    [
        ("drain_timout = 5\n", "drain_timout", "did you mean drain_timeout?"),
        ("[http]\nprot = 80\n", "http.prot", "did you mean http.port?"),
        ("[htpp]\nport = 80\n", "htpp", "did you mean http?"),
        ("port = 80\n", "port", "did you mean"),
        ("public_url = 'https://x'\n", "public_url", "did you mean http.public_url?"),
        ("[sfu]\nqqqqqqqqqqqq = 1\n", "sfu.qqqqqqqqqqqq", "unknown key"),
        ("http = 80\n", "http", "is a table"),
        ("[data_dir]\nx = 1\n", "data_dir", "must be"),
        ("[http]\nport = 'x'\n", "http.port", "must be a whole number, not a text"),
    ],
)
def test_a_wrong_key_is_named_with_its_path_and_the_nearest_known_one(toml, text, path, hint):
    file = toml(text)
    with pytest.raises(ConfigError) as caught:
        load(file=file)
    assert caught.value.path == path
    assert hint in caught.value.reason
    assert str(file) in caught.value.reason


def test_a_file_that_cannot_be_read_is_named(tmp_path, toml):
    for file in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(ConfigError) as caught:
            load(file=file)
        assert caught.value.path == str(file)
    with pytest.raises(ConfigError, match="is not TOML"):
        load(file=toml("a = = b"))


def test_a_misspelt_variable_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="TIDEGATE_HTPP_PORT: unknown variable; did you mean TIDEGATE_HTTP_PORT"):
        load(environ={"TIDEGATE_HTPP_PORT": "80"})


def test_a_wrong_variable_names_the_setting_and_itself():
    with pytest.raises(ConfigError, match=r"http\.port: 'x' is not a whole number \(from TIDEGATE_HTTP_PORT\)"):
        load(environ={"TIDEGATE_HTTP_PORT": "x"})


def test_two_names_of_one_setting_may_not_both_be_given():
    with pytest.raises(ConfigError, match="TIDEGATE_HOST and TIDEGATE_HTTP_HOST"):
        load(environ={"TIDEGATE_HOST": "::1", "TIDEGATE_HTTP_HOST": "127.0.0.1"})


def test_an_empty_variable_is_as_good_as_none():
    assert load(environ={"TIDEGATE_HTTP_PORT": "", "TIDEGATE_HOST": ""}).http.port == 8080


def test_variables_of_others_are_left_alone():
    environ = {
        "TIDEGATE_TOKEN": "x",
        "TIDEGATE_PORT": "tcp://10.0.0.1:8080",  # Kubernetes, for a service named tidegate
        "TIDEGATE_SERVICE_HOST": "10.0.0.1",
        "TIDEGATE_PORT_8080_TCP_ADDR": "10.0.0.1",
        "TIDEGATE_TEST_POSTGRES": "x",
        "PATH": "/bin",
    }
    assert load(environ=environ) == load()


def test_a_secret_comes_by_the_environment():
    config = load(environ={"TIDEGATE_API_KEY": "key", "TIDEGATE_API_SECRET": "x" * 40})
    assert (config.auth.api_key, config.auth.api_secret) == ("key", "x" * 40)


def test_the_outgoing_list_is_comma_separated_networks():
    assert load(environ={"TIDEGATE_OUTGOING_ALLOW": "127.0.0.0/8,10.1.2.3"}).outgoing.allow == ("127.0.0.0/8", "10.1.2.3")


def test_what_is_wrong_together_is_found_here():
    with pytest.raises(ConfigError, match=r"http\.tls_key"):
        load(environ={"TIDEGATE_TLS_CERT": "a.pem"})


def test_a_flag_out_of_bounds_is_refused():
    with pytest.raises(ConfigError, match=r"http\.port: 99999"):
        load(flags={"http.port": 99999})
