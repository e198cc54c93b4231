"""Which encoding of a track is forwarded. For now: the highest that is sending, for all subscribers alike."""

from __future__ import annotations

from sfu.stream.receive import RtpStreamRecv

# An encoding that sent nothing for so long while another did has stopped. Not measured by the clock: a screen at rest
# repeats its picture once a second, in all encodings together.
LAYER_SILENCE = 1.0
CHECK_INTERVAL = 0.25


class LayerSelector:
    """The streams of one track. `target` is what subscribers are to be moved to at its next keyframe."""

    def __init__(self) -> None:
        self.streams: list[RtpStreamRecv] = []  # lowest encoding first
        self.target: RtpStreamRecv | None = None
        self.next_check: float | None = None

    def add(self, stream: RtpStreamRecv) -> RtpStreamRecv | None:
        """Take the stream in; gives back the one of the same encoding that it replaces."""
        replaced = next((old for old in self.streams if old.index == stream.index), None)
        if replaced is not None:
            self.streams.remove(replaced)
        self.streams.append(stream)
        self.streams.sort(key=lambda item: item.index)
        return replaced

    def receive(self, stream: RtpStreamRecv, *, now: float) -> bool:
        """A stream that was silent sends. Whether the target changed."""
        stream.sending = True
        if self.next_check is None and len(self.streams) > 1:
            self.next_check = now + CHECK_INTERVAL
        return self._choose()

    def resize(self) -> bool:
        """A stream's height is another. Whether the target changed."""
        return self._choose()

    def stop(self, stream: RtpStreamRecv) -> bool:
        """The stream said that it ends. Whether the target changed."""
        stream.sending = False
        return self._choose()

    def handle_timer(self, *, now: float) -> tuple[bool, bool]:
        """Whether a stream fell silent, and whether the target changed."""
        if self.next_check is None or now < self.next_check:
            return False, False
        self.next_check = now + CHECK_INTERVAL
        fell_silent = False
        newest = max(stream.last_arrival for stream in self.streams)
        for stream in self.streams:
            if stream.sending and newest - stream.last_arrival > LAYER_SILENCE:
                stream.sending = False
                fell_silent = True
        return fell_silent, fell_silent and self._choose()

    def _choose(self) -> bool:
        sending = [stream for stream in self.streams if stream.sending]
        # Where nothing is sending (a screen at rest, a muted camera) there is nothing better to change to.
        best = max(sending, key=lambda stream: (stream.height, stream.index), default=None)
        if best is None:
            if self.target in self.streams:
                return False
            best = self.streams[-1] if self.streams else None
        changed = best is not self.target
        self.target = best
        return changed

    def sending_rids(self) -> tuple[str, ...]:
        return tuple(stream.rid or "" for stream in self.streams if stream.sending)
