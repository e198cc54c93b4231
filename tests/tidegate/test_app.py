import pytest

from tidegate.app import who_may_enter
from tidegate.config.model import Config, HttpConfig


@pytest.mark.parametrize(
    ("http", "dev", "words"),
    [
        (HttpConfig(), False, "meet yourself"),
        (HttpConfig(), True, "meet yourself"),
        (HttpConfig(public_url="http://localhost:3000"), False, "meet yourself"),
        (HttpConfig(public_url="https://meet.example.org"), False, "sign in"),
        (HttpConfig(host="0.0.0.0"), False, "sign in"),
        (HttpConfig(host="0.0.0.0"), True, "without signing in"),
    ],
)
def test_whoever_starts_it_is_told_who_may_enter(http, dev, words):
    assert words in who_may_enter(Config(http=http, dev=dev))
