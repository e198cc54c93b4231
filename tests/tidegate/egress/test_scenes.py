"""From what a caller asks for to what a worker draws."""

from sfu.compose.messages import Scene
from sfu.meeting.permissions import Source
from tidegate.egress import scenes
from tidegate.egress.requests import Chosen, Look


def test_a_look_is_drawn_as_it_was_asked_for():
    look = Look(layout={"type": "SIDEBAR"}, theme="LIGHT", watermark_text="draft", show_names=False, images={"a.png": b""})
    scene = scenes.scene_of(look)
    assert (scene.layout, scene.theme, scene.watermark_text, scene.show_names) == ({"type": "SIDEBAR"}, "LIGHT", "draft", False)


def test_a_patch_leaves_what_it_does_not_name():
    changed = scenes.patched(Scene(theme="LIGHT", watermark_text="draft"), {"watermark_text": None, "images": {"b.png": b""}})
    assert changed == Scene(theme="LIGHT")


def test_pictures_are_put_where_each_worker_looks(tmp_path):
    scenes.write_pictures([tmp_path / "job", tmp_path / "job" / "1"], {"a.png": b"picture"})
    assert (tmp_path / "job" / "a.png").read_bytes() == (tmp_path / "job" / "1" / "a.png").read_bytes() == b"picture"


def test_of_chosen_participants_the_kinds_that_are_named_are_wanted():
    choose = scenes.chosen_sources((Chosen("ada"), Chosen("bob", ("audio", "screen_video"))))
    assert all(choose("ada", source) for source in Source)
    assert {source for source in Source if choose("bob", source)} == {Source.MIC, Source.SCREEN}
    assert not any(choose("eve", source) for source in Source)


def test_a_participants_recording_is_of_camera_and_microphone_unless_a_track_is_named():
    assert {source for source in Source if scenes.one_participant("ada", None)("ada", source)} == {Source.MIC, Source.WEBCAM}
    assert {source for source in Source if scenes.one_participant("ada", "screen_audio")("ada", source)} == {Source.SCREEN_AUDIO}
    assert not any(scenes.one_participant("ada", None)("bob", source) for source in Source)
