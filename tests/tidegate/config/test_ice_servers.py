import hmac
from base64 import b64decode

from tidegate.config.ice_servers import TURN_SECONDS, ice_servers
from tidegate.config.model import RtcConfig


def test_turn_urls_get_credentials_that_expire_and_stun_urls_none():
    rtc = RtcConfig(ice_servers=("stun:a:3478", "turns:b:443?transport=tcp"), turn_secret="secret")
    stun, turn = ice_servers(rtc, wall=1000.9)
    assert stun == {"urls": "stun:a:3478"}
    assert turn["username"] == str(1000 + TURN_SECONDS)
    assert b64decode(turn["credential"]) == hmac.digest(b"secret", turn["username"].encode(), "sha1")
    assert "secret" not in str(turn)


def test_without_a_secret_urls_go_as_they_are():
    assert ice_servers(RtcConfig(ice_servers=("turn:b",)), wall=0) == [{"urls": "turn:b"}]
    assert ice_servers(RtcConfig(), wall=0) == []
