"""The composed picture: who is in it, where, in which colours."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest

from media.errors import UsageError
from sfu.compose import art
from sfu.compose.arrange import Rect
from sfu.compose.messages import Scene
from sfu.compose.stage import Stage
from tests.support.pictures import is_near, plain, to_rgb
from tests.support.staging import COLORS, look, middle, rects, stage

DARK = art.THEMES["DARK"]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 25])
def test_everybody_is_in_their_tile(count: int) -> None:
    made = stage(count)
    picture = look(made)
    assert picture.shape == (720, 1280, 3)
    assert made.shown() == tuple(f"p{number}" for number in range(count))
    for number, rect in enumerate(rects(made)):
        assert is_near(picture[middle(rect)], COLORS[number % len(COLORS)])
    if count > 1:
        assert is_near(picture[1, 1], DARK.background)


@pytest.mark.parametrize("size", [(854, 480), (1280, 720), (1920, 1080), (480, 854), (720, 1280), (1080, 1920)])
def test_every_canvas(size: tuple[int, int]) -> None:
    made = stage(5, width=size[0], height=size[1], watermark_text="Tidegate")
    frame = made.render(0)
    assert (frame.width, frame.height, frame.format.name) == (*size, "yuv420p")
    assert is_near(to_rgb(frame)[middle(rects(made)[4])], COLORS[4])


def test_a_canvas_must_be_even() -> None:
    with pytest.raises(UsageError):
        Stage(1281, 720, 30, Scene())


def test_nobody_is_the_background() -> None:
    assert is_near(look(stage()), DARK.background)
    assert is_near(look(stage(theme="LIGHT")), art.THEMES["LIGHT"].background)
    assert is_near(look(stage(background_color="#336699")), (0x33, 0x66, 0x99))


def test_the_first_picture_is_at_rest_already() -> None:
    made = stage(2)
    assert is_near(to_rgb(made.render(0.0))[middle(rects(made)[1])], COLORS[1])


# Cameras


def test_a_camera_that_goes_off_leaves_initials() -> None:
    made = stage(2)
    look(made)
    made.source_muted("c1", True, 1)
    picture = look(made)
    rect = rects(made)[1]
    assert is_near(picture[rect.y + 20, rect.x + 40], DARK.tile)
    circle = round(rect.height * 0.44)
    assert is_near(picture[middle(rect)[0], middle(rect)[1] - circle // 2 + 6], art.person_color("p1"))
    assert made.wanted_tracks() == {"c0"}
    assert is_near(picture[middle(rects(made)[0])], COLORS[0])


def test_a_camera_that_comes_back_does_not_show_its_last_picture() -> None:
    made = stage(2)
    look(made)
    made.source_muted("c1", True, 1)
    made.source_muted("c1", False, 2)
    assert made.wanted_tracks() == {"c0", "c1"}
    assert not is_near(look(made)[middle(rects(made)[1])], COLORS[1])
    made.set_frame("c1", plain(COLORS[4]))
    assert is_near(look(made)[middle(rects(made)[1])], COLORS[4])


def test_a_frozen_camera_keeps_its_last_picture() -> None:
    made = stage(2)
    for turn in range(10):
        made.set_frame("c0", plain(COLORS[turn % 2]))
        picture = to_rgb(made.render(turn / 30))
        assert is_near(picture[middle(rects(made)[0])], COLORS[turn % 2])
        assert is_near(picture[middle(rects(made)[1])], COLORS[1])


def test_no_picture_is_the_placeholder() -> None:
    made = stage(1)
    made.set_frame("c0", None)
    assert is_near(look(made)[10, 10], DARK.tile)


def test_a_change_of_size_or_shape_costs_its_own_tile_only() -> None:
    made = stage(4)
    before = look(made)
    for size in ((1, 1), (640, 480), (2000, 16), (4096, 2160), (320, 180)):
        made.set_frame("c2", plain(COLORS[5], *size))
        after = look(made)
        rect = rects(made)[2]
        assert is_near(after[middle(rect)], COLORS[5])
        inside = np.zeros(after.shape[:2], bool)
        inside[rect.y : rect.bottom, rect.x : rect.right] = True
        assert np.array_equal(after[~inside], before[~inside])


def test_a_phone_held_upright_is_shown_whole() -> None:
    made = stage(4, show_names=False)
    made.set_frame("c0", plain(COLORS[0], 360, 640))
    picture, rect = look(made), rects(made)[0]
    assert is_near(picture[rect.y + 3, middle(rect)[1]], COLORS[0]) and is_near(picture[middle(rect)], COLORS[0])
    assert is_near(picture[middle(rect)[0], rect.x + 20], DARK.tile)
    made.set_frame("c0", plain(COLORS[0], 480, 480))
    assert is_near(look(made)[middle(rect)[0], rect.x + 20], COLORS[0])


def test_a_box_may_cut_a_phone_held_upright() -> None:
    box = {"x": 0, "y": 0, "width": 1, "height": 1, "show": {"person": 0}, "showName": False}
    for fit, color in (({}, DARK.tile), ({"fit": "cover"}, COLORS[0]), ({"fit": "contain"}, DARK.tile)):
        made = stage(1, layout={"boxes": [box | fit]})
        made.set_frame("c0", plain(COLORS[0], 360, 640))
        assert is_near(look(made)[360, 20], color)


def test_a_picture_that_cannot_be_scaled_costs_its_own_tile_and_one_warning() -> None:
    made = stage(2)
    look(made)
    broken = av.VideoFrame(640, 360, "pal8")
    broken.planes[0].update(bytes(broken.planes[0].buffer_size))
    real = made._tiles["camera", "p0"]._scaler.scale

    def scale(frame: av.VideoFrame, *rest: Any) -> Any:
        if frame is broken:
            raise av.InvalidDataError(1, "broken")
        return real(frame, *rest)

    made._tiles["camera", "p0"]._scaler.scale = scale  # type: ignore[method-assign]
    for _ in range(3):
        made.set_frame("c0", broken)
        picture = look(made)
    assert is_near(picture[middle(rects(made)[1])], COLORS[1])
    assert [warning.split(":")[0] for warning in made.take_warnings()] == ["track c0"]
    assert made.take_warnings() == []
    made.set_frame("c0", plain(COLORS[3]))
    assert is_near(look(made)[middle(rects(made)[0])], COLORS[3])


def test_frames_of_tracks_that_went_are_ignored() -> None:
    made = stage(1)
    made.source_removed("c0", 1)
    made.set_frame("c0", plain(COLORS[1]))
    made.set_frame("never", plain(COLORS[1]))
    made.source_muted("never", True, 1)
    made.source_removed("never", 1)
    assert is_near(look(made)[10, 10], DARK.tile)
    assert made.wanted_tracks() == frozenset()


def test_the_newest_camera_of_a_person_is_shown() -> None:
    made = stage(1)
    made.source_added("other", "p0", "webcam", 1)
    made.set_frame("other", plain(COLORS[2]))
    assert is_near(look(made)[360, 640], COLORS[2])
    assert made.wanted_tracks() == {"other"}
    made.source_removed("other", 2)
    assert is_near(look(made)[360, 640], COLORS[0])


# People


def test_only_who_is_shown_is_wanted() -> None:
    made = stage(6, layout={"type": "GRID", "gridSize": 4})
    assert made.wanted_tracks() == {"c0", "c1", "c2", "c3"}
    made.set_speakers("p5", ("p5",), 1)
    assert made.shown() == ("p0", "p1", "p2", "p5")
    assert made.wanted_tracks() == {"c0", "c1", "c2", "c5"}


def test_who_leaves_is_gone() -> None:
    made = stage(2)
    look(made)
    made.person_left("p0", 1)
    assert made.shown() == ("p1",)
    assert is_near(look(made)[middle(rects(made)[0])], COLORS[1])
    made.person_left("p0", 1)
    made.person_left("p1", 1)
    assert is_near(look(made), DARK.background)


def test_the_speaker_has_a_frame() -> None:
    made = stage(4)
    look(made)
    made.set_speakers("p2", ("p2",), 1)
    picture = look(made)
    for number, rect in enumerate(rects(made)):
        lit = is_near(picture[rect.y + 1, middle(rect)[1]], DARK.highlight, 20)
        assert lit == (number == 2)
    made.set_speakers(None, ("p2",), 2)
    assert not is_near(look(made)[rects(made)[2].y + 1, middle(rects(made)[2])[1]], DARK.highlight, 20)


def red_in(picture: np.ndarray, rect: Rect) -> bool:
    """The crossed-out microphone of a badge."""
    part = picture[rect.bottom - 40 : rect.bottom - 8, rect.x + 8 : rect.x + 60].astype(int)
    return bool(((part[..., 0] - part[..., 1] > 60) & (part[..., 0] > 150)).sum() > 8)


def test_mutes_are_marked() -> None:
    made = Stage(1280, 720, 30, Scene())
    for number in range(2):
        made.person_joined(f"p{number}", "Ana", 0)
    made.source_added("m0", "p0", "mic", 0)
    picture = look(made)
    assert [red_in(picture, rect) for rect in rects(made)] == [False, True]
    made.source_muted("m0", True, 1)
    made.source_added("m1", "p1", "mic", 1)
    picture = look(made)
    assert [red_in(picture, rect) for rect in rects(made)] == [True, False]


def test_names_are_shown_unless_the_scene_says_no() -> None:
    named, bare = look(stage(1)), look(stage(1, show_names=False))
    corner = np.s_[660:, :200]
    assert (named[corner].min(axis=-1) > 200).sum() > 50
    assert is_near(bare[corner], COLORS[0])


def test_a_new_name_is_shown() -> None:
    made = stage(1)
    before = look(made)
    made.person_joined("p0", "Somebody else", 1)
    assert not np.array_equal(before, look(made))


# Shares


def test_a_share_takes_the_room_as_a_whole() -> None:
    made = stage(3)
    made.source_added("s1", "p1", "screen", 1)
    made.set_frame("s1", plain((250, 250, 250), 1000, 1000))
    picture = look(made)
    share, *people = rects(made)
    assert share.width * share.height > 8 * people[0].width * people[0].height
    y, x = middle(share)
    assert is_near(picture[y, x], (250, 250, 250))
    assert is_near(picture[share.y + 4, x], (250, 250, 250)), "all of it: nothing is cut at the top"
    assert is_near(picture[y, share.x + 4], DARK.tile), "beside it is room"
    assert made.shown() == ("p1", "p0", "p2")
    assert made.wanted_tracks() == {"s1", "c0", "c1", "c2"}
    made.source_muted("s1", True, 2)
    assert made.wanted_tracks() == {"c0", "c1", "c2"} and made.shown() == ("p0", "p1", "p2")
    made.source_muted("s1", False, 3)
    made.person_left("p1", 4)
    assert made.shown() == ("p0", "p2"), "nobody shares who is not there"
