"""Who stands where: people and a layout in, boxes of even pixels out. Pure; what a layout is stands in `layout.py`.

Every box begins and ends at even pixels, because colour has half the resolution (4:2:0).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sfu.compose import layout as lay
from sfu.compose.layout import Box, Fit, Layout

# How wide a person's tile may be by its height: cameras are 16:9, and a face is in the middle of them. A little more than
# that, so that rows with gaps between fill a canvas of 16:9.
LANDSCAPE_ASPECTS = (4 / 3, 1.85)
PORTRAIT_ASPECTS = (3 / 4, 1.85)
GAP = 1 / 90  # of the canvas's shorter side: 8 pixels at 720
RADIUS = 1 / 72  # likewise
MAX_SHARES = 4  # side by side in a named layout; more people share than anybody can read
# The strip beside a share or a speaker, of the canvas's longer side, for so many people and fewer.
STRIPS = ((4, 0.2), (10, 0.25), (lay.MAX_TILES, 0.34))


@dataclass(frozen=True, slots=True)
class Rect:
    """Pixels of the canvas, all of them even."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    def overlaps(self, other: Rect) -> bool:
        return self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom


@dataclass(frozen=True, slots=True)
class Camera:
    """A person: the camera's picture, or a placeholder."""

    participant_id: str


@dataclass(frozen=True, slots=True)
class Share:
    participant_id: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A place of the canvas and what is in it: a person, a share, a text, an image, or nobody (None)."""

    rect: Rect
    show: Camera | Share | lay.ShowText | lay.ShowImage | None
    fit: Fit | Literal["auto"] = "auto"
    """`auto` covers, but shows an upright picture in a wide tile as a whole: its face is not in the middle."""
    radius: int = 0
    border_color: str = "#ffffff"
    border_width: int = 0
    show_name: bool = True
    highlight: bool = True
    key: tuple[str, str] = ("", "")
    """Who it is while it moves: the same person's tile before and after a change."""
    place: int = -1
    """Which of a layout's boxes for `person` it is; -1: none of them."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody who could be in the picture, in the order of joining."""

    people: tuple[str, ...] = ()
    cameras: frozenset[str] = frozenset()
    """Those with a camera on."""
    shares: tuple[str, ...] = ()
    """Those who share their screen, latest first."""
    speakers: tuple[str, ...] = ()
    """Who speaks or spoke last, then those who spoke before."""
    pinned_cameras: tuple[str, ...] = ()
    pinned_shares: tuple[str, ...] = ()


def arrange(layout: Layout, cast: Cast, width: int, height: int, previous: Sequence[Cell] = ()) -> tuple[Cell, ...]:
    """The cells of the picture, from the lowest to the highest. `previous` keeps people at their places."""
    if layout.type == "CUSTOM":
        placed = sorted((cell for cell in previous if cell.place >= 0), key=lambda cell: cell.place)
        return _boxes(layout, cast, width, height, _people_of(placed))
    seen = _people_of(previous)
    return _Named(layout, cast, width, height, seen).cells()


def _people_of(cells: Sequence[Cell]) -> tuple[str, ...]:
    return tuple(cell.show.participant_id for cell in cells if isinstance(cell.show, Camera))


def choose(
    layout: Layout, cast: Cast, count: int, seen: Sequence[str] = (), leave_out: Iterable[str] = ()
) -> tuple[str, ...]:
    """At most `count` people. Who was seen keeps the place; who comes instead of somebody takes that place."""
    ranked = _ranked(layout, cast, seen, set(leave_out))
    wanted = set(ranked[:count])
    slots = [participant_id if participant_id in wanted else None for participant_id in seen][:count]
    newcomers = iter([who for who in ranked[:count] if who not in set(slots)])
    if len(ranked) > count or leave_out:  # somebody makes room for somebody; else places close up when people go
        slots = [who or next(newcomers, None) for who in slots]
    return (*(who for who in slots if who), *newcomers)


def _ranked(layout: Layout, cast: Cast, seen: Sequence[str], leave_out: set[str]) -> list[str]:
    """Most worth showing first; equals by who is seen already, then by the order of joining."""
    spoke = {who: index for index, who in reversed(list(enumerate(cast.speakers)))}
    pinned = {who: index for index, who in reversed(list(enumerate(cast.pinned_cameras)))}
    present = set(seen)
    never = len(cast.people) + len(spoke) + len(pinned)

    def rank(who: str) -> tuple[int, int, bool, bool]:
        pin = pinned.get(who, never) if layout.priority == "PIN" else never
        return pin, spoke.get(who, never), who not in cast.cameras, who not in present

    return sorted((who for who in cast.people if who not in leave_out), key=rank)


