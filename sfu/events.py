"""What the RTP plane tells control. Facts about streams, never one for each media packet."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProducerStarted:
    """The first media packet of a track arrived."""

    producer_id: str


@dataclass(frozen=True, slots=True)
class ProducerLayers:
    """The encodings of a simulcast track that are sending, by rid, lowest first; told when the set changes."""

    producer_id: str
    layers: tuple[str, ...]


RtpEvent = ProducerStarted | ProducerLayers
