"""Limits and times of the meeting plane. Each field is documented here and shown in `config/tidegate.toml`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SfuConfig:
    """Seconds unless the name says otherwise."""

    # Peers
    peer_timeout: float = 15.0
    """A peer without an authenticated STUN request or SRTP packet for this long is gone."""
    handshake_timeout: float = 15.0
    """From the description to a finished DTLS handshake."""
    max_handshakes: int = 512
    """Handshakes in progress in all; bounds what unauthenticated peers can pin."""
    max_handshakes_per_address: int = 32
    """Handshakes in progress from one source address."""
    max_sessions: int = 4000
    """Peer sessions of a node."""
    send_queue_packets: int = 4096
    """Packets one peer may have waiting between two flushes; more are dropped and counted."""

    # Descriptions
    max_sdp_bytes: int = 65536
    """A longer description is refused."""
    max_media_lines: int = 128
    """m-lines of one description."""
    max_ssrcs: int = 256
    """SSRCs that one peer may name or make us learn."""

    # Rooms
    max_rooms: int = 2000
    """Live at once on a node."""
    max_participants: int = 200
    """In one room."""
    max_tracks: int = 8
    """Published by one participant."""
    max_display_name: int = 128
    """Characters."""
    max_metadata_bytes: int = 16384
    """metaData or attributes of one participant, as JSON."""
    resume_window: float = 15.0
    """A participant whose signalling dropped without goodbye is kept this long."""

    # Streams
    history_packets: int = 1024
    """Packets of a producer kept for retransmission."""
    history_seconds: float = 2.0
    """Packets older than this are not retransmitted."""
    nack_retries: int = 10
    """A hole is asked for at most this often."""
    keyframe_interval_min: float = 0.5
    """Keyframe requests to one publisher are merged within this time."""
    rtcp_interval: float = 1.0
    """Receiver and sender reports."""
    twcc_interval: float = 0.1
    """Transport-wide feedback to a publisher."""
