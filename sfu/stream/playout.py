"""When was it captured: RTP times on the node's wall clock, by sender reports, the drift of publishers' clocks taken out.

Sender reports of the node carry its own wall clock plus an offset that is fixed at a publisher's first report
(`sfu/stream/link.py`): between a publisher's tracks they hold exactly, but a publisher whose clock runs fast moves away from
ours. Here the least delay with which its packets arrive tells how far; the correction is one for all its tracks and moves too
slowly to be heard. RFC 3550 section 6.4.1.
"""

from __future__ import annotations

from collections import deque

from media.clock import ntp_to_wall
from media.seq import Unwrapper

WINDOW = 1.0  # seconds in which the least delay is looked for
WINDOWS = 10  # the floor is the least of so many: queues empty themselves within ten seconds now and then
SLEW = 0.001  # seconds a second: ten times what clocks drift, and inaudible
SETTLING = 2.0  # at first the floor is taken as it is found
EARLY = 0.1  # a floor so far below what we go by, or
LATE = 0.15  # so far above it: the path or a clock has jumped, and we with it
BEHIND_GAIN = 1 / 8  # of each window in the average
STRAY_WINDOWS = 2  # so long must one track disagree with the others until its reports are no longer believed
STEP = 0.1  # a report that disagrees by more with the last one is believed when the next one agrees
JUMP = 10.0  # seconds: no queue holds more; RTP times that are further off have begun anew, or a report lies
LONG_PAUSE = 60.0  # of a muted track: its RTP time went on, by whole laps perhaps


class _Floor:
    """The least delay of packets, in windows, and the slowly moving value that is gone by. Delay = arrival less RTP time
    as seconds of an arbitrary zero."""

    __slots__ = ("_minima", "_settled", "value")

    def __init__(self, value: float, *, wall: float) -> None:
        self.value = value
        self._minima: deque[float] = deque(maxlen=WINDOWS)
        self._settled = wall + SETTLING

    def add(self, delay: float, wall: float) -> None:
        if delay < self.value and wall < self._settled:
            self.value = delay

    def is_outlier(self, low: float) -> bool:
        return not -EARLY <= low - self.value <= LATE

    def close(self, low: float, elapsed: float) -> None:
        """A window ends in which nothing came faster than `low`."""
        if self.is_outlier(low):  # for all that is heard of the publisher
            self.value = low
            self._minima.clear()
            return
        self._minima.append(low)
        bound = SLEW * elapsed
        self.value += max(-bound, min(bound, min(self._minima) - self.value))

    def shift(self, seconds: float) -> None:
        self.value += seconds
        self._minima = deque((low + seconds for low in self._minima), maxlen=WINDOWS)


class TrackClock:
    """Of one track. Made by `PublisherClock.add_track`."""

    def __init__(self, publisher: PublisherClock, clock_rate: int) -> None:
        self.clock_rate = clock_rate
        self.low: float | None = None  # least delay of this window
        self.behind: float | None = None  # how much slower its packets are than the publisher's fastest, on the average
        self.stray_windows = 0
        self.zero: float | None = None
        """The publisher's wall time of RTP time 0; None until a report tells it. Without one the track goes by arrivals."""
        self.floor: _Floor | None = None  # while it goes by arrivals: its own, not the publisher's
        self._publisher = publisher
        self._unwrapper = Unwrapper(32)
        self._doubted: float | None = None  # another zero, told once
        self._last_delay: float | None = None
        self._last_wall = 0.0
        self._stray: float | None = None  # a delay that did not fit

    def extend(self, timestamp: int) -> int:
        """A time of the wire as a plain int that keeps growing."""
        return self._unwrapper.peek(timestamp)

    def receive(self, timestamp: int, *, wall: float) -> None:
        """A packet came at `wall`, Unix seconds."""
        last = self._unwrapper.last
        if last is not None and wall - self._last_wall > LONG_PAUSE:
            self._unwrapper.last = last + round((wall - self._last_wall) * self.clock_rate)  # laps may have gone by
        delay = wall - self._unwrapper.peek(timestamp) / self.clock_rate
        if self._last_delay is not None and abs(delay - self._last_delay) > JUMP:
            if self._stray is None or abs(delay - self._stray) > 1.0:
                self._stray = delay  # believed when a second packet says so
                return
            self._unwrapper.last = None
            self.detach()
            delay = wall - self._unwrapper.peek(timestamp) / self.clock_rate
        self._stray = None
        self._last_delay, self._last_wall = delay, wall
        self._unwrapper.unwrap(timestamp)
        if self.zero is not None and not self._publisher.is_near(delay - self.zero):
            self.detach()  # its reports say that it was captured hours before the rest: they are garbage
        if self.zero is None:
            if self.floor is None:
                self.floor = _Floor(delay, wall=wall)
            self.floor.add(delay, wall)
        else:
            delay -= self.zero
            self._publisher.add(delay, wall)
        if self.low is None or delay < self.low:
            self.low = delay
        self._publisher.advance(wall)

    def receive_report(self, ntp: int, rtp_time: int, *, wall: float) -> None:
        """A sender report about this track."""
        if self._unwrapper.last is None:
            self._unwrapper.unwrap(rtp_time)
            self._last_wall = wall
        zero = ntp_to_wall(ntp) - self._unwrapper.peek(rtp_time) / self.clock_rate
        if self.zero is None:
            self._publisher.attach(self, zero, wall)
        elif abs(zero - self.zero) <= STEP:
            self.zero = zero
            self._doubted = None
        elif self._doubted is None or abs(zero - self._doubted) > STEP:
            self._doubted = zero
        else:
            if self._last_delay is not None and self._publisher.fits(
                self._last_delay - self.zero - (self.behind or 0.0)
            ):
                # Its packets come as ever, so RTP times have not jumped: the publisher has set its clock.
                self._publisher.shift(zero - self.zero)
            self.zero, self._doubted, self.low, self.stray_windows = zero, None, None, 0

    def detach(self) -> None:
        """What reports said is no longer true: go by arrivals until the next."""
        self.zero = self.floor = self.low = self.behind = self._doubted = None
        self.stray_windows = 0

    def capture_time(self, timestamp: int) -> float | None:
        """Unix seconds on the node's clock; None before the first packet."""
        media = self._unwrapper.peek(timestamp) / self.clock_rate
        if self.zero is not None:
            return media + self.zero + self._publisher.correction
        return None if self.floor is None else media + self.floor.value


