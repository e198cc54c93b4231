"""Limits and times of the signalling WebSocket. docs/signalling.md tells clients the defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignallingConfig:
    """Seconds unless the name says otherwise."""

    join_timeout: float = 10.0
    """A socket that has not joined by then is closed."""
    ping_interval: float = 10.0
    """A socket that has been silent for this long is pinged; without an answer for half as long again it has dropped."""
    close_timeout: float = 3.0
    """How long a socket that we end may take to read what waits for it and to answer the close frame."""
    max_message_bytes: int = 131072
    """A longer message ends its socket."""
    messages_per_second: float = 50.0
    """Of one client, on average; more ends its socket."""
    message_burst: int = 200
    """Messages a client may send at once."""
    max_waiting_messages: int = 512
    """Messages that may wait for a client that does not read; more disconnect it."""
    max_waiting_bytes: int = 1 << 20
    """Bytes that may wait for a client that does not read; more disconnect it."""
    max_sockets: int = 8000
    """Open signalling sockets of a node."""
    max_unjoined: int = 1000
    """Of these, sockets that have not joined; bounds what unauthenticated clients can pin."""
    max_unjoined_per_address: int = 200
    """Of these, from one address: nobody can take all the places."""
    max_room_backlog: int = 8192
    """Sends of one room that may wait for their slice; above it that room's clients are not read until it shrinks."""
