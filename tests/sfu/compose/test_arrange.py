"""Geometry, by its properties; places, by who comes, goes and speaks."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.compose.arrange import Camera, Cast, Cell, Rect, Share, arrange, choose, fitted, tiling
from sfu.compose.layout import SIZES, Layout, parse_layout

CANVASES = st.sampled_from([size for pair in SIZES.values() for size in (pair, pair[::-1])])
NAMED = st.builds(
    Layout, st.sampled_from(["GRID", "SPOTLIGHT", "SIDEBAR"]), st.sampled_from(["SPEAKER", "PIN"]), st.integers(1, 25)
)


@st.composite
def casts(draw: st.DrawFn) -> Cast:
    people = tuple(f"p{number}" for number in range(draw(st.integers(0, 40))))
    some = st.lists(st.sampled_from(people), unique=True, max_size=8) if people else st.just([])
    return Cast(
        people,
        frozenset(draw(some)),
        tuple(draw(some)),
        (*draw(some), "somebody who left"),
        (*draw(some), "somebody who left"),
        tuple(draw(some)),
    )


def people_in(cells: tuple[Cell, ...]) -> list[str]:
    return [cell.show.participant_id for cell in cells if isinstance(cell.show, Camera)]


def crowd(count: int, **fields: object) -> Cast:
    return Cast(tuple(f"p{number}" for number in range(count)), **fields)  # type: ignore[arg-type]


@given(NAMED, casts(), CANVASES)
def test_named_layouts_are_sound(layout: Layout, cast: Cast, canvas: tuple[int, int]) -> None:
    width, height = canvas
    cells = arrange(layout, cast, width, height)
    for cell in cells:
        rect = cell.rect
        assert rect.width >= 2 and rect.height >= 2
        assert 0 <= rect.x and 0 <= rect.y and rect.right <= width and rect.bottom <= height
        assert not any(number % 2 for number in (rect.x, rect.y, rect.width, rect.height))
        assert 2 * cell.radius <= min(rect.width, rect.height)
    assert not [pair for pair in combinations(cells, 2) if pair[0].rect.overlaps(pair[1].rect)]
    people = people_in(cells)
    assert len(people) == len(set(people)) <= layout.grid_size
    assert set(people) <= set(cast.people)
    if layout.type != "SPOTLIGHT":
        assert len(people) == min(len(cast.people), layout.grid_size)
    shares = [cell for cell in cells if isinstance(cell.show, Share)]
    assert len(shares) == min(len(cast.shares), 4)
    assert [cell.key for cell in cells] == list(dict.fromkeys(cell.key for cell in cells))


@given(st.integers(1, 25), CANVASES, st.integers(1, 25))
def test_grid_tiles_are_equal_and_of_a_camera_s_shape(count: int, canvas: tuple[int, int], grid_size: int) -> None:
    cells = arrange(Layout(grid_size=grid_size), crowd(count), *canvas)
    assert len({(cell.rect.width, cell.rect.height) for cell in cells}) == 1
    rect = cells[0].rect
    low = 4 / 3 if canvas[0] > canvas[1] else 3 / 4
    # Even pixels take their part of a small tile.
    assert low * (1 - 3 / rect.height) <= rect.width / rect.height <= 1.85 * (1 + 3 / rect.height)


@given(st.integers(1, 25), CANVASES)
def test_a_grid_is_as_large_as_the_canvas_lets_it(count: int, canvas: tuple[int, int]) -> None:
    cells = arrange(Layout(), crowd(count), *canvas)
    left, right = min(cell.rect.x for cell in cells), max(cell.rect.right for cell in cells)
    top, bottom = min(cell.rect.y for cell in cells), max(cell.rect.bottom for cell in cells)
    gap = max(int(min(canvas) / 90) // 2 * 2, 2)
    assert min(left + canvas[0] - right, top + canvas[1] - bottom) <= 2 * gap + 12  # it fills one direction
    assert abs(left - (canvas[0] - right)) <= 2 and abs(top - (canvas[1] - bottom)) <= 2  # and is in the middle


@given(casts(), CANVASES)
def test_a_share_has_most_of_the_room(cast: Cast, canvas: tuple[int, int]) -> None:
    cells = arrange(Layout("SIDEBAR"), cast, *canvas)
    share = sum(cell.rect.width * cell.rect.height for cell in cells if isinstance(cell.show, Share))
    people = [cell.rect.width * cell.rect.height for cell in cells if isinstance(cell.show, Camera)]
    if len(cast.shares) == 1 and len(people) <= 25:
        assert share > 0.5 * canvas[0] * canvas[1]
        assert all(share > 4 * one for one in people)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(2, 2000), st.integers(2, 2000))
def test_fitting_keeps_the_aspect(width: int, height: int, room_width: int, room_height: int) -> None:
    inside, over = (fitted(width, height, (room_width, room_height), fit) for fit in ("contain", "cover"))
    assert inside[0] <= room_width + 1 and inside[1] <= room_height + 1
    assert over[0] >= room_width - 1 and over[1] >= room_height - 1
    for made in (inside, over):
        scale = made[0] / width if made[0] > made[1] else made[1] / height
        assert abs(made[0] - width * scale) <= 3 + 2 * scale * width / max(made)
        assert not made[0] % 2 and not made[1] % 2


def test_tiles_need_room() -> None:
    assert tiling(9, Rect(0, 0, 4, 4), 2, (1, 2)) == ()
    assert tiling(0, Rect(0, 0, 400, 400), 2, (1, 2)) == ()


def test_one_person_has_the_whole_canvas() -> None:
    assert arrange(Layout(), crowd(1), 1280, 720)[0].rect == Rect(0, 0, 1280, 720)


def test_nobody_is_nothing() -> None:
    for kind in ("GRID", "SPOTLIGHT", "SIDEBAR"):
        assert arrange(Layout(kind), Cast(), 1280, 720) == ()


# Who is where


def test_speaking_moves_nobody_who_is_seen() -> None:
    before = arrange(Layout(), crowd(9), 1280, 720)
    after = arrange(Layout(), crowd(9, speakers=("p7", "p2")), 1280, 720, before)
    assert after == before


def test_a_speaker_comes_in_for_who_was_silent_longest_and_takes_that_place() -> None:
    layout, speakers = Layout(grid_size=4), ("p1", "p0", "p3")
    before = arrange(layout, crowd(9, speakers=speakers), 1280, 720)
    assert set(people_in(before)) == {"p0", "p1", "p2", "p3"}
    place = people_in(before).index("p2")
    after = people_in(arrange(layout, crowd(9, speakers=("p8", *speakers)), 1280, 720, before))
    assert after[place] == "p8"
    assert [who for who in after if who != "p8"] == [who for who in people_in(before) if who != "p2"]


@given(st.lists(st.integers(0, 29), min_size=1, max_size=40), st.integers(1, 25))
def test_a_change_of_speaker_moves_one_place_at_most(turns: list[int], grid_size: int) -> None:
    layout, order, cells = Layout(grid_size=grid_size), (), arrange(Layout(grid_size=grid_size), crowd(30), 1280, 720)
    for turn in turns:
        order = (f"p{turn}", *(who for who in order if who != f"p{turn}"))
        after = arrange(layout, crowd(30, speakers=order), 1280, 720, cells)
        assert f"p{turn}" in people_in(after)
        changed = sum(one != other for one, other in zip(people_in(cells), people_in(after), strict=True))
        assert changed <= 1
        cells = after


def test_who_leaves_a_full_grid_is_replaced_where_they_were() -> None:
    layout = Layout(grid_size=3)
    before = arrange(layout, crowd(5), 1280, 720)
    cast = Cast(tuple(who for who in crowd(5).people if who != "p1"))
    assert people_in(arrange(layout, cast, 1280, 720, before)) == ["p0", "p3", "p2"]


def test_places_close_up_when_everybody_is_seen() -> None:
    before = arrange(Layout(), crowd(5), 1280, 720)
    cast = Cast(("p0", "p2", "p3", "p4", "new"))
    assert people_in(arrange(Layout(), cast, 1280, 720, before)) == ["p0", "p2", "p3", "p4", "new"]


def test_cameras_come_before_those_without() -> None:
    assert choose(Layout(), crowd(4, cameras=frozenset({"p3", "p1"})), 2) == ("p1", "p3")


def test_pins_count_where_the_layout_says_so() -> None:
    cast = crowd(6, speakers=("p1",), pinned_cameras=("p4", "p5"))
    assert people_in(arrange(Layout("SPOTLIGHT"), cast, 1280, 720)) == ["p1"]
    assert people_in(arrange(Layout("SPOTLIGHT", "PIN"), cast, 1280, 720)) == ["p4", "p5"]
    assert people_in(arrange(Layout("SIDEBAR", "PIN"), cast, 1280, 720))[0] == "p4"
    assert people_in(arrange(Layout("GRID", "PIN", 3), cast, 1280, 720)) == ["p4", "p5", "p1"]


def test_a_pinned_share_goes_before_the_latest() -> None:
    cast = crowd(2, shares=("p1", "p0"), pinned_shares=("p0",))
    assert arrange(Layout(), cast, 1280, 720)[0].show == Share("p1")
    assert arrange(Layout(priority="PIN"), cast, 1280, 720)[0].show == Share("p0")


def test_the_sidebar_changes_two_places_when_another_speaks() -> None:
    layout = Layout("SIDEBAR")
    before = arrange(layout, crowd(5, speakers=("p0",)), 1280, 720)
    assert people_in(before) == ["p0", "p1", "p2", "p3", "p4"]
    after = arrange(layout, crowd(5, speakers=("p3", "p0")), 1280, 720, before)
    assert people_in(after) == ["p3", "p1", "p2", "p0", "p4"]


def test_the_spotlight_stays_when_nobody_speaks() -> None:
    layout = Layout("SPOTLIGHT")
    before = arrange(layout, crowd(3, speakers=("p2",)), 1280, 720)
    assert people_in(arrange(layout, crowd(3, speakers=("p2",)), 1280, 720, before)) == ["p2"]


# Boxes


def boxes(*shows: dict, **fields: object) -> Layout:
    place = {"x": 0, "y": 0, "width": 0.5, "height": 0.5}
    return parse_layout({"boxes": [place | {"show": show} | fields for show in shows]})


def test_each_camera_is_in_one_box() -> None:
    layout = boxes({"person": 0}, {"speaker": 0}, {"participantId": "p2"}, {"pinned": 0}, {"person": 1}, {"speaker": 1})
    cast = crowd(8, speakers=("p2", "p5", "p1"), pinned_cameras=("p4",))
    assert people_in(arrange(layout, cast, 1280, 720)) == ["p0", "p5", "p2", "p4", "p3", "p1"]


def test_empty_boxes_are_left_out_or_kept() -> None:
    wanted = ({"share": 0}, {"pinned": 0}, {"participantId": "gone"}, {"person": 3})
    assert arrange(boxes(*wanted), crowd(2), 1280, 720) == ()
    kept = arrange(boxes(*wanted, keepEmpty=True), crowd(2), 1280, 720)
    assert [cell.show for cell in kept] == [None] * 4


def test_boxes_stand_by_height_then_by_order() -> None:
    wire = {
        "boxes": [
            {"x": 0, "y": 0, "width": 1, "height": 1, "z": z, "text": {"text": text}}
            for z, text in ((1, "b"), (-1, "a"), (1, "c"))
        ]
    }
    cells = arrange(parse_layout(wire), Cast(), 1280, 720)
    assert [cell.show.text for cell in cells] == ["a", "b", "c"]  # type: ignore[union-attr]


def test_people_keep_their_boxes_when_speakers_change() -> None:
    layout = boxes({"speaker": 0}, {"person": 0}, {"person": 1}, {"person": 2})
    before = arrange(layout, crowd(4, speakers=("p0",)), 1280, 720)
    assert people_in(before) == ["p0", "p1", "p2", "p3"]
    after = arrange(layout, crowd(4, speakers=("p2", "p0")), 1280, 720, before)
    assert people_in(after) == ["p2", "p1", "p0", "p3"]


UNIT = st.floats(0, 1)


@given(UNIT, UNIT, st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0, 0.5), CANVASES)
def test_boxes_are_inside_and_even(
    x: float, y: float, width: float, height: float, radius: float, canvas: tuple[int, int]
) -> None:
    width, height = min(width, 1 - x), min(height, 1 - y)
    if width < 0.01 or height < 0.01:
        return
    wire = {"x": x, "y": y, "width": width, "height": height, "show": {"person": 0}, "cornerRadius": radius}
    (cell,) = arrange(parse_layout({"boxes": [wire]}), crowd(1), *canvas)
    rect = cell.rect
    assert not any(number % 2 for number in (rect.x, rect.y, rect.width, rect.height))
    assert 0 <= rect.x and 0 <= rect.y and rect.right <= canvas[0] and rect.bottom <= canvas[1]
    assert abs(rect.x - x * canvas[0]) <= 2 and abs(rect.width - width * canvas[0]) <= 2.1


@pytest.mark.parametrize("columns", [2, 3, 5, 7])
def test_neighbouring_boxes_leave_no_gap(columns: int) -> None:
    wire = [
        {"x": index / columns, "y": 0, "width": 1 / columns, "height": 1, "show": {"person": index}}
        for index in range(columns)
    ]
    cells = arrange(parse_layout({"boxes": wire}), crowd(columns), 1280, 720)
    assert [cell.rect.x for cell in cells[1:]] == [cell.rect.right for cell in cells[:-1]]
    assert cells[-1].rect.right == 1280
