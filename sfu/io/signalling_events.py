"""Which event of the conference is told to whom, and in which words. The table of events of docs/signalling.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sfu.conference import ConnectionChanged
from sfu.io import signalling_messages as messages
from sfu.io.signalling_messages import participant_to_wire, pin_to_wire, reason_to_wire, track_to_wire
from sfu.meeting.events import (
    GrantsChanged,
    Moderated,
    ParticipantDisconnected,
    ParticipantEvent,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantReconnected,
    ParticipantUpdated,
    PinChanged,
    RoomStateChanged,
    SpeakerChanged,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
)
from sfu.meeting.participant import CloseReason
from sfu.peer import OfferedTrack, SubscribeOffer

# RFC 6455 section 7.4: the reasons end with 1000; being ejected by oneself has a code of the reference
CLOSE_CODES = {CloseReason.DUPLICATE_PARTICIPANT: 4005}
NORMAL_CLOSURE = 1000


@dataclass(frozen=True, slots=True)
class Notice:
    """One text and its readers: everybody in the room but the participant ("": nobody), or only this stay of it."""

    participant_id: str
    inner_id: str
    data: bytes
    to_others: bool
    close_code: int | None = None


def notices(event: Any) -> list[Notice]:
    """Empty for what is no business of clients."""
    match event:
        case ParticipantLeft():
            reason = reason_to_wire(event.reason)
            code = CLOSE_CODES.get(event.reason, NORMAL_CLOSURE)
            own = Notice(event.participant_id, event.inner_id, messages.event("left", {"reason": reason}), False, code)
            return [own, *_others(event, "participant-left", {"participantId": event.participant_id, "reason": reason})]
        case ParticipantJoined():
            return _others(event, "participant-joined", participant_to_wire(event.info))
        case ParticipantUpdated():
            return _others(event, "participant-updated", _updated(event))
        case ParticipantDisconnected():
            return _others(event, "participant-disconnected", {"participantId": event.participant_id})
        case ParticipantReconnected():
            return _others(event, "participant-reconnected", {"participantId": event.participant_id})
        case TrackPublished():
            data = {"participantId": event.participant_id, "track": track_to_wire(event.track)}
            return _others(event, "track-published", data)
        case TrackUnpublished():
            data = {"participantId": event.participant_id, "trackId": event.track.track_id}
            return _others(event, "track-unpublished", data)
        case TrackMuted():
            return _muted(event)
        case SpeakerChanged():
            return [_everybody("speaker-changed", {"participantId": event.participant_id})]
        case PinChanged():
            data = pin_to_wire(event.participant_id, cam=event.cam, share=event.share, by=event.by)
            return [_everybody("pin-state-changed", data)]
        case RoomStateChanged() if event.value is not None:
            return [_everybody(f"{event.name}-state-changed", event.value)]
        case Moderated():
            data = {"source": event.source.value, "enabled": event.enabled, "by": event.by}
            return [_own(event, "moderated", data)]
        case GrantsChanged():
            return [_own(event, "grants-changed", {"grants": event.grants.to_wire()})]
        case SubscribeOffer():
            return [_own(event, "subscribe-offer", _offer(event))]
        case ConnectionChanged() if event.connection in ("publish", "subscribe"):
            return [_own(event, "connection", _connection(event))]
    return []


def _others(event: ParticipantEvent, name: str, data: dict[str, Any]) -> list[Notice]:
    if event.hidden:
        return []
    return [Notice(event.participant_id, event.inner_id, messages.event(name, data), True)]


def _everybody(name: str, data: dict[str, Any]) -> Notice:
    return Notice("", "", messages.event(name, data), True)


def _own(event: Any, name: str, data: dict[str, Any]) -> Notice:
    return Notice(event.participant_id, event.inner_id, messages.event(name, data), False)


def _muted(event: TrackMuted) -> list[Notice]:
    track = event.track
    if not track.published:
        return []
    data = {"participantId": event.participant_id, "trackId": track.track_id, "muted": track.muted}
    return _others(event, "track-muted", data)


def _updated(event: ParticipantUpdated) -> dict[str, Any]:
    wire = participant_to_wire(event.info)
    return {key: wire[key] for key in ("participantId", "version", "displayName", "metaData", "attributes")}


def _offer(event: SubscribeOffer) -> dict[str, Any]:
    tracks = [_offered(offered) for offered in event.tracks]
    return {"sdp": event.sdp, "serial": event.serial, "connectionId": event.connection_id, "tracks": tracks}


def _offered(offered: OfferedTrack) -> dict[str, Any]:
    return {
        "mid": offered.mid,
        "trackId": offered.track.track_id,
        "participantId": offered.participant_id,
        "source": offered.track.source.value,
        "kind": offered.track.kind.value,
    }


def _connection(event: ConnectionChanged) -> dict[str, Any]:
    data = {"connection": event.connection, "state": "connected" if event.connected else "failed"}
    if event.reason:
        data["reason"] = event.reason
    return data
