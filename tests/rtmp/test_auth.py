import pytest

from rtmp import auth
from rtmp.url import parse_target
from tests.support.rtmp_auth import REJECT

TARGET = parse_target("rtmp://user:password@a.example/app", "k")
NEED_USER = f"{REJECT}code=403 need auth; authmod=adobe ] : "
NEED_RESPONSE = f"{REJECT}authmod=adobe ] : ?reason=needauth&user=user&salt=s&challenge=c"


def test_first_the_user_then_the_response_then_no_more():
    second = auth.answer(TARGET, NEED_USER, random_bytes=bytes)
    assert second.app == "app?authmod=adobe&user=user" and second.tc_url == "rtmp://a.example/" + second.app
    third = auth.answer(second, NEED_RESPONSE, random_bytes=bytes)
    assert third.app.startswith("app?authmod=adobe&user=user&challenge=00000000&response=")
    for said in (NEED_USER, NEED_RESPONSE, f"{REJECT}authmod=adobe ] : ?reason=authfailed"):
        assert auth.answer(third, said, random_bytes=bytes) is None
    assert auth.answer(second, NEED_USER, random_bytes=bytes) is None
    assert "password" not in third.app + third.tc_url


@pytest.mark.parametrize("said", ["", "authmod=llnw", "?reason=needauth", "full"])
def test_what_asks_for_something_else_is_not_answered(said):
    assert auth.answer(TARGET, said, random_bytes=bytes) is None


def test_without_a_user_there_is_no_answer():
    assert auth.answer(parse_target("rtmp://a.example/app", "k"), NEED_USER, random_bytes=bytes) is None
