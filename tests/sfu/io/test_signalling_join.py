"""What a token says goes before what a client says, and which pages may ask."""

import pytest

from sfu.io.signalling_join import join_request, origin_allowed
from sfu.io.signalling_messages import JoinParams
from sfu.io.signalling_ports import Admission
from sfu.meeting.participant import Mode
from sfu.meeting.permissions import Grants


def params(**more):
    return JoinParams.model_validate({"token": "t", "roomId": "custom", **more})


def test_the_tokens_ids_go_before_the_clients():
    admission = Admission("room", Grants.full(), participant_id="ann", session_id="s", project_id="p", max_participants=3)
    request = join_request(params(participantId="ben"), admission)
    assert (request.room_id, request.participant_id) == ("room", "ann")
    assert (request.session_id, request.project_id, request.max_participants) == ("s", "p", 3)


def test_what_is_not_said_has_a_default():
    request = join_request(params(), Admission("room", Grants()))
    assert (request.participant_id, request.display_name, request.meta_data, request.attributes) == (None, "", None, {})
    assert (request.mode, request.auto_subscribe) == (Mode.SEND_AND_RECV, True)


@pytest.mark.parametrize(
    ("origin", "allowed", "yes"),
    [
        (None, ("https://a",), True),
        ("https://b", (), True),
        ("null", ("*",), True),
        ("https://A", ("https://a/",), True),
        ("https://us", ("https://a",), True),
        ("null", ("https://a",), False),
        ("http://a", ("https://a",), False),
        ("https://a:444", ("https://a",), False),
        ("https://a.evil", ("https://a",), False),
    ],
)
def test_origins(origin, allowed, yes):
    assert origin_allowed(origin, allowed, "https://us") is yes
