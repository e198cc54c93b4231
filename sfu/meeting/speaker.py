"""Who speaks in a room: from the audio levels that publishers tell with their packets (RFC 6464). Pure.

Each tick of a tenth of a second is loud or not for each microphone; a history of ticks in bits decides, so that a cough or a
keyboard never does, and a pause between two sentences ends nothing. What goes on without a pause, music or a fan, becomes the
floor that speech must stand out of. The voice flag of RFC 6464 is not looked at: browsers set
it in every packet. Only microphones count: a film that is shared does not speak.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from sfu.meeting.events import RoomEvent, SpeakerChanged

TICK = 0.1

# Ticks of a history; the newest is bit 0
TAKE_TICKS, TAKE_LOUD = 7, 5  # so much speech makes a speaker: a cough lasts 3 or 4 ticks
PAUSE_TICKS, PAUSE_LOUD = 4, 1  # a speaker with no more than this has left room for another
SWAY_TICKS, SWAY_LOUD = 10, 9  # who talks over a speaker takes over only if heard all the while and
SWAY_MARGIN = 6.0  # dB louder: two who are equally loud do not take turns every second
HOLD_TICKS = 30  # silence until nobody is the speaker
SMOOTHING = 0.2  # of loudness over loud ticks

# dB above the softest level that can be told
FIRST_FLOOR = 65.0  # of somebody who was not heard yet: a quiet room
FLOOR_RISE = 0.5  # a tick: music at -30 dBov is floor within 6 s, and each breath of a speaker brings the floor down again
FLOOR_MARGIN = 6.0

Level = tuple[str, int, int, int]
"""participant_id, packets since the last tick, loud ones among them, and the sum of 127 less their levels."""


def _bits(count: int) -> int:
    return (1 << count) - 1


TAKE, PAUSE, SWAY, HOLD = (_bits(n) for n in (TAKE_TICKS, PAUSE_TICKS, SWAY_TICKS, HOLD_TICKS))


@dataclass(slots=True, eq=False)
class _Voice:
    participant_id: str
    history: int = 0
    loudness: float = 0.0
    floor: float = FIRST_FLOOR

    def hear(self, packets: int, loud: int, total: int) -> None:
        """A tick is loud if most of its packets are: one click is one or two packets of five."""
        active = False
        if packets:
            level = total / packets
            self.floor = min(level, self.floor + FLOOR_RISE)
            active = 2 * loud > packets and level >= self.floor + FLOOR_MARGIN
            if active:
                self.loudness += SMOOTHING * (level - self.loudness) if self.history else level - self.loudness
        self.history = (self.history << 1 | active) & HOLD

    def count(self, mask: int) -> int:
        return (self.history & mask).bit_count()

    @property
    def speaks(self) -> bool:
        return self.count(TAKE) >= TAKE_LOUD


class SpeakerDetector:
    """`active` is who speaks, `order` all who have spoken, latest first. Methods tell whether `active` changed."""

    def __init__(self) -> None:
        self.active: str | None = None
        self.order: list[str] = []
        self._voices: dict[str, _Voice] = {}

    @property
    def idle(self) -> bool:
        """Nothing was loud for long, and nobody is the speaker."""
        return self.active is None and not any(voice.history for voice in self._voices.values())

    def hear(self, levels: Iterable[Level]) -> bool:
        """One tick. Whoever is not named was silent; of several microphones of one participant the loudest counts."""
        told: dict[str, tuple[int, int, int]] = {}
        for participant_id, packets, loud, total in levels:
            if participant_id not in told or told[participant_id][2] < total:
                told[participant_id] = packets, loud, total
        for participant_id in told.keys() - self._voices.keys():
            self._voices[participant_id] = _Voice(participant_id)
        for participant_id, voice in self._voices.items():
            voice.hear(*told.get(participant_id, (0, 0, 0)))
        return self._set(self._choose())

    def silence(self, participant_id: str) -> bool:
        """Muted: what was heard counts no more."""
        self._voices.pop(participant_id, None)
        return self.active == participant_id and self._set(None)

    def forget(self, participant_id: str) -> bool:
        """Gone from the room."""
        if participant_id in self.order:
            self.order.remove(participant_id)
        return self.silence(participant_id)

    def _choose(self) -> str | None:
        current = self._voices.get(self.active) if self.active is not None else None
        rivals = [voice for voice in self._voices.values() if voice is not current and voice.speaks]
        best = max(rivals, key=lambda voice: voice.loudness, default=None)
        if current is None or not current.history:
            return best.participant_id if best is not None else None
        if best is None:
            return current.participant_id
        paused = current.count(PAUSE) <= PAUSE_LOUD
        sways = best.count(SWAY) >= SWAY_LOUD and best.loudness >= current.loudness + SWAY_MARGIN
        return best.participant_id if paused or sways else current.participant_id

    def _set(self, active: str | None) -> bool:
        if active == self.active:
            return False
        self.active = active
        if active is not None:
            if active in self.order:
                self.order.remove(active)
            self.order.insert(0, active)
        return True


class SpeakerTable:
    """The detector of one room: when it is to be fed, and what it tells. Idle while no microphone is published."""

    def __init__(self, room_id: str, session_id: str, events: deque[RoomEvent]) -> None:
        self.due: float | None = None
        self._detector = SpeakerDetector()
        self._room_id = room_id
        self._session_id = session_id
        self._events = events

    @property
    def active(self) -> str | None:
        return self._detector.active

    @property
    def order(self) -> tuple[str, ...]:
        return tuple(self._detector.order)

    def start(self, *, now: float) -> None:
        """A microphone was published."""
        if self.due is None:
            self.due = now + TICK

    def hear(self, levels: list[Level], *, now: float) -> None:
        """Once it is `due`: what all microphones of the room told since the last time. None at all: until the next `start`."""
        self.due = now + TICK  # before all else: one that fails is not tried again at once
        self._report(self._detector.hear(levels))
        if not levels and self._detector.idle:
            self.due = None

    def silence(self, participant_id: str) -> None:
        self._report(self._detector.silence(participant_id))

    def forget(self, participant_id: str) -> None:
        self._report(self._detector.forget(participant_id))

    def _report(self, changed: bool) -> None:
        if changed:
            self._events.append(SpeakerChanged(self._room_id, self._session_id, self.active, self.order))