def tiling(count: int, area: Rect, gap: int, aspects: tuple[float, float]) -> tuple[Rect, ...]:
    """`count` equal tiles, as large as their aspects let them be, centred in the area; the last row centred too."""
    best = (0, 0, 1)
    for columns in range(1, count + 1):
        rows = -(-count // columns)
        room_x, room_y = (area.width - gap * (columns - 1)) / columns, (area.height - gap * (rows - 1)) / rows
        size = even(min(room_x, room_y * aspects[1])), even(min(room_y, room_x / aspects[0]))
        if min(size) >= 2 and size[0] * size[1] > best[0] * best[1]:
            best = (*size, columns)
    width, height, columns = best
    if not width:
        return ()
    rows = -(-count // columns)
    top = area.y + even((area.height - rows * height - (rows - 1) * gap) / 2)
    tiles = []
    for row in range(rows):
        inside = min(columns, count - row * columns)
        left = area.x + even((area.width - inside * width - (inside - 1) * gap) / 2)
        y = top + row * (height + gap)
        tiles += [Rect(left + column * (width + gap), y, width, height) for column in range(inside)]
    return tuple(tiles)


def fitted(width: int, height: int, room: tuple[int, int], fit: Fit) -> tuple[int, int]:
    """Size of a picture scaled into a room with its aspect kept: all of it (`contain`) or all of the room (`cover`)."""
    scales = room[0] / width, room[1] / height
    scale = min(scales) if fit == "contain" else max(scales)
    return max(even(width * scale + 1), 2), max(even(height * scale + 1), 2)


def even(value: float) -> int:
    """The even number at or below it."""
    return int(value) // 2 * 2


class _Named:
    """GRID, SPOTLIGHT and SIDEBAR."""

    def __init__(self, layout: Layout, cast: Cast, width: int, height: int, seen: tuple[str, ...]) -> None:
        self.layout, self.cast, self.seen = layout, cast, seen
        self.width, self.height = width, height
        self.gap = max(even(min(width, height) * GAP), 2)
        self.radius = round(min(width, height) * RADIUS)
        self.is_landscape = width >= height
        self.aspects = LANDSCAPE_ASPECTS if self.is_landscape else PORTRAIT_ASPECTS
        self.inside = Rect(self.gap, self.gap, width - 2 * self.gap, height - 2 * self.gap)

    def cells(self) -> tuple[Cell, ...]:
        shares = _shares(self.layout, self.cast)[:MAX_SHARES]
        spotlight = self.layout.type == "SPOTLIGHT"
        if shares:
            return self._beside(shares, self._spotlit() if spotlight else self._people())
        if spotlight:
            return self._grid(self._spotlit())
        people = self._people()
        if self.layout.type == "SIDEBAR" and len(people) > 1:
            main = self._main()
            # Who leaves the main place takes that of who came there: the others stay where they are.
            seen = [self.seen[0] if who == main else who for who in self.seen[1:]]
            side = choose(self.layout, self.cast, self.layout.grid_size - 1, seen, {main})
            return self._with_main(main, side)
        return self._grid(people)

    def _people(self) -> tuple[str, ...]:
        """Pinned ones first where pins count."""
        pinned = self._pinned()
        rest = choose(self.layout, self.cast, self.layout.grid_size - len(pinned), self.seen, pinned)
        return (*pinned, *rest)

    def _pinned(self) -> tuple[str, ...]:
        if self.layout.priority != "PIN":
            return ()
        return tuple(who for who in self.cast.pinned_cameras if who in self.cast.people)[: self.layout.grid_size]

    def _main(self) -> str:
        """The first pinned, or who speaks or spoke last; who was there stays when nobody did."""
        return _ranked(self.layout, self.cast, self.seen[:1], set())[0]

    def _spotlit(self) -> tuple[str, ...]:
        """One, or everybody who is pinned."""
        return self._pinned() or ((self._main(),) if self.cast.people else ())

    def _grid(self, people: Sequence[str]) -> tuple[Cell, ...]:
        if len(people) == 1 and self.aspects[0] <= self.width / self.height <= self.aspects[1]:
            return (_person(people[0], Rect(0, 0, self.width, self.height), 0),)
        tiles = tiling(len(people), self.inside, self.gap, self.aspects)
        return tuple(self._tile(who, rect) for who, rect in zip(people, tiles, strict=False))

    def _with_main(self, main: str, side: Sequence[str]) -> tuple[Cell, ...]:
        room, tiles = self._split(len(side))
        place = tiling(1, room, self.gap, self.aspects)[0]
        return (self._tile(main, place), *(self._tile(who, rect) for who, rect in zip(side, tiles, strict=False)))

    def _beside(self, shares: Sequence[str], people: Sequence[str]) -> tuple[Cell, ...]:
        """Shares have the room, people are at the side."""
        room, tiles = self._split(len(people))
        places = (room,) if len(shares) == 1 else tiling(len(shares), room, self.gap, (1.0, 2.0))
        cells = [
            Cell(rect, Share(who), "contain", self._radius(rect), highlight=False, key=("share", who))
            for who, rect in zip(shares, places, strict=False)
        ]
        return (*cells, *(self._tile(who, rect) for who, rect in zip(people, tiles, strict=False)))

    def _split(self, count: int) -> tuple[Rect, tuple[Rect, ...]]:
        """The main room, and the tiles of a strip at its right, or below it where the canvas stands upright."""
        inside, gap = self.inside, self.gap
        if not count:
            return inside, ()
        part = next(part for most, part in STRIPS if count <= most)
        if self.is_landscape:
            wide = even(self.width * part)
            tiles = tiling(count, Rect(inside.right - wide, inside.y, wide, inside.height), gap, LANDSCAPE_ASPECTS)
            left, right = min(rect.x for rect in tiles), max(rect.right for rect in tiles)
            tiles = tuple(replace(rect, x=rect.x + inside.right - right) for rect in tiles)
            return Rect(inside.x, inside.y, inside.width - (right - left) - gap, inside.height), tiles
        high = even(self.height * part)
        tiles = tiling(count, Rect(inside.x, inside.bottom - high, inside.width, high), gap, PORTRAIT_ASPECTS)
        top, bottom = min(rect.y for rect in tiles), max(rect.bottom for rect in tiles)
        tiles = tuple(replace(rect, y=rect.y + inside.bottom - bottom) for rect in tiles)
        return Rect(inside.x, inside.y, inside.width, inside.height - (bottom - top) - gap), tiles

    def _tile(self, who: str, rect: Rect) -> Cell:
        return _person(who, rect, self._radius(rect))

    def _radius(self, rect: Rect) -> int:
        return min(self.radius, min(rect.width, rect.height) // 8)


def _person(who: str, rect: Rect, radius: int) -> Cell:
    return Cell(rect, Camera(who), "auto", radius, key=("camera", who))


def _shares(layout: Layout, cast: Cast) -> list[str]:
    """Pinned ones first where pins count, then the latest."""
    pinned = [who for who in cast.pinned_shares if who in cast.shares] if layout.priority == "PIN" else []
    return pinned + [who for who in cast.shares if who not in pinned]


def _boxes(layout: Layout, cast: Cast, width: int, height: int, seen: tuple[str, ...]) -> tuple[Cell, ...]:
    """Each camera and each share is shown in one box: boxes for somebody chosen come first, then pinned, speakers, people."""
    filled: dict[int, Camera | Share] = {}
    taken: set[str] = set()

    def fill(kind: type, ids: Sequence[str], what: type[Camera] | type[Share]) -> None:
        for index, box in enumerate(layout.boxes):
            if isinstance(box.show, kind) and box.show.index < len(ids):
                filled[index] = what(ids[box.show.index])
        if what is Camera:
            taken.update(item.participant_id for item in filled.values() if isinstance(item, Camera))

    for index, box in enumerate(layout.boxes):
        if isinstance(box.show, lay.ShowParticipant):
            who, is_screen = box.show.participant_id, box.show.source == "screen"
            if who in (cast.shares if is_screen else cast.people):
                filled[index] = Share(who) if is_screen else Camera(who)
    chosen = {item.participant_id for item in filled.values() if isinstance(item, Share)}
    taken.update(item.participant_id for item in filled.values() if isinstance(item, Camera))
    fill(lay.ShowShare, [who for who in _shares(layout, cast) if who not in chosen], Share)
    fill(lay.ShowPinned, [who for who in cast.pinned_cameras if who in cast.people and who not in taken], Camera)
    speakers = replace(layout, priority="SPEAKER")
    fill(lay.ShowSpeaker, _ranked(speakers, cast, (), taken), Camera)
    places = 1 + max((box.show.index for box in layout.boxes if isinstance(box.show, lay.ShowPerson)), default=-1)
    fill(lay.ShowPerson, choose(layout, cast, places, seen, taken), Camera)
    cells = [(box.z, _cell(box, index, filled.get(index), width, height)) for index, box in enumerate(layout.boxes)]
    return tuple(cell for _, cell in sorted(cells, key=lambda pair: pair[0]) if cell is not None)


def _cell(box: Box, index: int, item: Camera | Share | None, width: int, height: int) -> Cell | None:
    show: Camera | Share | lay.ShowText | lay.ShowImage | None = item
    default: Fit | Literal["auto"] = "auto"
    key: tuple[str, str] = ("box", str(index))
    if isinstance(box.show, lay.ShowText | lay.ShowImage):
        show, default = box.show, "contain"
    elif item is None and not box.keep_empty:
        return None
    elif isinstance(item, Share):
        default, key = "contain", ("share", item.participant_id)
    elif isinstance(item, Camera):
        key = ("camera", item.participant_id)
    left, top = even(box.x * width + 1), even(box.y * height + 1)
    right, bottom = even((box.x + box.width) * width + 1), even((box.y + box.height) * height + 1)
    rect = Rect(left, top, max(right - left, 2), max(bottom - top, 2))
    rect = replace(rect, x=min(left, width - rect.width), y=min(top, height - rect.height))
    return Cell(
        rect,
        show,
        box.fit or default,
        radius=round(box.corner_radius * min(rect.width, rect.height)),
        border_color=box.border_color,
        border_width=round(box.border_width * min(width, height)),
        show_name=box.show_name,
        highlight=box.highlight and isinstance(show, Camera),
        key=key,
        place=box.show.index if isinstance(box.show, lay.ShowPerson) else -1,
    )
