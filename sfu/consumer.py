"""A track on its way to one subscriber: own SSRC, numbering, payload types and header extensions."""

from __future__ import annotations

from dataclasses import dataclass, field

from media.codecs import Codec, Kind
from sfu.stream.stats import ConsumerStats


@dataclass(frozen=True, slots=True)
class ConsumerParameters:
    """What was negotiated with the subscriber. Codecs carry the subscriber's payload types."""

    mid: str
    kind: Kind
    codecs: tuple[Codec, ...]
    ssrc: int
    rtx_ssrc: int | None = None
    header_extensions: dict[str, int] = field(default_factory=dict)  # URI -> id
    cname: str = ""


class Consumer:
    """Made by `RtpEndpoint.add_consumer`."""

    def __init__(self, producer, params: ConsumerParameters) -> None:
        self.producer = producer
        self.params = params
        self.paused = False
        self.stats = ConsumerStats()

    def set_paused(self, paused: bool, *, now: float) -> None:
        """A paused consumer sends nothing; resumed, video starts again from a keyframe."""
