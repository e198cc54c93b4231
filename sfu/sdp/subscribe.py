"""The m-lines of a subscribe connection: we offer, the browser answers. RFC 8829 sections 5.2 and 5.9."""

from __future__ import annotations

from dataclasses import dataclass

from media.codecs import Codec, Kind
from sfu.config import SfuConfig
from sfu.sdp.description import SessionDescription
from sfu.sdp.negotiated import LocalTransport, Negotiation


@dataclass(frozen=True, slots=True)
class SubscribeTrack:
    """A producer's track as one subscriber shall get it, with the SSRCs we send by."""

    kind: Kind
    participant_id: str  # becomes the msid's stream and the cname, so that a participant's tracks are lip-synced
    track_id: str
    codecs: tuple[Codec, ...]  # the producer's; payload types are replaced by our canonical ones
    ssrc: int
    rtx_ssrc: int | None = None


class SubscribeTable:
    """Desired tracks against what the peer has agreed to. One offer is open at a time."""

    def __init__(self, config: SfuConfig) -> None: ...

    def add(self, track: SubscribeTrack) -> str:
        """The mid of the track's m-line; offered by the next `create_offer`.

        PeerError 4051 for a codec outside our table, 4090 when `config.max_media_lines` are in use.
        """
        raise NotImplementedError

    def stop(self, mid: str) -> None:
        """The track's m-line becomes inactive by the next offer, and free for another track once that is answered.

        An unknown or stopped mid is ignored: stopping races with leaving.
        """
        raise NotImplementedError

    @property
    def needs_offer(self) -> bool:
        """Something changed since the last offer (an open one included)."""
        raise NotImplementedError

    @property
    def open_offer(self) -> SessionDescription | None:
        """The offer that waits for its answer; may be sent again as it is."""
        raise NotImplementedError

    def create_offer(self, local: LocalTransport) -> SessionDescription:
        """UsageError while an offer is open, or when there never was a track. New credentials in `local` restart ICE."""
        raise NotImplementedError

    def receive_answer(self, answer: SessionDescription) -> Negotiation:
        """`media` has an entry for each m-line of the open offer: RECVONLY takes the track, rejected refuses it,
        INACTIVE is stopped. PeerError 4090 leaves the offer open."""
        raise NotImplementedError
