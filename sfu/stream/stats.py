"""Counters of the RTP plane: plain ints, written on the way, read at scrape time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class RtpStats:
    """Shared by all endpoints of a node, or one for each; sums agree either way.

    What leaves in a fan-out is added once for the whole fan-out, by the publisher's endpoint. Bytes are plain RTP, before SRTP.
    """

    packets_in: int = 0
    bytes_in: int = 0
    packets_out: int = 0
    bytes_out: int = 0
    rtcp_in: int = 0
    rtcp_out: int = 0
    nack_in: int = 0  # packets asked for by subscribers
    nack_out: int = 0  # packets asked for from publishers
    nack_unanswered: int = 0  # asked for by a subscriber and not (or no longer) in the history
    rtx_in: int = 0
    rtx_out: int = 0
    pli_in: int = 0  # PLI and FIR of subscribers
    pli_out: int = 0  # PLI and FIR to publishers
    twcc_out: int = 0


@dataclass(slots=True)
class ProducerStats:
    """One published track; the encodings of a simulcast track together."""

    packets: int = 0
    bytes: int = 0
    lost: int = 0  # RFC 3550 cumulative number of packets lost
    recovered: int = 0  # came by retransmission
    padding: int = 0
    jitter: float = 0.0  # seconds, of the encoding with the most
    keyframes: int = 0
    keyframe_requests: int = 0
    nacks: int = 0
    round_trip_time: float | None = None
    audio_level: int = -127  # dBov, RFC 6464: of the last packets looked at, while told


@dataclass(slots=True)
class ConsumerStats:
    """One track on its way to one subscriber. `lost`, `jitter` and `round_trip_time` are what its reports say."""

    packets: int = 0
    payload_bytes: int = 0
    retransmitted: int = 0
    nacks: int = 0
    keyframe_requests: int = 0
    lost: int = 0
    fraction_lost: float = 0.0
    jitter: float = 0.0
    round_trip_time: float | None = None
    remb_bps: int | None = None
