"""Bodies of media: whatever somebody sends is taken or refused with a path, and nothing else comes of it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.egress.requests import Look
from tidegate.http import composition_models as composition
from tidegate.http import recording_models as models
from tidegate.http.dispatch import _validate
from tidegate.http.problem import Problem

BODIES = (
    models.StartRecording, models.StartComposite, models.StartParticipantRecording, models.StartTrackRecording,
    models.StartBroadcast, models.Target, models.StartStereoMerge, models.StartCompositeMerge, models.StartMeetingMerge,
    composition.ChangeComposition, composition.AutoStartConfig,
)  # fmt: skip
NAMES = [
    *sorted({field.alias or name for body in BODIES for name, field in body.model_fields.items()}),
    "config", "layout", "boxes", "images", "watermark", "background", "imageBase64", "text", "theme", "type", "x", "name",
    "id", "presignedUrl", "participantId", "kind", "color", "templateUrl", "onFailure",
]  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.sampled_from(
    ["", "GRID", "mp4", "m3u8", "standup", "rtmp://a.example/live", "https://a.example", "é\0", "data:,", "DARK", "../x", "#102030"]
) | st.text(max_size=8)  # fmt: skip
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=5),
    max_leaves=20,
)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
@settings(max_examples=40, deadline=None)
@given(data=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6) | JSON)
def test_any_body_is_taken_or_refused(body, data):
    try:
        taken = _validate(body, data)
        if isinstance(taken, models.StartRecording | models.StartComposite):
            composition.compose(taken.config)
        if isinstance(taken, composition.ChangeComposition):
            composition.patch(taken.config, {})
    except Problem as problem:
        assert problem.status in (400, 501) and problem.errors


def png(content: bytes) -> str:
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + content).decode()


def test_nothing_said_is_the_servers_own():
    made = composition.compose(None)
    assert (made.width, made.height, made.fps, made.mode, made.look) == (1280, 720, None, "video-and-audio", Look())
    assert made == composition.compose_kept(None) == composition.compose_kept({})


@pytest.mark.parametrize(
    ("quality", "orientation", "size"),
    [("low", "landscape", (854, 480)), ("med", "portrait", (720, 1280)), ("high", "landscape", (1920, 1080))],
)
def test_sizes(quality, orientation, size):
    made = composition.compose_kept({"quality": quality, "orientation": orientation})
    assert (made.width, made.height) == size


def test_the_same_picture_has_the_same_name_and_another_another():
    first, again, other = (
        composition.compose(composition.CompositionConfig.model_validate({"background": {"imageBase64": png(content)}}))
        for content in (b"a", b"a", b"b")
    )
    assert first.look.background_image == again.look.background_image != other.look.background_image
    assert list(first.look.images) == [first.look.background_image]


def test_a_patch_changes_what_it_names_and_nothing_else():
    patch = composition.patch(composition.LookPatch.model_validate({"theme": "DEFAULT"}), {"theme": "LIGHT"})
    assert (dict(patch.changes), patch.config) == ({"theme": "DARK"}, {"theme": "DARK"})
    patch = composition.patch(composition.LookPatch.model_validate({"background": {}}), {})
    assert dict(patch.changes) == {"background_color": None, "background_image": None}
    assert composition.patch(composition.LookPatch(), {}).changes == {}


def test_the_callers_layout_is_left_alone():
    layout = {"boxes": [{"x": 0, "y": 0, "width": 1, "height": 1, "image": {"name": "a.png"}}]}
    config = composition.CompositionConfig.model_validate({"layout": layout, "images": {"a.png": png(b"")}})
    made = composition.compose(config)
    assert layout["boxes"][0]["image"] == {"name": "a.png"} == made.config["layout"]["boxes"][0]["image"]
    assert made.look.layout["boxes"][0]["image"]["name"] in made.look.images


def test_every_spelling_of_a_folder():
    for name in ("awsDirPath", "bucketDirPath", "dirPath"):
        assert models.StartRecording.model_validate({"roomId": "r", name: "//a//b/"}).directory == "a/b"
