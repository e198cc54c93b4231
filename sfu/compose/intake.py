"""From packets to the newest picture of each track on the stage, and its sound in the mixer.

What a source sends is its own affair: garbage, loss, a change of codec or size costs its tile or its voice, and a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import av

from media.clock import WallClock
from media.codecs import Kind
from sfu.compose.audio import RATE, Mixer
from sfu.compose.costs import Costs
from sfu.compose.decode import VIDEO_DECODERS, AudioDecoder, VideoDecoder
from sfu.compose.messages import SourceAdded, Warned
from sfu.compose.source import Source, SourceTable

WARN_INTERVAL = 30.0  # seconds between warnings of one source
EXPECTED = 0.5  # seconds beyond the playout delay that a track is kept ready for the stage
MAX_UNITS = 200  # of one source in one turn: what a flood costs us


class Screen(Protocol):
    """The part of `stage.Stage` that takes pictures."""

    def set_frame(self, track_id: str, frame: av.VideoFrame | None) -> None: ...

    def wanted_tracks(self) -> frozenset[str]: ...


class _Track:
    """A source with its decoder."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.video = VideoDecoder() if source.info.kind is Kind.VIDEO else None
        self.audio = AudioDecoder() if source.info.kind is Kind.AUDIO else None
        self.failures = 0
        self.warned: float | None = None


class Intake:
    """`receive_datagram` at any time, `pull` for each frame of the output."""

    def __init__(self, delay: float, wall_clock: WallClock, mixer: Mixer, screen: Screen | None, costs: Costs) -> None:
        self.table = SourceTable(delay, wall_clock)
        self._mixer = mixer
        self._screen = screen
        self._costs = costs
        self._tracks: dict[str, _Track] = {}
        self.wanted: frozenset[str] = frozenset()
        """Video tracks that are decoded, as of the last `pull`: in the picture, or expected there."""
        self._expected: dict[str, float] = {}  # video tracks that the stage will want: until when we say so
        self.receive_datagram: Callable[..., None] = self.table.receive_datagram

    def add(self, info: SourceAdded, *, now: float) -> list[Warned]:
        """Sound is heard from the first packet, pictures come once the stage wants them."""
        self.remove(info.track_id)
        if info.kind is Kind.VIDEO and self._screen is None:
            return []
        self._tracks[info.track_id] = _Track(self.table.add(info, now=now))
        self.expect([info.track_id], now=now)
        if info.kind is Kind.AUDIO:
            self._mixer.add(info.track_id, muted=info.muted)
        elif not any(codec.name in VIDEO_DECODERS for codec in info.codecs):
            return [Warned("none of its codecs can be decoded here", info.track_id)]
        return []

    def remove(self, track_id: str) -> None:
        self._expected.pop(track_id, None)
        if self._tracks.pop(track_id, None) is not None:
            self.table.remove(track_id)
            self._mixer.remove(track_id)

    def set_muted(self, track_id: str, muted: bool) -> None:
        self.table.set_muted(track_id, muted)
        self._mixer.set_muted(track_id, muted)

    def tracks_of(self, participant_ids: Iterable[str]) -> list[str]:
        wanted = set(participant_ids)
        return [name for name, track in self._tracks.items() if track.source.info.participant_id in wanted]

    @property
    def track_ids(self) -> list[str]:
        return list(self._tracks)

    def expect(self, track_ids: Iterable[str], *, now: float) -> None:
        """The stage will want these a playout delay from now: a keyframe that is asked for now is there by then."""
        for track_id in track_ids:
            track = self._tracks.get(track_id)
            if track is not None and track.video is not None:
                self._expected[track_id] = now + self.table.delay + EXPECTED

    def unmute(self, track_id: str, *, now: float) -> None:
        """Ahead of `set_muted`: what is sent from now on is kept, and begins with a keyframe."""
        self.table.set_muted(track_id, False)
        self.expect([track_id], now=now)

    def pull(self, *, now: float, pictures: bool = True) -> list[Warned]:
        """Everything due at `now` is decoded, and shown or heard. Without `pictures` those go undecoded, until a keyframe."""
        warnings: list[Warned] = []
        self._expected = {name: until for name, until in self._expected.items() if until > now}
        if self._screen is not None:
            self.wanted = self._screen.wanted_tracks() | self._expected.keys()
        for track_id, track in self._tracks.items():
            if track.audio is not None:
                self._pull_audio(track_id, track, now)
            else:
                track.source.set_shown(pictures and track_id in self.wanted)
                self._pull_video(track_id, track, now)
            warning = self._warning(track_id, track, now)
            if warning is not None:
                warnings.append(warning)
        return warnings

    def _pull_audio(self, track_id: str, track: _Track, now: float) -> None:
        for _ in range(MAX_UNITS):
            unit = track.source.next_unit(now=now)
            if unit is None:
                return
            at = unit.at
            with self._costs.of("audio"):
                for samples in track.audio.decode(unit):
                    self._mixer.write(track_id, samples, at, discontinuity=unit.discontinuity)
                    at += len(samples) / RATE

    def _pull_video(self, track_id: str, track: _Track, now: float) -> None:
        newest = None
        for _ in range(MAX_UNITS):
            unit = track.source.next_unit(now=now)
            if unit is None:
                break
            with self._costs.of("decode"):
                frames = track.video.decode(unit)
            if frames:
                newest = frames[-1]
            elif track.video.needs_keyframe:
                track.source.skip_to_keyframe()
        if newest is not None:
            self._screen.set_frame(track_id, newest)

    def _warning(self, track_id: str, track: _Track, now: float) -> Warned | None:
        decoder = track.video or track.audio
        failures = decoder.stats.failures + track.source.stats.garbage
        if failures == track.failures or (track.warned is not None and now - track.warned < WARN_INTERVAL):
            return None
        text = f"{failures - track.failures} of its packets or pictures could not be read"
        track.failures, track.warned = failures, now
        return Warned(text, track_id)
