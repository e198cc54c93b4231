from dataclasses import replace

import pytest

from media.errors import ConfigError
from tidegate.config.model import AuthConfig, Config, HttpConfig, OutgoingConfig, RtcConfig, RtmpConfig, StoreConfig

SECRET = "s" * 32


def test_the_defaults_are_valid_and_private_to_this_machine():
    config = Config()
    config.validate()
    assert config.http.is_loopback
    assert not config.needs_secure_origin


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"http": HttpConfig(host="")}, "http.host"),
        ({"http": HttpConfig(tls_cert="a.pem")}, "http.tls_key"),
        ({"http": HttpConfig(tls_key="a.pem")}, "http.tls_cert"),
        ({"http": HttpConfig(public_url="meet.example.org")}, "http.public_url"),
        ({"http": HttpConfig(public_url="ftp://meet.example.org")}, "http.public_url"),
        ({"http": HttpConfig(public_url="https://user@meet.example.org")}, "http.public_url"),
        ({"http": HttpConfig(public_url="https://meet.example.org/?a")}, "http.public_url"),
        ({"http": HttpConfig(trusted_proxies=("localhost",))}, "http.trusted_proxies"),
        ({"rtc": RtcConfig(announce_ips=("example.org",))}, "rtc.announce_ips"),
        ({"rtc": RtcConfig(announce_ips=("auto",))}, "rtc.stun_server"),
        ({"rtc": RtcConfig(stun_server="stun.example.org")}, "rtc.stun_server"),
        ({"rtc": RtcConfig(stun_server="stun.example.org:70000")}, "rtc.stun_server"),
        ({"rtc": RtcConfig(ice_servers=("https://example.org",))}, "rtc.ice_servers"),
        ({"outgoing": OutgoingConfig(allow=("10.0.0.0/33",))}, "outgoing.allow"),
        ({"auth": AuthConfig(api_key="key")}, "auth.api_secret"),
        ({"auth": AuthConfig(api_secret=SECRET)}, "auth.api_key"),
        ({"auth": AuthConfig(api_key="key", api_secret="short")}, "auth.api_secret"),
        ({"store": StoreConfig(url="mysql://localhost/x")}, "store.url"),
        ({"rtmp": RtmpConfig(port=8080)}, "rtmp.port"),
    ],
)
def test_what_does_not_go_together_is_refused_by_its_path(change, path):
    with pytest.raises(ConfigError) as caught:
        replace(Config(), **change).validate()
    assert caught.value.path == path


def test_refusing_a_secret_does_not_show_it():
    with pytest.raises(ConfigError) as caught:
        replace(Config(), auth=AuthConfig(api_key="key", api_secret="hunter2")).validate()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        Config(http=HttpConfig(host="0.0.0.0", tls_cert="a", tls_key="b", public_url="https://meet.example.org:8443/")),
        Config(rtc=RtcConfig(announce_ips=("auto", "2001:db8::1"), stun_server="[2001:db8::2]:3478")),
        Config(http=HttpConfig(trusted_proxies=("10.0.0.0/8", "fd00::1")), outgoing=OutgoingConfig(allow=("192.168.1.7",))),
        Config(http=HttpConfig(port=0), rtmp=RtmpConfig(port=0)),
        Config(auth=AuthConfig(api_key="key", api_secret=SECRET), store=StoreConfig(url="postgresql+asyncpg://u:p@h/d")),
    ],
)
def test_what_goes_together_is_accepted(config):
    config.validate()


@pytest.mark.parametrize(
    ("http", "loopback", "insecure"),
    [
        (HttpConfig(host="127.0.0.1"), True, False),
        (HttpConfig(host="127.0.0.7"), True, False),
        (HttpConfig(host="::1"), True, False),
        (HttpConfig(host="localhost"), True, False),
        (HttpConfig(host="0.0.0.0"), False, True),
        (HttpConfig(host="::"), False, True),
        (HttpConfig(host="192.168.1.7"), False, True),
        (HttpConfig(host="0.0.0.0", tls_cert="a", tls_key="b"), False, False),
        (HttpConfig(host="0.0.0.0", public_url="https://meet.example.org"), False, False),
        (HttpConfig(host="0.0.0.0", public_url="http://meet.example.org"), False, True),
    ],
)
def test_the_binding_decides_on_the_warning(http, loopback, insecure):
    config = Config(http=http)
    assert config.http.is_loopback is loopback
    assert config.needs_secure_origin is insecure


def test_the_store_is_in_the_data_directory_unless_a_url_says_otherwise(tmp_path):
    assert Config(data_dir=tmp_path).store_url == f"sqlite+aiosqlite:///{tmp_path}/tidegate.db"
    assert Config(store=StoreConfig(url="postgresql+asyncpg://h/d")).store_url == "postgresql+asyncpg://h/d"