class PublisherClock:
    """Of one participant: how its clock stands to ours, one correction for all its tracks, so that lips stay in sync."""

    def __init__(self) -> None:
        self._tracks: list[TrackClock] = []
        self._floor: _Floor | None = None
        self._window_end: float | None = None

    def add_track(self, clock_rate: int) -> TrackClock:
        track = TrackClock(self, clock_rate)
        self._tracks.append(track)
        return track

    def remove_track(self, track: TrackClock) -> None:
        self._tracks.remove(track)

    @property
    def is_empty(self) -> bool:
        return not self._tracks

    @property
    def correction(self) -> float:
        """Seconds to be added to the publisher's wall time."""
        return self._floor.value if self._floor is not None else 0.0

    def add(self, delay: float, wall: float) -> None:
        if self._floor is None:
            self._floor = _Floor(delay, wall=wall)
        self._floor.add(delay, wall)

    def attach(self, track: TrackClock, zero: float, wall: float) -> None:
        """The first report about a track. The publisher's first track stays where it was; others are set in relation to it."""
        if track.floor is not None:
            delay = track.floor.value - zero
            alone = not any(other.zero is not None for other in self._tracks)
            if self._floor is None or (alone and not self.is_near(delay)):
                self._floor = _Floor(delay, wall=wall)
            elif not self.is_near(delay):
                return  # no two tracks of one publisher are so far apart: it goes on by its arrivals
            elif delay < self._floor.value:  # it is the faster one
                self._floor.shift(delay - self._floor.value)
        track.zero, track.floor, track.low = zero, None, None

    def is_near(self, delay: float) -> bool:
        """Whether a packet with this delay may be of the time of the publisher's others."""
        return self._floor is None or abs(delay - self._floor.value) <= JUMP

    def fits(self, delay: float) -> bool:
        """Whether a packet with this delay comes as others of the publisher do."""
        return self._floor is not None and not self._floor.is_outlier(delay)

    def shift(self, seconds: float) -> None:
        """The publisher set its clock forward: nothing moves for us."""
        for track in self._tracks:
            if track.zero is not None:
                track.zero += seconds
                track.low = None if track.low is None else track.low - seconds
        if self._floor is not None:
            self._floor.shift(-seconds)

    def advance(self, wall: float) -> None:
        """Close the window when its time has come."""
        if self._window_end is None:
            self._window_end = wall + WINDOW
        if wall < self._window_end:
            return
        elapsed = min(wall - self._window_end + WINDOW, WINDOW * WINDOWS)
        self._window_end = wall + WINDOW
        heard = [track for track in self._tracks if track.zero is not None and track.low is not None]
        heard = self._believed(heard, wall)
        if self._floor is not None and heard:
            self._floor.close(min(_adjusted(track) for track in heard), elapsed)
        if len(heard) > 1:
            fastest = min(track.low or 0.0 for track in heard)
            for track in heard:
                behind = (track.low or 0.0) - fastest
                track.behind = behind if track.behind is None else track.behind + (behind - track.behind) * BEHIND_GAIN
        for track in self._tracks:
            if track.floor is not None and track.low is not None:
                track.floor.close(track.low, elapsed)
            track.low = None

    def _believed(self, heard: list[TrackClock], wall: float) -> list[TrackClock]:
        """Without those that disagree with the others: their RTP times jumped. What all do is the path's or the clock's doing."""
        if self._floor is None:
            return heard
        strays = [track for track in heard if track.behind is not None and self._floor.is_outlier(_adjusted(track))]
        agreeing = [track for track in heard if track not in strays]
        if not any(track.behind is not None for track in agreeing):
            return heard
        for track in agreeing:
            track.stray_windows = 0
        for track in strays:
            track.stray_windows += 1
            if track.stray_windows >= STRAY_WINDOWS:
                delay = (track.low or 0.0) + (track.zero or 0.0)
                track.detach()
                track.floor = _Floor(delay, wall=wall)
        return agreeing


def _adjusted(track: TrackClock) -> float:
    return (track.low or 0.0) - (track.behind or 0.0)
