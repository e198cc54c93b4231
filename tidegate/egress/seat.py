"""A hidden recorder in a room: its media go to a worker as plain RTP, and what happens in the room becomes controls.

One seat for each worker: a pipeline that is begun again takes another.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from media.codecs import Kind
from media.errors import PeerError
from sfu.compose.messages import (
    PersonJoined,
    PersonLeft,
    PinsChanged,
    SourceAdded,
    SourceMuted,
    SourceRemoved,
    SpeakersChanged,
)
from sfu.io.udp import MediaServer
from sfu.listener import Listener, ListenerEvent, ListenerTrackAdded, ListenerTrackRemoved
from sfu.meeting.events import (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    PinChanged,
    RoomEvent,
    SpeakerChanged,
    TrackMuted,
    TrackPublished,
)
from sfu.meeting.participant import CloseReason, JoinRequest, Mode, Participant, Track
from sfu.meeting.permissions import Grants, Source
from sfu.meeting.room import Room
from tidegate.workers.handle import Worker

FEW = 12  # cameras that are all sent, wanted or not: whoever comes into the picture is there at once
RECORDER = Grants(join=True, subscribe=True, hidden=True, recorder=True)

Choice = Callable[[str, Source], bool]
"""Whether a participant's source is wanted."""


class Seat:
    """`open` joins, `close` leaves; between the two `handle` gets every event of the room."""

    def __init__(
        self, server: MediaServer, worker: Worker, *, choose: Choice | None, hold_seconds: float
    ) -> None:
        self._server = server
        self._worker = worker
        self._choose = choose
        self._hold_seconds = hold_seconds
        self._room: Room | None = None
        self._me: Participant | None = None
        self._listener: Listener | None = None
        self._tracks: dict[str, bool] = {}  # told to the worker: muted
        self._pictures: dict[str, bool] = {}  # video tracks of them: sent
        self._people: set[str] = set()  # told to the worker

    @property
    def session_id(self) -> str | None:
        """None before it is taken."""
        return self._room.session_id if self._room is not None else None

    @property
    def inner_id(self) -> str | None:
        """None while nobody sits."""
        return self._me.inner_id if self._me is not None else None

    def open(self, room_id: str, *, mine: Callable[[str], None]) -> None:
        """Join, opening the room if nobody is in it. `mine` is told our inner_id before anybody hears of it. PeerError."""
        server, now = self._server, self._server.now()
        # Its participantId is made by the room: one that could be guessed could be joined under, which puts the former out.
        request = JoinRequest(room_id, grants=RECORDER, mode=Mode.RECV_ONLY, auto_subscribe=self._choose is None)
        self._me = me = server.conference.join(request, now=now)
        mine(me.inner_id)
        self._room = room = server.conference.rooms[room_id]
        self._listener = server.conference.listen(
            me, self._worker.link, hold_room_seconds=self._hold_seconds, now=now
        )
        for person in room.participants.values():
            self._tell_person(person.participant_id, person.display_name, person.mode, person.hidden)
            for track in person.tracks.values():
                self._want(person.participant_id, track)
        if room.speakers.order:
            self._worker.send(SpeakersChanged(room.speakers.active, room.speakers.order))
        self._tell_pins()
        server.pump()

    def close(self) -> None:
        """Leave. Twice, or after the room has ended, is harmless."""
        me, self._me = self._me, None
        if me is None:
            return
        try:
            self._server.conference.leave(me, CloseReason.MANUAL_LEAVE_CALLED, now=self._server.now())
        except PeerError:
            pass  # the room has ended, or put it out
        self._server.pump()

    def receive_rtcp(self, data: bytes) -> None:
        if self._listener is not None and self._me is not None:
            self._listener.receive_rtcp(data, now=self._server.now())
            self._server.pump()

    def handle(self, event: RoomEvent | ListenerEvent) -> None:
        """One event of our room. What is of another session under the same name is passed over."""
        if self._me is None or (isinstance(event, RoomEvent) and event.session_id != self.session_id):
            return
        send = self._worker.send
        match event:
            case ListenerTrackAdded(inner_id=self._me.inner_id):
                track = event.track
                self._tracks[track.track_id] = track.muted
                if track.kind is Kind.VIDEO:
                    self._pictures[track.track_id] = True
                send(SourceAdded(
                    track.track_id, event.owner_id, track.source.value, track.kind, event.ssrc, event.codecs,
                    track.muted, track.width, track.height,
                ))  # fmt: skip
            case ListenerTrackRemoved(inner_id=self._me.inner_id):
                self._pictures.pop(event.track_id, None)
                if self._tracks.pop(event.track_id, None) is not None:
                    send(SourceRemoved(event.track_id))
            case TrackMuted():
                track = event.track
                if self._tracks.get(track.track_id, track.muted) != track.muted:
                    self._tracks[track.track_id] = track.muted
                    send(SourceMuted(track.track_id, track.muted))
            case TrackPublished():
                self._want(event.participant_id, event.track)
            case ParticipantJoined() | ParticipantUpdated():
                self._tell_person(event.participant_id, event.info.display_name, event.info.mode, event.hidden)
            case ParticipantLeft(inner_id=self._me.inner_id):
                self._me = None  # the room has ended, or somebody put it out
            case ParticipantLeft():
                self._tell_gone(event.participant_id)
            case SpeakerChanged():
                send(SpeakersChanged(event.participant_id, event.order))
            case PinChanged():
                self._tell_pins()

    def show_only(self, track_ids: tuple[str, ...]) -> None:
        """In a large room, send the worker the pictures that it shows; of muted ones nothing comes anyway."""
        if self._me is None:
            return
        conference, now = self._server.conference, self._server.now()
        for track_id, is_sent in self._pictures.items():
            sent = len(self._pictures) <= FEW or track_id in track_ids or self._tracks[track_id]
            if sent != is_sent:
                self._pictures[track_id] = sent
                with suppress(PeerError):  # it has gone, which will be told
                    conference.want(self._me, track_id, enabled=sent, now=now)
        self._server.pump()

    def _tell_person(self, participant_id: str, name: str, mode: Mode, hidden: bool) -> None:
        """Whoever can be seen. An audience is not, nor whoever goes to sit there."""
        if hidden or mode is not Mode.SEND_AND_RECV:
            self._tell_gone(participant_id)
        elif self._choose is None or any(self._choose(participant_id, source) for source in Source):
            self._people.add(participant_id)
            self._worker.send(PersonJoined(participant_id, name or participant_id))

    def _tell_gone(self, participant_id: str) -> None:
        if participant_id in self._people:
            self._people.remove(participant_id)
            self._worker.send(PersonLeft(participant_id))

    def _want(self, participant_id: str, track: Track) -> None:
        if self._choose is None or not track.published or not self._choose(participant_id, track.source):
            return
        if self._me is None:
            return
        with suppress(PeerError):  # it has gone since
            self._server.conference.want(self._me, track.track_id, enabled=True, now=self._server.now())

    def _tell_pins(self) -> None:
        assert self._room is not None
        pins = self._room.pins.pins
        cameras = tuple(name for name, pin in pins.items() if pin.cam)
        shares = tuple(name for name, pin in pins.items() if pin.share)
        self._worker.send(PinsChanged(cameras, shares))
