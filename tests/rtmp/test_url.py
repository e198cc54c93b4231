import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError
from rtmp.url import parse_target


@pytest.mark.parametrize(
    ("url", "key", "expected"),
    [
        ("rtmp://a.example/live", "k", ("a.example", 1935, "live", "rtmp://a.example/live", "k")),
        ("rtmp://a.example/live/", "k", ("a.example", 1935, "live", "rtmp://a.example/live", "k")),
        ("rtmp://a.example:1935/live", "k", ("a.example", 1935, "live", "rtmp://a.example/live", "k")),
        ("rtmp://a.example:1936/live", "k", ("a.example", 1936, "live", "rtmp://a.example:1936/live", "k")),
        (
            "rtmps://a.example/rtmp/",
            "FB-1?s_bl=1&a=b",
            ("a.example", 443, "rtmp", "rtmps://a.example/rtmp", "FB-1?s_bl=1&a=b"),
        ),
        (
            "rtmp://a.example/app/instance",
            "k",
            ("a.example", 1935, "app/instance", "rtmp://a.example/app/instance", "k"),
        ),
        ("rtmp://a.example/app?x=y", "k", ("a.example", 1935, "app?x=y", "rtmp://a.example/app?x=y", "k")),
        ("rtmp://a.example/app/k", "", ("a.example", 1935, "app", "rtmp://a.example/app", "k")),
        ("rtmp://a.example/app/k?x=y#z", "", ("a.example", 1935, "app", "rtmp://a.example/app", "k?x=y#z")),
        ("rtmp://a.example/app/inst/k", "", ("a.example", 1935, "app/inst", "rtmp://a.example/app/inst", "k")),
        ("rtmp://u:p@a.example/app", "k", ("a.example", 1935, "app", "rtmp://a.example/app", "k")),
        ("rtmp://[::1]:19350/app", "k", ("::1", 19350, "app", "rtmp://[::1]:19350/app", "k")),
    ],
)
def test_addresses_are_taken_apart_as_encoders_do(url, key, expected):
    target = parse_target(url, key)
    assert (target.host, target.port, target.app, target.tc_url, target.stream_key) == expected


@pytest.mark.parametrize(
    ("url", "key", "words"),
    [
        ("http://a.example/live", "s3cret", "must begin with rtmp:// or rtmps://"),
        ("a.example/live", "s3cret", "must begin with"),
        ("rtmp:///live", "s3cret", "no host"),
        ("rtmp://a.example", "s3cret", "no application"),
        ("rtmp://a.example/", "s3cret", "no application"),
        ("rtmp://a.example/s3cret", "", "stream key is missing"),
        ("rtmp://a.example:99999/live", "s3cret", "malformed"),
        ("rtmp://a.example:s3cret/live", "k", "malformed"),
        ("rtmp://a..example/live", "s3cret", "not a valid one"),
        ("rtmp://a.example:0/live", "s3cret", "port"),
        ("rtmp://[::1/live", "s3cret", "malformed"),
        ("rtmp://a.example/li ve", "s3cret", "address must not contain"),
        ("rtmp://a.example/live", "s3cret\n", "stream key must not contain"),
        ("rtmp://a.example/" + "s3cret" * 1000, "k", "longer than"),
    ],
)
def test_what_is_wrong_is_said_without_secrets(url, key, words):
    with pytest.raises(ParseError, match=words) as caught:
        parse_target(url, key)
    assert "s3cret" not in str(caught.value)


def test_nothing_shown_has_a_secret():
    target = parse_target("rtmp://s3user:s3pass@a.example/app?token=s3token", "s3key?auth=s3auth")
    shown = repr(target) + str(target) + target.shown_url
    shown += target.redact(
        "no s3key here, nor s3user:s3pass, nor s3key?auth=s3auth, auth=s3auth, token=s3token, s3token"
    )
    assert target.shown_url == "rtmp://a.example/app"
    for secret in ("s3user", "s3pass", "s3key", "s3auth", "s3token"):
        assert secret not in shown
    assert "a.example" in repr(target)


def test_a_query_of_ours_replaces_the_last_one():
    target = parse_target("rtmp://a.example/app", "k").with_query("a=1").with_query("b=2")
    assert (target.app, target.tc_url) == ("app?b=2", "rtmp://a.example/app?b=2")
    target = parse_target("rtmp://a.example/app?x=y", "k").with_query("a=1").with_query("b=2")
    assert (target.app, target.shown_url) == ("app?x=y&b=2", "rtmp://a.example/app")


def test_a_servers_words_are_made_fit_to_be_shown():
    target = parse_target("rtmp://a.example/app", "key")
    assert target.redact("a\x1b[31mb\r\nc" + "d" * 1000).startswith("a [31mb cddd")
    assert len(target.redact("d" * 1000)) == 300


@given(st.text(max_size=60), st.text(max_size=20))
def test_text_of_any_kind_is_an_address_or_refused(text, key):
    for url in (text, "rtmp://" + text, "rtmp://host/" + text):
        try:
            parse_target(url, key)
        except ParseError:
            pass
