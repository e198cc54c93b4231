from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from media.codecs import Kind
from media.errors import PeerError, UsageError
from sfu.config import SfuConfig
from sfu.rtp import extensions as ext
from sfu.sdp.description import Direction, Fingerprint, SessionDescription, SsrcGroup
from sfu.sdp.grammar import parse, serialize
from sfu.sdp.negotiate import Encoding, SubscribeTable, SubscribeTrack
from sfu.sdp.negotiated import CODEC_NOT_SUPPORTED, INVALID_SDP
from tests.sfu.sdp.samples import CONFIG, H264, LOCAL, OPUS, VP8, VP9


def audio(track_id: str = "TR_mic", participant_id: str = "ann", ssrc: int = 1) -> SubscribeTrack:
    return SubscribeTrack(Kind.AUDIO, participant_id, track_id, (OPUS,), ssrc)


def video(track_id: str = "TR_cam", participant_id: str = "ann", ssrc: int = 2, codec=VP8) -> SubscribeTrack:
    return SubscribeTrack(Kind.VIDEO, participant_id, track_id, (codec,), ssrc, ssrc + 1000)


def answer_of(offer: SessionDescription, *, reject: tuple[str, ...] = ()) -> SessionDescription:
    """What a browser that takes everything but `reject` answers."""
    answer = parse(serialize(offer))
    answer.ice_lite = False
    for media in answer.media:
        media.direction = (media.direction or Direction.INACTIVE).reversed
        media.setup = "active"
        media.ice_ufrag, media.ice_pwd = "peer", "p" * 22
        media.fingerprints = [Fingerprint("sha-256", ":".join(["0F"] * 32))]
        media.msids, media.ssrcs, media.ssrc_groups = [], {}, []
        if media.mid in reject:
            media.port = 0
    answer.groups = [("BUNDLE", tuple(m.mid for m in answer.media if m.port and m.mid))]
    return answer


def exchange(table: SubscribeTable, *, reject: tuple[str, ...] = ()):
    return table.receive_answer(answer_of(table.create_offer(LOCAL), reject=reject))


@pytest.fixture
def table() -> SubscribeTable:
    return SubscribeTable(CONFIG)


def test_offer_announces_each_track(table):
    assert [table.add(audio()), table.add(video())] == ["0", "1"]
    offer = table.create_offer(LOCAL)
    assert parse(serialize(offer)) == offer
    assert offer.ice_lite
    assert offer.bundle == ("0", "1")
    microphone, camera = offer.media
    assert [m.direction for m in offer.media] == [Direction.SENDONLY, Direction.SENDONLY]
    assert [m.setup for m in offer.media] == ["actpass", "actpass"]
    assert microphone.msids == [("ann", "TR_mic")]
    assert camera.msids == [("ann", "TR_cam")]
    assert camera.formats == ("96", "97")
    assert camera.ssrc_groups == [SsrcGroup("FID", (2, 1002))]
    assert {attributes["cname"] for m in offer.media for attributes in m.ssrcs.values()} == {"ann"}


def test_header_extensions_have_one_id_in_the_whole_bundle(table):
    table.add(audio())
    table.add(video())
    ids: dict[str, set[int]] = {}
    uris: dict[int, set[str]] = {}
    for media in table.create_offer(LOCAL).media:
        for e in media.extmaps:
            ids.setdefault(e.uri, set()).add(e.id)
            uris.setdefault(e.id, set()).add(e.uri)
    assert all(len(found) == 1 for found in (*ids.values(), *uris.values()))
    assert all(1 <= i <= 14 for i in uris)  # RFC 8285 section 4.2: 15 is reserved in the one-byte form


def test_answer_tells_what_the_peer_takes(table):
    table.add(audio())
    table.add(video())
    negotiation = exchange(table)
    assert negotiation.answer is None
    assert negotiation.remote.ufrag == "peer"
    camera = negotiation.media[1]
    assert camera.direction is Direction.RECVONLY
    assert (camera.codecs[0].name, camera.codecs[0].payload_type, camera.codecs[0].rtx_payload_type) == ("VP8", 96, 97)
    assert camera.encodings == (Encoding(2, 1002),)
    assert camera.header_extensions[ext.TRANSPORT_CC] == 3
    assert camera.msid == ("ann", "TR_cam")
    assert not table.needs_offer


def test_answer_without_rtx_feedback_or_extensions_is_obeyed(table):
    table.add(video())
    answer = answer_of(table.create_offer(LOCAL))
    answer.media[0].formats = ("96",)
    answer.media[0].rtcp_fbs = []
    answer.media[0].extmaps = []
    (camera,) = table.receive_answer(answer).media
    assert camera.codecs[0].rtx_payload_type is None
    assert camera.codecs[0].feedback == ()
    assert camera.encodings == (Encoding(2, None),)
    assert camera.header_extensions == {}


