"""Answering who sends to us: browsers' publish connections and WHIP. RFC 8829 section 5.3, RFC 9725."""

from __future__ import annotations

from sfu.config import SfuConfig
from sfu.sdp.description import SessionDescription
from sfu.sdp.negotiated import LocalTransport, Negotiation


def answer_publish(
    offer: SessionDescription, local: LocalTransport, config: SfuConfig, previous: Negotiation | None = None
) -> Negotiation:
    """The answer to a publisher; `previous` is the last negotiation of the same connection.

    PeerError 4051 when no m-line has a codec of ours, 4090 when the offer cannot be answered at all.
    """
    raise NotImplementedError
