"""Limits and times of the RTMP plane. Nothing here opens a file: `tidegate/config` reads, this says what there is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RtmpConfig:
    """What one connection obeys. Seconds unless the name says otherwise."""

    connect_timeout: float = 10.0
    """From the first byte to the leave to publish."""
    chunk_size: int = 4096
    """Of what we send; 4096 is what the most used encoder sends, so every platform takes it."""
    max_message_bytes: int = 65536
    """Of what a server may send us: answers and statuses, a few hundred bytes each."""


@dataclass(frozen=True, slots=True)
class BroadcasterConfig:
    """One stream to several targets. Seconds unless the name says otherwise."""

    max_targets: int = 10
    """Targets of one broadcast."""
    connect_timeout: float = 10.0
    """For resolving, connecting, TLS and the leave to publish, together."""
    stall_timeout: float = 10.0
    """A target that takes nothing for so long is connected anew."""
    retry_min: float = 1.0
    """Before the first new attempt; doubled each time, with jitter."""
    retry_max: float = 30.0
    """The longest pause between attempts."""
    give_up_after: float = 3600.0
    """Without a connection for so long: the target has failed; 0: never."""
    max_queue_bytes: int = 8 << 20
    """Waiting for one target; more is dropped, video first, up to the next keyframe. 8 MiB are some 12 s at 5 Mbit/s."""
    max_queue_seconds: float = 5.0
    """The same bound in media time: a viewer rather misses a few seconds than falls ever further behind."""
