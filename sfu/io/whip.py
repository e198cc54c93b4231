"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) over aiohttp: a participant by plain HTTP, without our signalling.

One POST makes a participant and its one connection; DELETE, or the loss of media, ends both. Refusals are PeerError or aiohttp's
HTTP errors: the application renders them. Who may is the application's to say, by `authorize`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from media.codecs import Kind
from media.errors import ParseError
from media.ids import RandomBytes
from sfu.io.signalling_ports import Admission
from sfu.io.udp import MediaServer
from sfu.meeting.events import ParticipantLeft
from sfu.meeting.participant import CloseReason, JoinRequest, Mode, Participant
from sfu.meeting.permissions import Source
from sfu.meeting.refusals import Refusal
from sfu.sdp import fragment as fragments
from sfu.sdp.description import SessionDescription
from sfu.session import PeerSession

log = logging.getLogger(__name__)

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"  # RFC 8840 section 9
MAX_FRAGMENT_BYTES = 16_384
SOURCES = {Kind.AUDIO: (Source.MIC, Source.SCREEN_AUDIO), Kind.VIDEO: (Source.WEBCAM, Source.SCREEN)}

AuthorizeRequest = Callable[[web.Request, str, str | None], Awaitable[Admission]]
"""`await authorize(request, room_id, participant_id)`: reads the token; PeerError when it is refused."""
Owns = Callable[[web.Request, str | None, str, str], Awaitable[bool]]
"""`await owns(request, project_id, room_id, participant_id)`: whether this request's token may end that participant's session."""
IceServers = Callable[[], Sequence[Mapping[str, Any]]]
"""RTCIceServer dictionaries, made anew for each answer: credentials expire."""


@dataclass(slots=True)
class _Resource:
    """A WHIP or WHEP session: what its URL names."""

    participant: Participant
    project_id: str | None
    session: PeerSession
    generation: int = 1  # of ICE credentials: the ETag

    @property
    def etag(self) -> str:
        return f'"{self.generation}"'


