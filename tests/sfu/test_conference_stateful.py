"""Any sequence of what clients, their networks and their connections can do: refusals are PeerErrors, the tables agree, nothing stays."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from media.errors import PeerError
from sfu.config import SfuConfig
from sfu.meeting.participant import CloseReason
from sfu.meeting.permissions import Source
from tests.support.client_sdp import Line
from tests.support.conference_pair import COARSE, CONTEXTS, Browser, Lab, assert_empty

NAMES = ("alice", "bob", "carol", "player")
CONFIG = SfuConfig(max_sessions=6, max_media_lines=6, max_tracks=3)


class Calls:
    """One room, three browsers and a player. What somebody may not do just then is refused, and that is fine."""

    def __init__(self) -> None:
        self.lab = Lab(CONFIG)
        self.present: dict[str, Browser] = {}
        self.ssrc = 1000

    def act(self, action: str, name: str) -> None:
        try:
            getattr(self, action)(name)
        except PeerError:
            pass
        self.lab.pump()
        self.check()

    def who(self, name: str) -> Browser:
        if name not in self.present:
            self.join(name)
        return self.present[name]

    # Commands

    def join(self, name: str) -> None:
        """Puts out whoever had the name."""
        make: Callable[[str], Browser] = self.lab.whip if name == "player" else self.lab.join
        former = self.present.get(name)
        self.present[name] = make(name)
        if former is not None:
            former.die()

    def leave(self, name: str) -> None:
        browser = self.present.pop(name, None)
        if browser is not None:
            browser.die()
            self.lab.conference.leave(browser.participant, CloseReason.MANUAL_LEAVE_CALLED, now=self.lab.now)

    def detach(self, name: str) -> None:
        self.lab.conference.detach(self.who(name).participant, now=self.lab.now)

    def resume(self, name: str) -> None:
        self.lab.conference.resume(self.who(name).participant, now=self.lab.now)

    def publish(self, name: str) -> None:
        browser = self.who(name)
        self.ssrc += 10
        kind, source = (("video", Source.WEBCAM), ("audio", Source.MIC))[self.ssrc // 10 % 2]
        track_id = browser.announce(source, muted=True)
        browser.media.append(Line(kind, ssrc=self.ssrc))
        mid = str(len(browser.media) - 1)
        browser.tracks[mid] = track_id
        browser.negotiate([(mid, track_id)])

    def unpublish(self, name: str) -> None:
        for track_id in list(self.who(name).participant.tracks)[:1]:
            self.lab.conference.unpublish(self.who(name).participant, track_id, now=self.lab.now)

    def mute(self, name: str) -> None:
        for track in list(self.who(name).participant.tracks.values()):
            self.lab.conference.mute(self.who(name).participant, track.track_id, not track.muted, now=self.lab.now)

    def renegotiate(self, name: str) -> None:
        """With other streams in every m-line, and ICE restarted."""
        browser = self.who(name)
        for line in browser.media:
            self.ssrc += 10
            line.ssrc = self.ssrc
        if browser.publish_leg is not None:
            browser.publish_leg.new_credentials()
            browser.negotiate()

    def reconnect(self, name: str) -> None:
        """A new peer connection, which begins with no m-line of the old."""
        browser = self.who(name)
        browser.media = []
        track_id = browser.announce(Source.SCREEN, muted=True)
        browser.media = [Line("video", ssrc=self.ssrc)]
        other = browser.publish_leg is not None and browser.publish_leg.client.context is CONTEXTS[0]
        browser.negotiate([("0", track_id)], context=CONTEXTS[1 if other else 0])

    def restart(self, name: str) -> None:
        self.lab.conference.restart_subscribe(self.who(name).participant, now=self.lab.now)

    def play(self, name: str) -> None:
        player = self.who("player")
        if player.play_leg is None:
            player.play(of=name if name != "player" else None)

    def ignore_offers(self, name: str) -> None:
        self.who(name).answers = not self.who(name).answers

    def end(self, name: str) -> None:
        self.lab.conference.end_room("room", CloseReason.MEETING_END_API, now=self.lab.now)
        for browser in self.present.values():
            browser.die()
        self.present.clear()

    # The world

    def crash(self, name: str) -> None:
        if name in self.present:
            self.present[name].die()

    def hang_up(self, name: str) -> None:
        """The client closes its connections, and stays."""
        browser = self.who(name)
        for leg in (browser.publish_leg, browser.subscribe_leg, browser.play_leg):
            if leg is not None and leg.alive:
                leg.client.close()

    def breathe(self, name: str) -> None:
        self.lab.run(0.02)

    def wait(self, name: str) -> None:
        self.lab.run(16.0, step=COARSE * 10)

    # What must hold

    def check(self) -> None:
        c = self.lab.conference
        sessions = {session.id: session for peer in c.peers.values() for session in peer.sessions}
        assert c.table.sessions == sessions and len(sessions) <= CONFIG.max_sessions
        assert not any(session.closed for session in sessions.values())
        assert set(c.table.demux._ufrags_of) == set(sessions.values()) >= set(c.table.demux.paths.values())
        producers = {p.id: p for session in sessions.values() for p in session.producers.values()}
        assert c._producers == producers
        people = {p.inner_id: p for room in c.rooms.values() for p in room.participants.values()}
        assert {inner_id: peer.participant for inner_id, peer in c.peers.items()} == people
        tracks = {track_id for participant in people.values() for track_id in participant.tracks}
        assert producers.keys() <= tracks
        for session in sessions.values():
            for consumer in session.endpoint.consumers:
                assert consumer.producer is producers.get(consumer.producer.id), "nobody hangs on a producer that is gone"
        assert not c.table.has_events and not c._busy and not c._unsettled and not c.dirty


ACTIONS = [name for name, item in vars(Calls).items() if callable(item) and not name.startswith("_") and name not in ("act", "who", "check")]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(NAMES)), max_size=40))
@example([("publish", "alice"), ("join", "bob"), ("breathe", "bob"), ("detach", "alice"), ("crash", "alice"), ("wait", "bob")])
@example([("publish", "alice"), ("play", "alice"), ("breathe", "bob"), ("unpublish", "alice"), ("publish", "alice"), ("hang_up", "player")])
def test_whatever_happens_the_tables_agree_and_in_the_end_nothing_is_left(steps):
    calls = Calls()
    for action, name in steps:
        calls.act(action, name)
    for name in NAMES:
        calls.act("leave", name)
    calls.act("end", "")
    assert_empty(calls.lab)
