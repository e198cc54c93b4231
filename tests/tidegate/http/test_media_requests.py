"""What the egress is asked for, from bodies and from rooms' autoStartConfig."""

from types import SimpleNamespace

from tidegate.http import media_requests
from tidegate.http.recording_models import StartBroadcast, StartRecording


def room(**more):
    values = {
        "project_id": "p",
        "room_id": "r",
        "custom_room_id": "standup",
        "multi_composition": None,
        "auto_start_config": None,
        "disabled": False,
    }
    return SimpleNamespace(**values | more)


def test_an_automatic_recording_goes_to_the_folder_that_the_room_names():
    for spelling in ("awsDirPath", "bucketDirPath"):
        made = media_requests.automatic_request(room(auto_start_config={"recording": {spelling: "meetings/2026"}}))
        assert made is not None
        assert (made.kind, made.directory, made.file_format, made.several) == ("room", "meetings/2026", "mp4", False)


def test_a_room_that_asks_for_nothing_or_is_disabled_begins_nothing():
    assert media_requests.automatic_request(room()) is None
    assert media_requests.automatic_request(room(auto_start_config={"hls": {}})) is None
    assert media_requests.automatic_request(room(auto_start_config={"recording": {}}, disabled=True)) is None


def test_several_at_once_are_what_the_room_was_created_with():
    body = StartRecording.model_validate({"roomId": "standup", "preSignedURL": "https://bucket.example/x?sig=1"})
    one = media_requests.recording_request(room(), body)
    many = media_requests.recording_request(room(multi_composition={"recording": True, "rtmp": False}), body)
    assert (one.several, many.several) == (False, True)
    assert one.upload_url == "https://bucket.example/x?sig=1" and "sig" not in repr(one)


def test_a_broadcasts_keys_do_not_show():
    body = StartBroadcast.model_validate(
        {
            "roomId": "standup",
            "outputs": [{"url": "rtmp://a.example/live", "streamKey": "very-secret"}],
            "config": {"recording": {"enabled": True}},
        }
    )
    made = media_requests.broadcast_request(room(multi_composition={"rtmp": True}), body)
    assert (made.record, made.several, made.targets[0].stream_key) == (True, True, "very-secret")
    assert "very-secret" not in repr(made)
