"""The composed picture: scenes, boxes as data, movement, and what it costs to change little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from media.errors import ParseError
from sfu.compose import art, painter
from sfu.compose.arrange import Rect
from sfu.compose.messages import Scene
from sfu.compose.transition import DURATION
from tests.support.pictures import is_near, plain, portrait, to_rgb
from tests.support.staging import COLORS, join, look, middle, rects, stage

DARK = art.THEMES["DARK"]


def test_a_wrong_scene_changes_nothing() -> None:
    made = stage(2)
    before = look(made)
    for scene in (Scene({"type": "MOSAIC"}, theme="LIGHT"), Scene(theme="LIGHT", background_color="blue")):
        with pytest.raises(ParseError):
            made.set_scene(scene, 1)
        assert np.array_equal(look(made), before)


def test_a_scene_changes_while_it_runs() -> None:
    made = stage(2)
    look(made)
    made.set_scene(Scene({"type": "SPOTLIGHT"}, theme="LIGHT"), 1)
    picture = look(made)
    assert is_near(picture[10, 10], COLORS[0]) and is_near(picture[700, 1270], COLORS[0])
    assert made.wanted_tracks() == {"c0"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (64, 36), (10, 120, 140)).save(tmp_path / "wall.png")
    Image.new("RGBA", (40, 40), (250, 200, 0, 255)).save(tmp_path / "logo.png")
    return tmp_path


def test_a_background_image(folder: Path) -> None:
    made = stage(2, directory=folder, background_image="wall.png")
    picture = look(made)
    assert is_near(picture[2, 640], (10, 120, 140)) and is_near(picture[718, 2], (10, 120, 140))
    assert is_near(picture[middle(rects(made)[0])], COLORS[0])


def test_a_change_of_layout_reads_no_image_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    load = art.load_image
    monkeypatch.setattr(art, "load_image", lambda directory, name: read.append(name) or load(directory, name))
    looks = {"background_image": "wall.png", "watermark_image": "logo.png"}
    made = stage(2, directory=folder, **looks)
    first = look(made)
    made.set_scene(Scene(layout={"type": "SIDEBAR"}, **looks), 1.0)
    assert not np.array_equal(look(made, 2.0), first)
    made.set_scene(Scene(**looks), 4.0)
    assert np.array_equal(look(made, 5.0), first)
    assert read == ["wall.png", "logo.png"]
    made.set_scene(Scene(background_color="#102030", **looks), 7.0)
    assert read == ["wall.png", "logo.png", "wall.png"]


@pytest.mark.parametrize("position", ["top-left", "top-right", "bottom-left", "bottom-right"])
def test_a_watermark_stands_in_its_corner_over_people(folder: Path, position: Any) -> None:
    made = stage(1, directory=folder, watermark_image="logo.png", watermark_position=position)
    for turn in range(4):
        made.set_frame("c0", plain(COLORS[turn]))
        picture = look(made)
        y = 16 + 20 if "top" in position else 720 - 16 - 20
        x = 16 + 20 if "left" in position else 1280 - 16 - 20
        assert is_near(picture[y, x], (250, 200, 0))
        assert is_near(picture[360, 640], COLORS[turn])


def test_a_watermark_text_lets_the_picture_through() -> None:
    made = stage(1, watermark_text="Tidegate", show_names=False)
    for color in COLORS[:3]:  # it is blended with each new picture, not with itself
        made.set_frame("c0", plain(color))
        picture = look(made)
    part = picture[660:, 1100:].astype(int)
    assert (np.abs(part - COLORS[2]).max(axis=-1) > 60).sum() > 50
    assert is_near(part[-4:], COLORS[2]) and part.min(axis=-1).max() < 255


def test_images_that_are_not_there_are_warnings(folder: Path) -> None:
    box = {"x": 0, "y": 0, "width": 1, "height": 1, "image": {"name": "gone.png"}}
    made = stage(0, directory=folder, layout={"boxes": [box]}, background_image="../x.png", watermark_image="no.png")
    assert is_near(look(made), DARK.background)
    assert sorted(made.take_warnings()) == [
        "image '../x.png' was not given along", "image 'gone.png' was not given along", "image 'no.png' was not given along",
    ]  # fmt: skip


# Boxes


def overlapping(**fields: Any) -> dict[str, Any]:
    return {
        "boxes": [
            {"x": 0, "y": 0, "width": 1, "height": 1, "show": {"person": 0}, "showName": False},
            {"x": 0.5, "y": 0.5, "width": 0.25, "height": 0.25, "z": 1, "show": {"person": 1}, "showName": False}
            | fields,
        ]
    }


def test_a_box_over_another_stays_when_the_lower_changes() -> None:
    made = stage(2, layout=overlapping(cornerRadius=0.5))
    for turn in range(4):
        made.set_frame("c0", plain(COLORS[2 + turn]))
        picture = look(made)
        assert is_near(picture[450, 800], COLORS[1])
        assert is_near(picture[361, 641], COLORS[2 + turn]), "its corner shows the lower one"
        assert is_near(picture[100, 100], COLORS[2 + turn])


def test_borders_and_text_boxes() -> None:
    layout = overlapping(border={"color": "#ffff00", "width": 0.01})
    layout["boxes"].append(
        {
            "x": 0,
            "y": 0.9,
            "width": 1,
            "height": 0.1,
            "z": 2,
            "text": {"text": "News", "background": "#aa0000", "size": 0.08},
        }
    )
    made = stage(2, layout=layout)
    for turn in range(3):
        made.set_frame("c0", plain(COLORS[turn]))
        picture = look(made)
        assert is_near(picture[363, 800], (255, 255, 0), 12)
        assert is_near(picture[715, 20], (0xAA, 0, 0))
        assert (picture[650:].min(axis=-1) > 200).sum() > 100


def test_letters_half_beside_a_tile_do_not_grow_fat() -> None:
    """The part of a text that stands on the background is painted upon the background each time, not upon itself."""
    half = {"x": 0, "y": 0, "width": 0.5, "height": 1, "show": {"person": 0}, "showName": False}
    text = {"x": 0.25, "y": 0.3, "width": 0.5, "height": 0.4, "text": {"text": "Letters", "size": 0.2}}
    made = stage(1, layout={"boxes": [half, text]})
    first = look(made)
    for turn in range(1, 5):
        made.set_frame("c0", plain(COLORS[turn % 2]))
        look(made)
    made.set_frame("c0", plain(COLORS[0]))
    assert np.array_equal(look(made), first)


# Movement


def test_tiles_glide_when_somebody_comes() -> None:
    made = stage(1)
    made.render(0.0)
    join(made, 1, 1.0)
    first = to_rgb(made.render(1.0))
    assert is_near(first[20, 20], COLORS[0]), "the first picture of a movement is where it began"
    halfway = to_rgb(made.render(1.0 + DURATION / 3))
    rest = to_rgb(made.render(1.0 + DURATION))
    assert not np.array_equal(halfway, first) and not np.array_equal(halfway, rest)
    assert is_near(rest[middle(rects(made)[1])], COLORS[1])
    assert np.array_equal(rest, to_rgb(made.render(50.0)))


def test_who_leaves_is_seen_going() -> None:
    made = stage(2)
    made.render(0.0)
    left = rects(made)[1]
    made.person_left("p1", 1.0)
    made.source_removed("c1", 1.0)
    made.render(1.0)
    going = to_rgb(made.render(1.0 + DURATION / 10))[left.y + 60, middle(left)[1]].astype(int)
    assert not is_near(going, DARK.background) and not is_near(going, COLORS[1])
    assert made.wanted_tracks() == {"c0"}


def test_a_storm_of_comings_and_goings_piles_nothing_up() -> None:
    made = stage(1)
    made.render(0.0)
    painted = []
    for number in range(1, 60):
        at = number * DURATION / 3  # no movement ever ends
        join(made, number, at)
        if number > 4:
            made.person_left(f"p{number - 4}", at)
            made.source_removed(f"c{number - 4}", at)
        made.render(at)
        painted.append(len(made._current))
        assert len(made._leaving) < 20, "tiles of who is gone"
    assert max(painted[30:]) <= max(painted[:30]) < 20


def test_one_speaker_fades_into_the_next() -> None:
    made = stage(2, layout={"type": "SPOTLIGHT"})
    made.set_speakers("p0", ("p0",), 0)
    made.render(0.0)
    made.set_speakers("p1", ("p1", "p0"), 1.0)
    made.render(1.0)
    mixed = to_rgb(made.render(1.0 + DURATION / 5))[300, 300].astype(int)
    low, high = np.minimum(COLORS[0], COLORS[1]), np.maximum(COLORS[0], COLORS[1])
    assert (mixed >= low - 3).all() and (mixed <= high + 3).all()
    assert not is_near(mixed, COLORS[0]) and not is_near(mixed, COLORS[1])


def run(seed: int) -> list[bytes]:
    """Two seconds of a lively meeting."""
    random, made, pictures = np.random.default_rng(seed), stage(3), []
    present = {0, 1, 2}
    for turn in range(60):
        at, number = turn / 30, int(random.integers(0, 6))
        if turn % 7 == 0 and number in present and len(present) > 1:
            present.discard(number)
            made.person_left(f"p{number}", at)
        elif turn % 7 == 0:
            present.add(number)
            join(made, number, at)
        if turn % 11 == 0:
            made.set_speakers(f"p{number}", (f"p{number}",), at)
        if number in present:
            made.set_frame(f"c{number}", plain(COLORS[turn % 6]))
        pictures.append(bytes(made.render(at).planes[0]))
    return pictures


def test_the_same_meeting_gives_the_same_pictures() -> None:
    assert run(7) == run(7)


def test_what_is_painted_by_parts_is_what_is_painted_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """After any history, the picture is that of a stage that never saw it."""
    for layout in ({"type": "GRID"}, {"type": "SIDEBAR"}, overlapping(cornerRadius=0.4)):
        random, made = np.random.default_rng(3), stage(4, layout=layout, watermark_text="Tidegate")
        frames = {number: portrait(number) for number in range(4)}
        for turn in range(40):
            number = int(random.integers(0, 4))
            frames[number] = plain(COLORS[int(random.integers(0, 6))]) if turn % 3 else portrait(turn)
            made.set_frame(f"c{number}", frames[number])
            if turn % 9 == 0:
                made.source_muted(f"m{number}", bool(turn % 2), turn)
                made.set_speakers(f"p{number}", (f"p{number}",), turn)
            worked = look(made, 10.0 * turn)
        made._painter.set_tiles([*made._tiles.values(), made._watermark])  # type: ignore[list-item]
        assert np.array_equal(worked, to_rgb(made.render(9999.0)))


# Cost


def test_the_last_picture_stays_while_the_next_is_made() -> None:
    made = stage(1)
    first = made.render(0.0)
    seen = to_rgb(first)
    made.set_frame("c0", plain(COLORS[3]))
    made.render(1.0)
    assert np.array_equal(to_rgb(first), seen)


def test_only_what_changed_is_scaled_and_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = stage(9)
    for turn in range(4):
        made.render(turn)
    pasted: list[Rect] = []
    real = painter.Canvas.paste
    monkeypatch.setattr(painter.Canvas, "paste", lambda self, picture, rect, *rest: (pasted.append(rect), real(self, picture, rect, *rest)))  # fmt: skip
    scaled: list[int] = []
    for tile in made._tiles.values():
        real_scale = tile._scaler.scale
        tile._scaler.scale = lambda *rest, real_scale=real_scale: (scaled.append(1), real_scale(*rest))[1]  # type: ignore[method-assign]
    made.render(5.0)
    assert pasted == []
    made.set_frame("c4", plain(COLORS[1]))
    made.render(6.0)
    made.render(7.0)  # the other canvas has not seen it yet
    made.render(8.0)
    assert pasted == [rects(made)[4]] * 2
    assert len(scaled) == 1


def test_time_is_counted() -> None:
    made = stage(4)
    made.render(0.0)
    assert made.seconds["scale"] > 0 and made.seconds["blend"] > 0
