"""Requests parsed and refused, answers and events written; fuzzed as text and as JSON."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from media.codecs import Kind
from sfu.io.signalling_messages import (
    METHODS,
    InvalidMessage,
    JoinParams,
    UpdateParams,
    parse_request,
    time_to_wire,
    to_text,
    track_to_wire,
)
from sfu.meeting.participant import Track
from sfu.meeting.permissions import Source
from tests.support.signalling_fuzz import JSON, requests


@given(st.text())
@example("[" * 200_000)
@example('{"id":1,"method":"ping","params":{"\\ud800":1}}')
def test_any_text_is_parsed_or_refused(text):
    try:
        request = parse_request(text)
    except InvalidMessage as error:
        assert error.error.code == 4092
        to_text({"id": error.id, "message": error.error.reason})
    else:
        assert request.method in METHODS


@given(requests() | JSON)
def test_any_json_is_parsed_or_refused(value):
    try:
        request = parse_request(json.dumps(value))
    except InvalidMessage as error:
        assert isinstance(error.error.reason, str) and len(error.error.reason) < 1000
        if error.id is not None:
            assert error.id == value["id"]
    else:
        assert (request.id, request.method) == (value["id"], value["method"])
        assert isinstance(request.params, METHODS[request.method])


@given(JSON)
def test_what_is_accepted_as_metadata_can_be_written_again(value):
    text = json.dumps({"id": 1, "method": "update", "params": {"metaData": value}})
    try:
        params = parse_request(text).params
    except InvalidMessage:
        return
    assert isinstance(params, UpdateParams)
    assert json.loads(to_text({"x": params.meta_data}))["x"] == value


def test_absent_and_null_metadata_are_told_apart():
    absent = parse_request('{"id":1,"method":"update","params":{}}').params
    null = parse_request('{"id":1,"method":"update","params":{"metaData":null}}').params
    assert "meta_data" not in absent.model_fields_set
    assert "meta_data" in null.model_fields_set


def test_secrets_are_not_printed():
    params = parse_request('{"id":1,"method":"join","params":{"token":"s3cret","roomId":"r","resumeToken":"s3cret"}}').params
    assert isinstance(params, JoinParams)
    assert "s3cret" not in repr(params)


def test_params_may_be_left_out():
    assert parse_request('{"id":0,"method":"ping"}').id == 0


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({}, "params.sdp"),
        ({"sdp": "x", "tracks": [{"mid": 1, "trackId": "t"}]}, "params.tracks[0].mid"),
        ({"sdp": "x", "tracks": [{"mid": "1", "trackId": "t", "z": 0}]}, "params.tracks[0].z"),
        ({"sdp": "x" * 65537, "tracks": []}, "params.sdp"),
        ({"sdp": "x", "tracks": [], "y" * 100: 1}, "params." + "y" * 40 + ":"),
    ],
)
def test_errors_name_the_path(params, path):
    with pytest.raises(InvalidMessage) as caught:
        parse_request(json.dumps({"id": 1, "method": "publish", "params": params}))
    assert path in caught.value.error.reason


def test_what_is_not_known_of_a_track_is_left_out():
    wire = track_to_wire(Track("TR_1", "a", Source.WEBCAM, Kind.VIDEO, height=720))
    assert wire == {
        "trackId": "TR_1", "source": "webcam", "kind": "video", "name": "", "muted": False, "simulcast": False, "height": 720,
    }  # fmt: skip


def test_times_are_iso_8601():
    assert time_to_wire(0.0) == "1970-01-01T00:00:00.000Z"
    assert time_to_wire(1_700_000_000.1239) == "2023-11-14T22:13:20.123Z"
