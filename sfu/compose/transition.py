"""How tiles come, go and move: pure functions of the composition's time, so that the same meeting gives the same picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sfu.compose.arrange import Rect, even

DURATION = 0.3  # seconds; longer ones make people wait, shorter ones are not seen
SMALL = 0.8  # the size at which somebody appears or disappears
GONE = 0.02  # as good as invisible: not taken into the next movement, or a storm of comings and goings would pile them up
SAME_PLACE = 0.9  # so much of a place shared: one takes the other's place and needs no growing


@dataclass(frozen=True, slots=True)
class Placed:
    """A tile at a moment."""

    key: tuple[str, str]
    rect: Rect
    alpha: float = 1.0


class Transition:
    """From where tiles were to where they are to be. `before` and `after` are in the order in which they are painted."""

    def __init__(self, before: Sequence[Placed], after: Sequence[Placed], start: float) -> None:
        self._start = start
        self._after = after
        self._from = {placed.key: placed for placed in before}
        stays = {placed.key for placed in after}
        self._leaving = [placed for placed in before if placed.key not in stays and placed.alpha > GONE]
        coming = [placed for placed in after if placed.key not in self._from]
        self._replaced = {
            old.key for old in self._leaving if any(_shared(old.rect, new.rect) > SAME_PLACE for new in coming)
        }
        self._replacing = {
            new.key for new in coming if any(_shared(old.rect, new.rect) > SAME_PLACE for old in self._leaving)
        }

    def is_over(self, at: float) -> bool:
        return at >= self._start + DURATION

    def at(self, at: float) -> list[Placed]:
        """Everything to be painted, from the lowest: who leaves is below."""
        part = min(max((at - self._start) / DURATION, 0.0), 1.0)
        part = 1 - (1 - part) ** 3  # quick at first, gentle at the end
        placed = [self._left(old, part) for old in self._leaving]
        return placed + [self._arriving(new, part) for new in self._after]

    def _left(self, old: Placed, part: float) -> Placed:
        if old.key in self._replaced:
            return old
        return Placed(old.key, scaled(old.rect, 1 - (1 - SMALL) * part), old.alpha * (1 - part))

    def _arriving(self, new: Placed, part: float) -> Placed:
        old = self._from.get(new.key)
        if old is not None:
            return Placed(new.key, between(old.rect, new.rect, part), old.alpha + (1 - old.alpha) * part)
        size = 1.0 if new.key in self._replacing else SMALL + (1 - SMALL) * part
        return Placed(new.key, scaled(new.rect, size), part)


def between(old: Rect, new: Rect, part: float) -> Rect:
    """Edges move in straight lines; all stay even."""
    left, top = even(_mix(old.x, new.x, part)), even(_mix(old.y, new.y, part))
    right, bottom = even(_mix(old.right, new.right, part)), even(_mix(old.bottom, new.bottom, part))
    return Rect(left, top, max(right - left, 2), max(bottom - top, 2))


def scaled(rect: Rect, size: float) -> Rect:
    """Smaller around its middle."""
    width, height = max(even(rect.width * size), 2), max(even(rect.height * size), 2)
    return Rect(rect.x + even((rect.width - width) / 2), rect.y + even((rect.height - height) / 2), width, height)


def _mix(old: float, new: float, part: float) -> float:
    return old + (new - old) * part


def _shared(one: Rect, other: Rect) -> float:
    """The common part, by the larger of both."""
    width = min(one.right, other.right) - max(one.x, other.x)
    height = min(one.bottom, other.bottom) - max(one.y, other.y)
    return max(width, 0) * max(height, 0) / max(one.width * one.height, other.width * other.height)
