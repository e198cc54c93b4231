"""A published track: its streams (one for each encoding), who consumes it, and what it asks of its publisher."""

from __future__ import annotations

from dataclasses import dataclass, field

from media.codecs import Codec, Kind
from sfu.stream.stats import ProducerStats


@dataclass(frozen=True, slots=True)
class Encoding:
    """One encoding of a track. Simulcast publishers name it by rid only; its SSRCs are learned."""

    ssrc: int | None = None
    rtx_ssrc: int | None = None
    rid: str | None = None


@dataclass(frozen=True, slots=True)
class ProducerParameters:
    """What was negotiated for one published track. Encodings go from the lowest quality to the highest."""

    id: str
    mid: str
    kind: Kind
    codecs: tuple[Codec, ...]
    header_extensions: dict[str, int] = field(default_factory=dict)  # URI -> id
    encodings: tuple[Encoding, ...] = ()
    simulcast: bool = False


class Producer:
    """Made by `RtpEndpoint.add_producer`."""

    def __init__(self, params: ProducerParameters) -> None:
        self.params = params
        self.id = params.id
        self.kind = params.kind
        self.muted = False
        self.consumers: list = []
        self.stats = ProducerStats()

    def set_muted(self, muted: bool, *, now: float) -> None:
        """A muted producer takes packets in and forwards none; on unmute video starts again from a keyframe."""

    def request_keyframe(self, *, now: float) -> None:
        """Ask the publisher for a keyframe; requests are merged within `config.keyframe_interval_min`."""