def test_stopped_track_is_inactive_then_its_m_line_carries_the_next(table):
    table.add(audio())
    camera = table.add(video())
    exchange(table)
    table.stop(camera)
    assert table.needs_offer
    second = exchange(table)
    assert second.media[1].direction is Direction.INACTIVE
    assert not second.media[1].rejected
    assert table.add(video("TR_2", "bob", 5, VP9)) == camera
    offer = table.create_offer(LOCAL)
    assert offer.media[1].msids == [("bob", "TR_2")]
    assert offer.media[1].formats == ("98", "99")
    assert list(offer.media[1].ssrcs) == [5, 1005]
    assert len(offer.media) == 2


def test_m_line_is_not_recycled_before_the_peer_knows_that_it_is_inactive(table):
    """The browser fires `track` only on the way from inactive to active."""
    camera = table.add(video())
    exchange(table)
    table.stop(camera)
    assert table.add(video("TR_2")) == "1"
    offer = table.create_offer(LOCAL)
    assert [m.direction for m in offer.media] == [Direction.INACTIVE, Direction.SENDONLY]
    assert table.add(video("TR_3")) == "2"  # the answer to the inactive line is still to come


def test_m_line_is_recycled_for_its_kind_only(table):
    camera = table.add(video())
    exchange(table)
    table.stop(camera)
    exchange(table)
    assert table.add(audio()) == "1"


def test_rejected_m_line_stays_rejected_until_recycled_by_a_new_mid(table):
    table.add(audio())
    table.add(video())
    first = exchange(table, reject=("1",))
    assert first.media[1].rejected
    assert not table.needs_offer
    table.add(audio("TR_x", ssrc=7))
    table.stop("2")
    kept = table.create_offer(LOCAL)
    assert (kept.media[1].port, kept.media[1].mid, kept.bundle) == (0, "1", ("0",))
    table.receive_answer(answer_of(kept))
    assert table.add(audio("TR_y", ssrc=8)) == "3"
    recycled = table.create_offer(LOCAL)
    assert [(m.kind, m.mid) for m in recycled.media] == [("audio", "0"), ("audio", "3")]
    assert table.receive_answer(answer_of(recycled)).media[1].direction is Direction.RECVONLY


def test_peer_that_rejects_everything_at_first_has_no_transport(table):
    table.add(video())
    assert exchange(table, reject=("0",)).remote is None


def test_answer_without_the_codec_frees_the_m_line(table):
    table.add(audio())
    table.add(video())
    answer = answer_of(table.create_offer(LOCAL))
    answer.media[1].formats = ("97",)
    negotiation = table.receive_answer(answer)
    assert negotiation.media[1].rejected
    assert table.needs_offer
    assert table.create_offer(LOCAL).media[1].direction is Direction.INACTIVE


def test_track_that_the_peer_does_not_want(table):
    table.add(video())
    answer = answer_of(table.create_offer(LOCAL))
    answer.media[0].direction = Direction.INACTIVE
    assert table.receive_answer(answer).media[0].direction is Direction.INACTIVE


def test_track_stopped_while_its_offer_is_open(table):
    table.add(audio())
    camera = table.add(video())
    offer = table.create_offer(LOCAL)
    assert not table.needs_offer
    table.stop(camera)
    assert table.needs_offer
    table.receive_answer(answer_of(offer))
    assert table.needs_offer
    assert table.create_offer(LOCAL).media[1].direction is Direction.INACTIVE


def test_track_added_while_an_offer_is_open_waits_for_the_next(table):
    table.add(audio())
    offer = table.create_offer(LOCAL)
    table.add(video())
    assert len(table.receive_answer(answer_of(offer)).media) == 1
    assert table.needs_offer
    assert len(table.create_offer(LOCAL).media) == 2


def test_track_stopped_before_it_was_offered_leaves_nothing(table):
    table.add(audio())
    table.stop(table.add(video()))
    assert len(table.create_offer(LOCAL).media) == 1
    assert not table.needs_offer


def test_versions_increase_in_one_session(table):
    table.add(audio())
    first = table.create_offer(LOCAL)
    table.receive_answer(answer_of(first))
    second = table.create_offer(LOCAL)
    assert second.origin == replace(first.origin, version=first.origin.version + 1)


def test_new_credentials_restart_ice(table):
    table.add(audio())
    exchange(table)
    offer = table.create_offer(replace(LOCAL, ufrag="otherufrag"))
    assert offer.media[0].ice_ufrag == "otherufrag"
    answer = answer_of(offer)
    answer.media[0].ice_ufrag = "peer2"
    negotiation = table.receive_answer(answer)
    assert negotiation.ice_restart
    assert negotiation.remote.ufrag == "peer2"


def test_one_offer_at_a_time(table):
    with pytest.raises(UsageError):
        table.create_offer(LOCAL)  # no m-line yet
    table.add(audio())
    assert table.open_offer is None
    offer = table.create_offer(LOCAL)
    assert table.open_offer is offer
    with pytest.raises(UsageError):
        table.create_offer(LOCAL)
    table.receive_answer(answer_of(offer))
    assert table.open_offer is None
    with pytest.raises(UsageError):
        table.receive_answer(answer_of(offer))


