"""How tiles move: by time only, from where they were to where they are to be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sfu.compose.arrange import Camera, Cast, Rect, arrange
from sfu.compose.layout import Layout
from sfu.compose.transition import DURATION, Placed, Transition, between, scaled


def grid(*people: str) -> list[Placed]:
    cells = arrange(Layout(), Cast(people), 1280, 720)
    return [Placed(cell.key, cell.rect) for cell in cells if isinstance(cell.show, Camera)]


def test_it_begins_where_tiles_were_and_ends_where_they_are_to_be() -> None:
    before, after = grid("a", "b"), grid("a", "b", "c")
    transition = Transition(before, after, 10.0)
    first = {placed.key: placed for placed in transition.at(10.0)}
    assert [first[placed.key] for placed in before] == before
    assert first["camera", "c"].alpha == 0
    assert transition.at(10.0 + DURATION) == after
    assert not transition.is_over(10.0 + DURATION - 0.001)
    assert transition.is_over(10.0 + DURATION)


def test_the_same_time_gives_the_same_picture() -> None:
    one, other = (Transition(grid("a", "b"), grid("b", "c"), 5.0) for _ in range(2))
    other.at(5.2)
    assert one.at(5.1) == other.at(5.1)


def test_who_leaves_fades_below_the_others() -> None:
    transition = Transition(grid("a", "b", "c"), grid("a", "b"), 0.0)
    middle = transition.at(DURATION / 2)
    assert middle[0].key == ("camera", "c") and 0 < middle[0].alpha < 1
    assert [placed.key for placed in transition.at(DURATION)][1:] == [("camera", "a"), ("camera", "b")]
    assert transition.at(DURATION)[0].alpha == 0


def test_who_takes_a_place_grows_over_nobody() -> None:
    """One picture into the other, at full size, without the background between."""
    place = Rect(0, 0, 1280, 720)
    middle = Transition([Placed(("camera", "a"), place)], [Placed(("camera", "b"), place)], 0.0).at(0.1)
    assert middle[0] == Placed(("camera", "a"), place, 1.0)
    assert middle[1].rect == place and 0 < middle[1].alpha < 1


def test_a_change_on_the_way_begins_where_tiles_are() -> None:
    first = Transition(grid("a"), grid("a", "b"), 0.0)
    on_the_way = first.at(0.1)
    second = Transition(on_the_way, grid("a", "b", "c"), 0.1)
    now = {placed.key: placed for placed in second.at(0.1)}
    assert [now[placed.key] for placed in on_the_way] == on_the_way


RECTS = st.builds(Rect, *(st.integers(0, 300).map(lambda value: value * 2) for _ in range(2)), *(st.integers(1, 300).map(lambda value: value * 2) for _ in range(2)))  # fmt: skip


@given(RECTS, RECTS, st.floats(0, 1))
def test_places_on_the_way_are_even_and_between(old: Rect, new: Rect, part: float) -> None:
    rect = between(old, new, part)
    assert not any(number % 2 for number in (rect.x, rect.y, rect.width, rect.height))
    assert min(old.x, new.x) <= rect.x and rect.right <= max(old.right, new.right)
    assert min(old.y, new.y) <= rect.y and rect.bottom <= max(old.bottom, new.bottom)
    assert between(old, new, 0) == old and between(old, new, 1) == new


@given(RECTS, st.floats(0, 1))
def test_smaller_tiles_are_inside_and_even(rect: Rect, size: float) -> None:
    small = scaled(rect, size)
    assert not any(number % 2 for number in (small.x, small.y, small.width, small.height))
    assert rect.x <= small.x and small.right <= rect.right and rect.y <= small.y and small.bottom <= rect.bottom
    assert small.width >= 2 and small.height >= 2
