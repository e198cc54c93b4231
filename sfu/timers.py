"""Deadlines of many owners in one heap, so that a tick costs what is due and not what exists."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

Owner = TypeVar("Owner", bound=Hashable)


class Timers(Generic[Owner]):
    """One deadline an owner. One later than what is armed is not entered: the owner, woken too soon, arms again."""

    __slots__ = ("_armed", "_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Owner]] = []
        self._armed: dict[Owner, float] = {}
        self._serial = 0

    def arm(self, owner: Owner, when: float | None) -> None:
        """Wake `owner` at `when` or sooner; None leaves what is armed."""
        armed = self._armed.get(owner)
        if when is None or (armed is not None and armed <= when):
            return
        self._serial += 1
        self._armed[owner] = when
        heapq.heappush(self._heap, (when, self._serial, owner))

    def disarm(self, owner: Owner) -> None:
        """Its entry is skipped when its time comes."""
        self._armed.pop(owner, None)

    def pop_due(self, now: float) -> Owner | None:
        """The next owner whose time has come; call until None."""
        while self._heap and self._heap[0][0] <= now:
            when, _, owner = heapq.heappop(self._heap)
            if self._armed.get(owner) == when:
                del self._armed[owner]
                return owner
        return None

    def get_timer(self) -> float | None:
        """The soonest deadline; may be that of a disarmed owner."""
        return self._heap[0][0] if self._heap else None
