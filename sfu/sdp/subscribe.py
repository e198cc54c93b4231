"""The m-lines of a subscribe connection: we offer, the browser answers. RFC 8829 sections 5.2 and 5.9.

An m-line whose track stopped is offered inactive. Once the peer has answered that, it is free for another track of its
kind under the same mid (the browser fires `track` again). A rejected m-line is free for any kind, under a new mid.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from media.codecs import Codec, Kind
from media.errors import PeerError, UsageError
from sfu.config import SfuConfig
from sfu.rtp import extensions as ext
from sfu.sdp.answer import NO_CODEC, has_restarted
from sfu.sdp.codecs import canonical_codecs, match_codecs, read_codecs, write_codecs
from sfu.sdp.description import Direction, ExtMap, MediaDescription, SessionDescription
from sfu.sdp.negotiated import (
    Encoding,
    LocalTransport,
    NegotiatedMedia,
    Negotiation,
    RemoteTransport,
    refuse_sdp,
)
from sfu.sdp.sending import write_stream
from sfu.sdp.transport import finish_bundle, new_description, read_remote, rejected_line, write_transport

# One id for each header extension in the whole bundle, RFC 8843 section 9.1; all below 15: the one-byte form.
_CANONICAL_IDS = {
    Kind.AUDIO: {ext.AUDIO_LEVEL: 1, ext.ABS_SEND_TIME: 2, ext.TRANSPORT_CC: 3, ext.MID: 4},
    Kind.VIDEO: {ext.ABS_SEND_TIME: 2, ext.TRANSPORT_CC: 3, ext.MID: 4, ext.DEPENDENCY_DESCRIPTOR: 12},
}
# Chromium answers 600 bytes for an audio line and 900 for one of H.264 (measured): more m-lines than fit into the largest
# description that we take would leave an offer open for ever.
_ANSWER_LINE_BYTES = 950
_ANSWER_SETUPS = frozenset({"active"})  # we offered actpass and are passive


@dataclass(frozen=True, slots=True)
class SubscribeTrack:
    """A producer's track as one subscriber shall get it, with the SSRCs we send by."""

    kind: Kind
    participant_id: str  # becomes the msid's stream and the cname, so that a participant's tracks are lip-synced
    track_id: str
    codecs: tuple[Codec, ...]  # the producer's; payload types are replaced by our canonical ones
    ssrc: int
    rtx_ssrc: int | None = None

    @property
    def msid(self) -> tuple[str, str]:
        return self.participant_id, self.track_id


class _Agreed(Enum):
    """What the peer knows of an m-line."""

    NEW = "new"  # never offered
    LIVE = "live"  # offered with a track
    INACTIVE = "inactive"  # answered as inactive: free for its kind
    REJECTED = "rejected"  # port 0: free for any kind


@dataclass(slots=True)
class _Slot:
    mid: str
    kind: Kind
    codecs: tuple[Codec, ...]
    track: SubscribeTrack | None
    agreed: _Agreed = _Agreed.NEW
    agreed_mid: str = ""  # a rejected m-line keeps its mid until the next track is really offered


@dataclass(frozen=True, slots=True)
class _Offered:
    """A slot as the open offer has it; the slot itself may move on before the answer comes."""

    slot: _Slot
    media: MediaDescription
    track: SubscribeTrack | None
    codecs: tuple[Codec, ...]


