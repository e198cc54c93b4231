"""Our own candidates as SDP lines: host, UDP, one component. RFC 8445 section 5.1, RFC 8839 section 5.1.

A lite agent has no use for the peer's candidates, so nothing here reads them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from aioice.candidate import Candidate, candidate_foundation, candidate_priority

MAX_LOCAL_PREFERENCE = 65535  # RFC 8445 section 5.1.2.1
COMPONENT = 1  # RTP and RTCP share it: rtcp-mux only


def host_candidates(addresses: Iterable[str], port: int) -> tuple[str, ...]:
    """`candidate:…` lines without `a=`, in order of priority: IPv6 before IPv4 in turns (RFC 8421), loopback last.

    Raises ValueError for what is no address. Equal addresses give one line.
    """
    unique = dict.fromkeys(ipaddress.ip_address(address) for address in addresses)
    far = [address for address in unique if not address.is_loopback]
    near = [address for address in unique if address.is_loopback]
    return tuple(
        _line(str(address), port, MAX_LOCAL_PREFERENCE - rank)
        for rank, address in enumerate(_interleave(far) + _interleave(near))
    )


def _interleave(addresses: list) -> list:
    """RFC 8421 section 4: a long list of one family must not keep the other waiting."""
    queues = [[a for a in addresses if a.version == 6], [a for a in addresses if a.version == 4]]
    longest = max(len(queue) for queue in queues)
    return [queue[index] for index in range(longest) for queue in queues if index < len(queue)]


def _line(host: str, port: int, local_preference: int) -> str:
    return (
        "candidate:"
        + Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=COMPONENT,
            transport="udp",
            priority=candidate_priority(COMPONENT, "host", local_preference),
            host=host,
            port=port,
            type="host",
        ).to_sdp()
    )