class WhipServer:
    """Handlers for the four routes of each protocol. `server` is pumped after each command."""

    def __init__(
        self,
        server: MediaServer,
        authorize: AuthorizeRequest,
        owns: Owns,
        *,
        random_bytes: RandomBytes,
        public_url: Callable[[web.Request], str],
        ice_servers: IceServers = tuple,
    ) -> None:
        self._server = server
        self._authorize = authorize
        self._owns = owns
        self._random_bytes = random_bytes
        self._public_url = public_url
        self._ice_servers = ice_servers
        self._resources: dict[str, _Resource] = {}
        server.add_listener(self._on_event)

    async def whip(self, request: web.Request) -> web.Response:
        """POST /v2/whip: publish."""
        sdp = await self._read_sdp(request)
        if request.query.get("useExistingPeer", "false") != "false":
            raise web.HTTPNotImplemented(reason="useExistingPeer is not supported: one participant has one WHIP session")
        offered = self._sources(sdp)  # before joining: a bad offer puts nobody out of the same participantId
        admission = await self._authorize(request, self._room_of(request), request.query.get("participantId"))
        for _, _, source in offered:
            if source not in admission.grants.publish:
                raise Refusal.PUBLISH_NOT_ALLOWED(f"the token does not let {source.value} be published; leave it out of the offer")
        participant = self._join(request, Mode.SEND_AND_RECV, admission)
        conference, now = self._server.conference, self._server.now()
        try:
            bindings = [
                (mid, conference.announce(participant, source=source, kind=kind, now=now).track_id)
                for mid, kind, source in offered
            ]
            answer = conference.publish(participant, sdp, bindings, now=now)
            session = conference.peers[participant.inner_id].publish
        except Exception:
            self._leave(participant, CloseReason.UNKNOWN)
            raise
        return self._created(request, "whip", participant, admission, session, answer)

    async def whep(self, request: web.Request) -> web.Response:
        """POST /v2/whep: play one participant, `remotePeerId`, or whoever publishes."""
        sdp = await self._read_sdp(request)
        remote = request.query.get("remotePeerId")
        room_id = self._room_of(request)
        admission = await self._authorize(request, room_id, request.query.get("participantId"))
        room = self._server.conference.rooms.get(admission.room_id)
        if remote is not None and (room is None or remote not in room.participants):
            raise web.HTTPNotFound(reason=f"nobody named {remote[:64]!r} is in this meeting")
        self._server.conference.parse_offer(sdp)  # a bad one is refused before anybody joins
        participant = self._join(request, Mode.RECV_ONLY, admission)
        conference, now = self._server.conference, self._server.now()
        try:
            answer = conference.play(participant, sdp, remote_participant_id=remote, now=now)
            session = conference.peers[participant.inner_id].play
        except Exception:
            self._leave(participant, CloseReason.UNKNOWN)
            raise
        return self._created(request, "whep", participant, admission, session, answer)

    async def patch(self, request: web.Request) -> web.Response:
        """PATCH of a session: trickle ICE, or an ICE restart. RFC 9725 sections 4.3.2 and 4.3.3."""
        resource = await self._find(request)
        if request.content_type != FRAGMENT:
            raise web.HTTPUnsupportedMediaType(reason=f"send {FRAGMENT}", headers={"Accept-Patch": FRAGMENT})
        if request.content_length is not None and request.content_length > MAX_FRAGMENT_BYTES:
            raise web.HTTPRequestEntityTooLarge(max_size=MAX_FRAGMENT_BYTES, actual_size=request.content_length)
        condition = request.headers.get("If-Match")
        if condition is None:
            # "a WHIP session ... MUST return a 428 (Precondition Required)" without If-Match, section 4.3.1
            raise web.HTTPPreconditionRequired(reason="send If-Match with the session's ETag, or * to restart ICE")
        try:
            fragment = fragments.parse_fragment((await request.read()).decode(), max_bytes=MAX_FRAGMENT_BYTES)
        except (ParseError, UnicodeDecodeError) as error:
            raise web.HTTPBadRequest(reason=f"not a trickle ICE fragment: {error}"[:200]) from None
        if condition.strip() == "*":
            return self._restart(resource, fragment)
        if condition.strip() != resource.etag:
            raise web.HTTPPreconditionFailed(reason="the ETag is of former ICE credentials")
        # Our agent is lite: it learns addresses from checks, so candidates need no keeping.
        return web.Response(status=204, headers={"ETag": resource.etag})

    async def delete(self, request: web.Request) -> web.Response:
        resource = await self._find(request)
        self._leave(resource.participant, CloseReason.MANUAL_LEAVE_CALLED)
        return web.Response(status=200)

    async def options(self, request: web.Request) -> web.Response:
        """OPTIONS of an endpoint. CORS is added by the application."""
        response = web.Response(status=204, headers={"Accept-Post": SDP})
        for link in ice_links(self._ice_servers()):
            response.headers.add("Link", link)
        return response

    async def session_options(self, request: web.Request) -> web.Response:
        return web.Response(status=204, headers={"Accept-Patch": FRAGMENT})

    def close(self) -> None:
        self._server.remove_listener(self._on_event)
        self._resources.clear()

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _read_sdp(self, request: web.Request) -> str:
        if request.content_type != SDP:
            raise web.HTTPUnsupportedMediaType(reason=f"send the offer as {SDP}", headers={"Accept-Post": SDP})
        limit = self._server.conference.config.max_sdp_bytes
        if request.content_length is not None and request.content_length > limit:
            raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=request.content_length)
        try:
            return (await request.read()).decode()  # whatever charset is claimed: SDP is UTF-8, RFC 8866 section 4.5
        except UnicodeDecodeError:
            raise Refusal.INVALID_SDP("the offer is not UTF-8 text") from None

    def _room_of(self, request: web.Request) -> str:
        room_id = request.query.get("roomId")
        if not room_id:
            raise web.HTTPBadRequest(reason="name the meeting: ?roomId=…")
        return room_id

    def _join(self, request: web.Request, mode: Mode, admission: Admission) -> Participant:
        query = request.query
        participant_id = admission.participant_id or query.get("participantId")
        wanted = JoinRequest(
            room_id=admission.room_id,
            participant_id=participant_id,
            display_name=query.get("displayName", participant_id or ""),
            grants=admission.grants,
            mode=mode,
            auto_subscribe=False,
            max_participants=admission.max_participants,
            session_id=admission.session_id,
            project_id=admission.project_id,
        )
        conference = self._server.conference
        participant = conference.join(wanted, now=self._server.now())
        conference.peers[participant.inner_id].has_signalling = False
        self._server.pump()
        return participant

    def _sources(self, sdp: str) -> list[tuple[str, Kind, Source]]:
        """Every m-line that sends will be a track: the first audio is the microphone, the first video the camera."""
        left = {kind: list(sources) for kind, sources in SOURCES.items()}
        found: list[tuple[str, Kind, Source]] = []
        for mid, kind in offered_media(self._server.conference.parse_offer(sdp)):
            if not left[kind]:
                raise Refusal.TOO_MUCH(f"at most {len(SOURCES[kind])} m-lines of {kind.value}")
            found.append((mid, kind, left[kind].pop(0)))
        if not found:
            raise Refusal.INVALID_SDP("nothing in the offer is sent")
        return found

    def _created(
        self,
        request: web.Request,
        protocol: str,
        participant: Participant,
        admission: Admission,
        session: PeerSession | None,
        answer: str,
    ) -> web.Response:
        assert session is not None
        resource_id = self._random_bytes(16).hex()
        resource = self._resources[resource_id] = _Resource(participant, admission.project_id, session)
        log.info("participant %s joined room %s by %s", participant.participant_id, participant.room_id, protocol.upper())
        self._server.pump()
        location = f"{self._public_url(request)}/v2/{protocol}/sessions/{resource_id}"
        headers = {"Location": location, "ETag": resource.etag, "Accept-Patch": FRAGMENT}
        response = web.Response(status=201, text=answer, content_type=SDP, headers=headers)
        response.charset = None
        for link in ice_links(self._ice_servers()):
            response.headers.add("Link", link)
        return response

    async def _find(self, request: web.Request) -> _Resource:
        resource = self._resources.get(request.match_info["sessionId"])
        participant = None if resource is None else resource.participant
        if participant is None or not await self._owns(
            request, resource.project_id, participant.room_id, participant.participant_id
        ):
            raise web.HTTPNotFound(reason="no such session")
        return resource

    def _restart(self, resource: _Resource, fragment: fragments.Fragment) -> web.Response:
        credentials = fragment.credentials
        if credentials is None:
            raise web.HTTPUnprocessableEntity(reason="an ICE restart names a new ice-ufrag and ice-pwd")
        if resource.participant.inner_id not in self._server.conference.peers:
            raise web.HTTPNotFound(reason="no such session")  # it ended while the request was read
        session = resource.session
        session.restart_ice()
        session.set_remote_credentials(*credentials)
        self._server.conference.table.add(session)
        resource.generation += 1
        text = fragments.serialize_fragment(session.restart_fragment())
        self._server.pump()
        response = web.Response(status=200, text=text, content_type=FRAGMENT, headers={"ETag": resource.etag})
        response.charset = None
        return response

    def _leave(self, participant: Participant, reason: CloseReason) -> None:
        conference = self._server.conference
        if participant.inner_id in conference.peers:
            conference.leave(participant, reason, now=self._server.now())
            self._server.pump()

    def _on_event(self, event: object) -> None:
        """Whoever left, by whatever way, has no resource any more."""
        if isinstance(event, ParticipantLeft):
            for resource_id, resource in list(self._resources.items()):
                if resource.participant.inner_id == event.inner_id:
                    del self._resources[resource_id]
                    log.info("participant %s has left", resource.participant.participant_id)


def offered_media(offer: SessionDescription) -> list[tuple[str, Kind]]:
    """The m-lines of an offer that send audio or video: (mid, kind)."""
    found: list[tuple[str, Kind]] = []
    for media in offer.media:
        direction = media.direction or offer.direction
        if media.kind in ("audio", "video") and media.mid is not None and media.port != 0:
            if direction is None or direction.sends:
                found.append((media.mid, Kind(media.kind)))
    return found


def ice_links(servers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Link headers that configure a client's STUN and TURN servers. RFC 9725 section 4.6."""
    links: list[str] = []
    for server in servers:
        urls = server["urls"]
        credentials = ""
        if "username" in server:
            credentials = f'; username="{server["username"]}"; credential="{server["credential"]}"; credential-type="password"'
        links += [f'<{url}>; rel="ice-server"{credentials}' for url in ([urls] if isinstance(urls, str) else urls)]
    return links