class SubscribeTable:
    """Desired tracks against what the peer has agreed to. One offer is open at a time."""

    def __init__(self, config: SfuConfig) -> None:
        self._max_lines = min(config.max_media_lines, config.max_sdp_bytes // _ANSWER_LINE_BYTES)
        self._slots: list[_Slot] = []
        self._next_mid = 0
        self._changed = False
        self._last_offer: SessionDescription | None = None
        self._offered: list[_Offered] | None = None
        self._negotiation: Negotiation | None = None

    def add(self, track: SubscribeTrack) -> str:
        """The mid of the track's m-line; offered by the next `create_offer`.

        PeerError 4051 for a codec outside our table, 4090 when all m-lines are in use. UsageError for a track
        that is there already: Chromium refuses the whole offer when an msid stands twice.
        """
        if any(slot.track is not None and slot.track.msid == track.msid for slot in self._slots):
            raise UsageError(f"track {track.track_id} is subscribed already")
        codecs = canonical_codecs(track.codecs, rtx=track.rtx_ssrc is not None)
        slot = self._free_slot(track.kind)
        if slot is None:
            if len(self._slots) >= self._max_lines:
                refuse_sdp(f"more than {self._max_lines} tracks at a time")
            slot = _Slot(self._new_mid(), track.kind, codecs, track)
            self._slots.append(slot)
        elif slot.agreed is _Agreed.REJECTED:
            slot.mid = self._new_mid()
        slot.kind = track.kind
        slot.codecs = codecs
        slot.track = track
        self._changed = True
        return slot.mid

    def _free_slot(self, kind: Kind) -> _Slot | None:
        free = [slot for slot in self._slots if slot.track is None]
        inactive = (slot for slot in free if slot.agreed is _Agreed.INACTIVE and slot.kind is kind)
        rejected = (slot for slot in free if slot.agreed is _Agreed.REJECTED)
        return next(inactive, None) or next(rejected, None)

    def _new_mid(self) -> str:
        mid = str(self._next_mid)
        self._next_mid += 1
        return mid

    def stop(self, mid: str) -> None:
        """The track's m-line becomes inactive by the next offer, and free for another track once that is answered.

        An unknown or stopped mid is ignored: stopping races with leaving.
        """
        slot = next((slot for slot in self._slots if slot.mid == mid and slot.track is not None), None)
        if slot is None:
            return
        slot.track = None
        if slot.agreed is _Agreed.NEW:
            self._slots.remove(slot)  # all behind it are new, too: nobody has seen their places
        elif slot.agreed is _Agreed.REJECTED:
            slot.mid = slot.agreed_mid
        self._changed = any(self._differs(slot) for slot in self._slots)

    @staticmethod
    def _differs(slot: _Slot) -> bool:
        return (slot.track is not None) is not (slot.agreed is _Agreed.LIVE)

    @property
    def needs_offer(self) -> bool:
        """Something changed since the last offer (an open one included)."""
        return self._changed

    @property
    def open_offer(self) -> SessionDescription | None:
        """The offer that waits for its answer; may be sent again as it is."""
        return self._last_offer if self._offered is not None else None

    def create_offer(self, local: LocalTransport) -> SessionDescription:
        """UsageError while an offer is open, or when there never was a track. New credentials in `local` restart ICE."""
        if self._offered is not None:
            raise UsageError("an offer is open")
        if not self._slots:
            raise UsageError("an offer without any m-line")
        offer = new_description(local, self._last_offer.origin if self._last_offer is not None else None)
        offered = []
        tagged = True
        for slot in self._slots:
            media = self._offer_line(slot, local, tagged=tagged)
            tagged = tagged and media.port == 0
            offered.append(_Offered(slot, media, slot.track, slot.codecs))
            if slot.track is not None:
                slot.agreed = _Agreed.LIVE
        offer.media = [line.media for line in offered]
        finish_bundle(offer)
        self._offered = offered
        self._last_offer = offer
        self._changed = False
        return offer

    @staticmethod
    def _offer_line(slot: _Slot, local: LocalTransport, *, tagged: bool) -> MediaDescription:
        media = MediaDescription(kind=slot.kind.value, mid=slot.mid, rtcp_rsize=True)
        write_codecs(media, slot.codecs)
        if slot.track is None and slot.agreed is _Agreed.REJECTED:
            return rejected_line(media)
        write_transport(media, local, "actpass", tagged=tagged)
        media.extmaps = [ExtMap(id_, uri) for uri, id_ in _CANONICAL_IDS[slot.kind].items()]
        media.direction = Direction.INACTIVE
        if slot.track is not None:
            media.direction = Direction.SENDONLY
            write_stream(media, _encoding(slot.track, slot.codecs), *slot.track.msid)
        return media

    def receive_answer(self, answer: SessionDescription) -> Negotiation:
        """`media` has an entry for each m-line of the open offer: RECVONLY takes the track, rejected refuses it,
        INACTIVE is stopped. PeerError 4090 leaves the offer open; UsageError when none is."""
        if self._offered is None:
            raise UsageError("no offer is open")
        remote = self._read_transport(self._offered, answer)
        media = tuple(
            _read_answer(index, line, answered, answer.direction)
            for index, (line, answered) in enumerate(zip(self._offered, answer.media, strict=True))
        )
        for line, agreed in zip(self._offered, media, strict=True):
            self._settle(line, agreed)
        self._offered = None
        self._changed = any(self._differs(slot) for slot in self._slots)
        self._negotiation = Negotiation(None, remote, media, has_restarted(remote, self._negotiation))
        return self._negotiation

    def _read_transport(self, offered: list[_Offered], answer: SessionDescription) -> RemoteTransport | None:
        if len(answer.media) != len(offered):
            refuse_sdp(f"{len(answer.media)} m-lines answer {len(offered)}")
        living = []
        for line, answered in zip(offered, answer.media, strict=True):
            if answered.kind != line.media.kind:
                refuse_sdp(f"m-line {line.media.mid} is answered as {answered.kind[:32]}")
            if answered.port == 0:
                continue
            if line.media.port == 0:
                refuse_sdp(f"m-line {line.media.mid} was stopped and is answered")
            if answered.mid != line.media.mid or answered.mid not in answer.bundle:
                refuse_sdp(f"m-line {line.media.mid} is answered outside the bundle")
            if not answered.rtcp_mux:
                refuse_sdp(f"m-line {line.media.mid} is answered without rtcp-mux")
            living.append(answered)
        if living:
            return read_remote(answer, living, _ANSWER_SETUPS)
        return self._negotiation.remote if self._negotiation is not None else None

    @staticmethod
    def _settle(line: _Offered, agreed: NegotiatedMedia) -> None:
        slot = line.slot
        if line.media.port == 0:
            return  # was rejected before; a new track may already wait in the slot
        if agreed.rejected and agreed.reason != NO_CODEC:
            slot.agreed = _Agreed.REJECTED
            slot.agreed_mid = slot.mid
            slot.track = None
        elif agreed.rejected:
            slot.track = None if slot.track is line.track else slot.track  # the living m-line turns inactive next
        elif line.track is None:
            slot.agreed = _Agreed.INACTIVE


def _encoding(track: SubscribeTrack, codecs: tuple[Codec, ...]) -> Encoding:
    rtx = any(codec.rtx_payload_type is not None for codec in codecs)
    return Encoding(track.ssrc, track.rtx_ssrc if rtx else None)


def _read_answer(
    index: int, line: _Offered, answered: MediaDescription, default: Direction | None
) -> NegotiatedMedia:
    mid = line.media.mid or ""
    kind = line.slot.kind if line.track is None else line.track.kind
    if answered.port == 0:
        return NegotiatedMedia(mid, index, kind, Direction.INACTIVE, rejected=True, reason="rejected by the peer")
    direction = answered.direction or default or Direction.SENDRECV
    if line.track is None or not direction.receives:
        return NegotiatedMedia(mid, index, kind, Direction.INACTIVE)
    try:
        codecs = match_codecs(read_codecs(answered, kind), line.codecs)
    except PeerError:
        return NegotiatedMedia(mid, index, kind, Direction.INACTIVE, rejected=True, reason=NO_CODEC)
    offered_ids = _CANONICAL_IDS[kind]
    return NegotiatedMedia(
        mid=mid,
        index=index,
        kind=kind,
        direction=Direction.RECVONLY,
        codecs=codecs,
        header_extensions={e.uri: e.id for e in answered.extmaps if offered_ids.get(e.uri) == e.id},
        encodings=(_encoding(line.track, codecs),),
        msid=line.media.msids[0],
    )
