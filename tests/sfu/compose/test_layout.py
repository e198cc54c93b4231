"""Layouts as JSON: what is read, and what is refused, by its path."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError
from sfu.compose import layout as lay
from sfu.compose.layout import Layout, canvas_size, parse_layout

PLACE = {"x": 0, "y": 0, "width": 0.5, "height": 0.5}


def box(**fields: object) -> dict:
    return {"boxes": [PLACE | {"show": {"speaker": 0}} | fields]}


@pytest.mark.parametrize(
    ("wire", "layout"),
    [
        ({}, Layout()),
        ({"type": "GRID"}, Layout(grid_size=25)),
        ({"type": "sidebar", "priority": "pin", "gridSize": 4}, Layout("SIDEBAR", "PIN", 4)),
        ({"type": "SPOTLIGHT", "gridSize": 0}, Layout("SPOTLIGHT", grid_size=25)),
    ],
)
def test_named_layouts(wire: dict, layout: Layout) -> None:
    assert parse_layout(wire) == layout


def test_a_box_has_every_field() -> None:
    wire = {
        "type": "CUSTOM",
        "priority": "PIN",
        "background": {"color": "#102030", "image": "wall.png"},
        "boxes": [
            PLACE
            | {
                "show": {"participantId": "ana", "source": "screen"}, "z": -3, "fit": "cover", "cornerRadius": 0.5,
                "border": {"color": "#ffffff", "width": 0.01}, "showName": False, "highlight": False, "keepEmpty": True,
            },
            PLACE | {"text": {"text": "Hello\nworld", "size": 0.1, "color": "#000000", "background": "#ffff00", "align": "left"}},
            PLACE | {"image": {"name": "logo.png"}},
            *(PLACE | {"show": {name: 7}} for name in ("speaker", "pinned", "share", "person")),
        ],
    }  # fmt: skip
    layout = parse_layout(json.loads(json.dumps(wire)))
    assert layout.boxes[0] == lay.Box(
        0, 0, 0.5, 0.5, lay.ShowParticipant("ana", "screen"), -3, "cover", 0.5, "#ffffff", 0.01, False, False, True
    )
    assert layout.boxes[1].show == lay.ShowText("Hello\nworld", 0.1, "#000000", "#ffff00", "left")
    assert [item.show for item in layout.boxes[2:]] == [
        lay.ShowImage("logo.png"), lay.ShowSpeaker(7), lay.ShowPinned(7), lay.ShowShare(7), lay.ShowPerson(7),
    ]  # fmt: skip
    assert (layout.priority, layout.background_color) == ("PIN", "#102030")
    assert layout.image_names == {"wall.png", "logo.png"}


def test_thirds_fill_a_canvas() -> None:
    third = 1 / 3
    wire = {"boxes": [{"x": 2 * third, "y": 0, "width": third + 1e-9, "height": 1, "show": {"person": 0}}]}
    assert parse_layout(wire).boxes[0].x == pytest.approx(2 / 3)


REFUSED = [
    ([], "layout"),
    ({"type": "MOSAIC"}, "type"),
    ({"type": 3}, "type"),
    ({"gridSize": 26}, "gridSize"),
    ({"gridSize": -1}, "gridSize"),
    ({"gridSize": True}, "gridSize"),
    ({"gridSize": 2.5}, "gridSize"),
    ({"priority": "LOUDEST"}, "priority"),
    ({"type": "GRID", "columns": 3}, "columns"),
    ({"boxes": []}, "boxes"),
    ({"boxes": {}}, "boxes"),
    ({"boxes": box()["boxes"] * 65}, "boxes"),
    ({"boxes": ["x"]}, "boxes[0]"),
    ({"type": "GRID", "boxes": box()["boxes"]}, "type"),
    ({"boxes": [*box()["boxes"], PLACE | {"show": {"speaker": 0}, "x": 2}]}, "boxes[1].x"),
    (box(x=math.nan), "boxes[0].x"),
    (box(x=True), "boxes[0].x"),
    (box(x="0"), "boxes[0].x"),
    (box(x=None), "boxes[0].x"),
    (box(width=0), "boxes[0].width"),
    (box(x=0.6), "boxes[0].width"),
    (box(y=0.6), "boxes[0].height"),
    (box(z=101), "boxes[0].z"),
    (box(fit="stretch"), "boxes[0].fit"),
    (box(cornerRadius=0.6), "boxes[0].cornerRadius"),
    (box(border="red"), "boxes[0].border"),
    (box(border={"color": "red"}), "boxes[0].border.color"),
    (box(border={"color": "#1234567"}), "boxes[0].border.color"),
    (box(border={"size": 1}), "boxes[0].border.size"),
    (box(showName=1), "boxes[0].showName"),
    (box(oops=1), "boxes[0].oops"),
    (box(text={"text": "x"}), "boxes[0]"),
    ({"boxes": [PLACE]}, "boxes[0]"),
    (box(show={}), "boxes[0].show"),
    (box(show={"speaker": 0, "person": 0}), "boxes[0].show"),
    (box(show={"speaker": -1}), "boxes[0].show.speaker"),
    (box(show={"speaker": None}), "boxes[0].show.speaker"),
    (box(show={"participantId": ""}), "boxes[0].show.participantId"),
    (box(show={"participantId": "a" * 129}), "boxes[0].show.participantId"),
    (box(show={"participantId": "a", "source": "mic"}), "boxes[0].show.source"),
    (box(show={"speaker": 0, "source": "screen"}), "boxes[0].show.source"),
    ({"boxes": [PLACE | {"text": {}}]}, "boxes[0].text.text"),
    ({"boxes": [PLACE | {"text": {"text": "x" * 501}}]}, "boxes[0].text.text"),
    ({"boxes": [PLACE | {"text": {"text": "a\x00b"}}]}, "boxes[0].text.text"),
    ({"boxes": [PLACE | {"text": {"text": "\ud800"}}]}, "boxes[0].text.text"),
    ({"boxes": [PLACE | {"text": {"text": "x", "size": 0.6}}]}, "boxes[0].text.size"),
    ({"boxes": [PLACE | {"image": {}}]}, "boxes[0].image.name"),
    *(
        ({"boxes": [PLACE | {"image": {"name": name}}]}, "boxes[0].image.name")
        for name in ("../secret", "/etc/passwd", "a/b.png", "a\\b.png", ".hidden", "a..b", "", "a\n", 3, "x" * 101)
    ),
    (box() | {"background": "#000000"}, "background"),
    (box() | {"background": {"color": "black"}}, "background.color"),
    (box() | {"background": {"image": "../x"}}, "background.image"),
]


@pytest.mark.parametrize(("wire", "path"), REFUSED, ids=[f"{index}-{path}" for index, (_, path) in enumerate(REFUSED)])
def test_what_is_wrong_is_named_by_its_path(wire: dict, path: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_layout(wire)
    assert str(caught.value).startswith(f"{path}: ")


def test_an_error_says_what_is_right() -> None:
    with pytest.raises(ParseError, match=r"boxes\[0\]\.x: must be a number from 0 to 1"):
        parse_layout(box(x=-1))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["x", "y", "width", "height", "z", "fit", "show", "text", "image", "border", "cornerRadius"])


@given(VALUES, st.lists(st.dictionaries(FIELDS, VALUES, max_size=8) | VALUES, max_size=4), VALUES)
def test_nothing_but_parse_errors(anything: object, boxes: list, background: object) -> None:
    for wire in (anything, {"boxes": boxes, "background": background}):
        try:
            parse_layout(wire)  # type: ignore[arg-type]
        except ParseError:
            pass


@pytest.mark.parametrize(
    ("quality", "orientation", "size"),
    [("low", "landscape", (854, 480)), ("med", "landscape", (1280, 720)), ("high", "portrait", (1080, 1920))],
)
def test_canvas_sizes(quality: str, orientation: str, size: tuple[int, int]) -> None:
    assert canvas_size(quality, orientation) == size


def test_unknown_qualities_are_refused() -> None:
    with pytest.raises(ParseError, match="quality"):
        canvas_size("ultra", "landscape")
    with pytest.raises(ParseError, match="orientation"):
        canvas_size("low", "sideways")


def test_the_documentation_s_layouts_are_right() -> None:
    page = (Path(__file__).parents[3] / "docs" / "layouts.md").read_text()
    examples = [json.loads(block.split("```")[0]) for block in page.split("```json\n")[1:]]
    assert [parse_layout(example).type for example in examples] == ["GRID", "CUSTOM"]
    fields = {"x", "y", "width", "height", "z", "fit", "cornerRadius", "border", "showName", "highlight", "keepEmpty"}
    assert all(f"`{field}`" in page for field in fields)