@pytest.mark.parametrize("config", [SfuConfig(max_media_lines=1), SfuConfig(max_sdp_bytes=1899)])
def test_bound_of_m_lines(config):
    table = SubscribeTable(config)
    table.add(audio())
    with pytest.raises(PeerError) as refused:
        table.add(audio("TR_2"))
    assert refused.value.code == INVALID_SDP


def test_track_is_subscribed_once_at_a_time(table):
    mid = table.add(audio())
    with pytest.raises(UsageError):
        table.add(audio())
    table.stop(mid)
    assert table.add(audio()) == "1"


def test_codec_outside_the_table_is_refused(table):
    unknown = replace(H264, fmtp={"packetization-mode": "1", "profile-level-id": "f4001f"})
    with pytest.raises(PeerError) as refused:
        table.add(video(codec=unknown))
    assert refused.value.code == CODEC_NOT_SUPPORTED
    assert not table.needs_offer


def _drop_line(answer: SessionDescription) -> None:
    answer.media.pop()


def _other_kind(answer: SessionDescription) -> None:
    answer.media[1].kind = "audio"


def _other_mid(answer: SessionDescription) -> None:
    answer.media[1].mid = "x"


def _no_bundle(answer: SessionDescription) -> None:
    answer.groups = []


def _no_mux(answer: SessionDescription) -> None:
    answer.media[0].rtcp_mux = False


def _passive(answer: SessionDescription) -> None:
    answer.media[0].setup = "passive"


def _no_fingerprint(answer: SessionDescription) -> None:
    answer.media[0].fingerprints = []


@pytest.mark.parametrize(
    "spoil", [_drop_line, _other_kind, _other_mid, _no_bundle, _no_mux, _passive, _no_fingerprint]
)
def test_wrong_answer_is_refused_and_leaves_the_offer_open(table, spoil):
    table.add(audio())
    table.add(video())
    offer = table.create_offer(LOCAL)
    wrong = answer_of(offer)
    spoil(wrong)
    with pytest.raises(PeerError) as refused:
        table.receive_answer(wrong)
    assert refused.value.code == INVALID_SDP
    assert table.open_offer is offer
    assert not table.receive_answer(answer_of(offer)).media[1].rejected


def test_stopped_line_must_not_be_answered(table):
    table.add(audio())
    table.add(video())
    exchange(table, reject=("1",))
    answer = answer_of(table.create_offer(LOCAL))
    answer.media[1].port = 9
    with pytest.raises(PeerError):
        table.receive_answer(answer)


class Subscribing(RuleBasedStateMachine):
    """Tracks come and go in any order around open offers; the peer rejects what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.table = SubscribeTable(CONFIG)
        self.wanted: dict[str, str] = {}  # mid -> track id
        self.offer: SessionDescription | None = None
        self.in_offer: dict[str, str] = {}
        self.lines: list[str] = []
        self.count = 0

    @rule(kind=st.sampled_from(list(Kind)))
    def add(self, kind):
        self.count += 1
        track_id = f"TR_{self.count}"
        track = audio(track_id, ssrc=self.count) if kind is Kind.AUDIO else video(track_id, ssrc=self.count)
        mid = self.table.add(track)
        assert mid not in self.wanted
        self.wanted[mid] = track_id

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def stop(self, data):
        mid = data.draw(st.sampled_from(sorted(self.wanted)))
        del self.wanted[mid]
        self.table.stop(mid)

    @precondition(lambda self: self.offer is None and (self.wanted or self.lines))
    @rule()
    def create_offer(self):
        self.offer = self.table.create_offer(LOCAL)
        assert not self.table.needs_offer
        mids = [m.mid for m in self.offer.media]
        assert len(set(mids)) == len(mids)
        assert len(mids) >= len(self.lines)
        self.lines = mids
        sent = {m.mid: m.msids[0][1] for m in self.offer.media if m.direction is Direction.SENDONLY and m.port}
        assert sent == self.wanted
        self.in_offer = dict(sent)

    @precondition(lambda self: self.offer is not None)
    @rule(data=st.data())
    def receive_answer(self, data):
        rejected = data.draw(st.sets(st.sampled_from(self.lines), max_size=1))
        negotiation = self.table.receive_answer(answer_of(self.offer, reject=tuple(rejected)))
        self.offer = None
        for media in negotiation.media:
            if media.rejected:
                self.wanted.pop(media.mid, None)
            else:
                assert media.direction.receives is (media.mid in self.in_offer)
        agreed = {m.mid: m.msid[1] for m in negotiation.media if m.direction.receives}
        assert self.table.needs_offer is (agreed != self.wanted)

    @invariant()
    def open_offer_is_ours(self):
        assert self.table.open_offer is self.offer


Subscribing.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
TestSubscribing = Subscribing.TestCase
