"""Deadlines of many owners in one heap, so that a tick costs what is due and not what exists."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

Owner = TypeVar("Owner", bound=Hashable)

STALE_KEPT = 64  # entries of the heap that count for nothing, beyond as many as count. Policy: sweep them out


class Timers(Generic[Owner]):
    """One deadline an owner. One later than what is armed is not entered: the owner, woken too soon, arms again.

    The heap holds numbers only: whoever is disarmed is held by nothing here.
    """

    __slots__ = ("_armed", "_heap", "_owners", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []  # deadline, serial
        self._owners: dict[int, Owner] = {}  # by serial, of entries that count
        self._armed: dict[Owner, tuple[float, int]] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._armed)

    def arm(self, owner: Owner, when: float | None) -> None:
        """Wake `owner` at `when` or sooner; None leaves what is armed."""
        armed = self._armed.get(owner)
        if when is None or (armed is not None and armed[0] <= when):
            return
        if armed is not None:
            del self._owners[armed[1]]
        self._serial += 1
        entry = self._armed[owner] = (when, self._serial)
        self._owners[self._serial] = owner
        heapq.heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._armed) + STALE_KEPT:
            self._heap = list(self._armed.values())
            heapq.heapify(self._heap)

    def disarm(self, owner: Owner) -> None:
        """Nothing is armed for it any more."""
        armed = self._armed.pop(owner, None)
        if armed is not None:
            del self._owners[armed[1]]

    def pop_due(self, now: float) -> Owner | None:
        """The next owner whose time has come; call until None."""
        while self._heap and self._heap[0][0] <= now:
            owner = self._owners.pop(heapq.heappop(self._heap)[1], None)
            if owner is not None:
                del self._armed[owner]
                return owner
        return None

    def get_timer(self) -> float | None:
        """The soonest deadline."""
        while self._heap and self._heap[0][1] not in self._owners:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
