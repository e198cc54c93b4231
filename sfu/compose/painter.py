"""Tiles onto canvases: what has changed since a canvas was painted last, and no more. Everything while tiles move.

Two canvases take turns, so that an encoder may hold the last picture while the next is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from weakref import WeakKeyDictionary

import av
import numpy as np

from sfu.compose.arrange import Rect
from sfu.compose.canvas import Blend, Canvas, Patch
from sfu.compose.tile import Tile

CANVASES = 2


class Painter:
    """`tiles` are painted in their order, the lowest first; `background` is below them all."""

    def __init__(self, width: int, height: int) -> None:
        self.background = Canvas(width, height)
        self._ring = [_Painted(Canvas(width, height)) for _ in range(CANVASES)]
        self._items: list[_Item] = []
        self._groups: list[list[_Item]] = []
        self._plan = 0
        self._patches: WeakKeyDictionary[Tile, tuple[np.ndarray, Patch]] = WeakKeyDictionary()

    def set_tiles(self, tiles: Sequence[Tile]) -> None:
        """Where tiles are, or what is below them, has changed: everything is painted anew."""
        self._plan += 1
        self._items = [
            _Item(tile, any(tile.rect.overlaps(other.rect) for other in tiles[:index]))
            for index, tile in enumerate(tiles)
        ]
        self._groups = _overlapping(self._items)

    def still(self) -> av.VideoFrame:
        """The picture while nobody moves."""
        painted = self._next()
        if painted.plan != self._plan:
            painted.canvas.copy(self.background)
            painted.plan = self._plan
            painted.stamps.clear()
        for number, group in enumerate(self._groups):
            stamps = [item.tile.stamp for item in group]
            if painted.stamps.get(number) != stamps:
                painted.stamps[number] = stamps
                self._paint_group(painted.canvas, group)
        return painted.canvas.to_frame()

    def moving(self, placed: Iterable[tuple[Tile, Rect, float]]) -> av.VideoFrame:
        """The picture at a moment of a transition: every tile at a place and a visibility."""
        painted = self._next()
        painted.plan = -1
        canvas = painted.canvas
        canvas.copy(self.background)
        for tile, rect, alpha in placed:
            if tile.image is not None:
                self._patch(tile, tile.image).at(tile.rect.x, tile.rect.y).faded(alpha).apply(canvas.flat)
                continue
            _lay(canvas, tile, rect, alpha, canvas.edge(rect, _radius(tile, rect), *tile.border()))
            drawn = tile.badge()
            if drawn is None or drawn.shape[0] >= rect.height // 2:
                continue
            x, y = tile.badge_place(rect)
            if x + drawn.shape[1] <= rect.right:
                self._patch(tile, drawn).at(x, y).faded(alpha).apply(canvas.flat)
        return canvas.to_frame()

    def _patch(self, tile: Tile, image: np.ndarray) -> Patch:
        """Made once for each image."""
        known = self._patches.get(tile)
        if known is None or known[0] is not image:
            known = self._patches[tile] = image, self.background.patch(image)
        return known[1]

    def _next(self) -> _Painted:
        self._ring.append(self._ring.pop(0))
        return self._ring[-1]

    def _paint_group(self, canvas: Canvas, group: list[_Item]) -> None:
        for item in group:
            item.refresh(self.background, self._patch)
            if item.is_see_through:
                canvas.copy(self.background, item.tile.rect)
        for item in group:
            item.paint(canvas)


class _Painted:
    """A canvas, and of what it was painted."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.plan = 0
        self.stamps: dict[int, list[tuple[int, int]]] = {}


class _Item:
    """A tile at rest, with everything made that does not change from frame to frame."""

    def __init__(self, tile: Tile, covers: bool) -> None:
        self.tile = tile
        self._covers = covers
        """Something is below it."""
        self._revision = -1
        self._edge: Blend | None = None
        self._blends: list[Blend] = []

    @property
    def is_see_through(self) -> bool:
        """What is below it must be painted before it."""
        return self.tile.image is not None or self._edge is not None

    def refresh(self, background: Canvas, patch: Callable[[Tile, np.ndarray], Patch]) -> None:
        tile = self.tile
        if self._revision == tile.revision:
            return
        self._revision, self._edge, self._blends = tile.revision, None, []
        if tile.image is not None:
            self._blends = [patch(tile, tile.image).at(tile.rect.x, tile.rect.y)]
            return
        radius, (color, thickness) = _radius(tile, tile.rect), tile.border()
        edge = background.edge(tile.rect, radius, color, thickness)
        if self._covers:
            self._edge = edge
        elif edge is not None:
            # Only the background is below: what the corners show of it is known.
            self._blends.append(edge.over(background.flat.take(edge.index)))
        drawn = tile.badge()
        if drawn is None:
            return
        x, y = tile.badge_place(tile.rect)
        badge, inset = patch(tile, drawn).at(x, y), x - tile.rect.x
        # How deep inside the rounded edge the badge's corner is.
        if self._blends and radius - 2**0.5 * max(radius - inset, 0) > thickness + 2 < inset:
            self._blends = [self._blends[0].joined(badge)]
        else:
            self._blends.append(badge)

    def paint(self, canvas: Canvas) -> None:
        tile = self.tile
        if tile.image is None:
            _lay(canvas, tile, tile.rect, 1.0, self._edge)
        for blend in self._blends:
            blend.apply(canvas.flat)


def _lay(canvas: Canvas, tile: Tile, rect: Rect, alpha: float, edge: Blend | None) -> None:
    """A tile's picture, with corners through which what is there now shows."""
    below = canvas.flat.take(edge.index) if edge is not None else None
    canvas.paste(tile.picture(rect.width, rect.height), rect, alpha)
    if edge is not None:
        edge.apply(canvas.flat, below)


def _radius(tile: Tile, rect: Rect) -> int:
    return min(tile.cell.radius, min(rect.width, rect.height) // 2)


def _overlapping(items: list[_Item]) -> list[list[_Item]]:
    """Items that cover each other, directly or through others, in one group; each group in the order of painting."""
    groups: list[list[int]] = []
    for index, item in enumerate(items):
        touched = [group for group in groups if any(items[one].tile.rect.overlaps(item.tile.rect) for one in group)]
        groups = [group for group in groups if group not in touched]
        groups.append(sorted(sum(touched, [index])))
    return [[items[index] for index in group] for group in groups]
