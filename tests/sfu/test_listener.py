"""What a media worker gets of a room: plain packets, sender reports at once, and nothing that costs anybody else."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from media.clock import ntp_to_wall
from media.codecs import Codec, Kind
from media.errors import PeerError, UsageError
from sfu.config import SfuConfig
from sfu.endpoint import RtpEndpoint
from sfu.listener import ListenerFailed, ListenerTrackAdded, ListenerTrackRemoved
from sfu.meeting.events import ParticipantLeft, RoomEnded, SubscriptionWanted, TrackPublished
from sfu.meeting.participant import CloseReason
from sfu.meeting.permissions import Grants, Source
from sfu.peer import SubscribeOffer
from sfu.rtp.compound import parse_compound, serialize_compound
from sfu.rtp.feedback import Pli
from sfu.rtp.packet import parse
from sfu.rtp.reports import Bye, SenderReport
from tests.support.client_sdp import H264_LINES, Line
from tests.support.conference_pair import AudioSender, Lab, VideoSender, assert_empty
from tests.support.rtp_peers import OPUS, VP8_KEY, Node, rtp

RECORDER = Grants(join=True, subscribe=True, hidden=True, recorder=True)


class Sink:
    """The node's end of a worker's socket pair."""

    def __init__(self) -> None:
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.broken = False

    def send_rtp(self, data: bytes) -> None:
        if self.broken:
            raise OSError("the worker is gone")
        self.rtp.append(data)

    def send_rtcp(self, data: bytes) -> None:
        if self.broken:
            raise OSError("the worker is gone")
        self.rtcp.append(data)

    def packets(self, ssrc: int) -> list:
        return [packet for packet in map(parse, self.rtp) if packet.ssrc == ssrc]

    def told(self, kind: type) -> list:
        return [message for data in self.rtcp for message in parse_compound(data) if isinstance(message, kind)]


class Worker:
    """A recorder that listens."""

    def __init__(self, lab: Lab, name: str = "rec", *, hold: float = 0.0, **more) -> None:
        self.lab, self.sink = lab, Sink()
        self.participant = lab.join(name, grants=RECORDER, **more).participant
        self.listener = lab.conference.listen(self.participant, self.sink, hold_room_seconds=hold, now=lab.now)

    def leave(self) -> None:
        self.lab.conference.leave(self.participant, CloseReason.MANUAL_LEAVE_CALLED, now=self.lab.now)
        self.lab.pump()

    def added(self) -> list[ListenerTrackAdded]:
        return [event for event in self.lab.told(ListenerTrackAdded) if event.inner_id == self.participant.inner_id]

    def removed(self) -> list[ListenerTrackRemoved]:
        return [event for event in self.lab.told(ListenerTrackRemoved) if event.inner_id == self.participant.inner_id]

    def wait_for(self, count: int) -> list[ListenerTrackAdded]:
        self.lab.run_until(lambda: len(self.added()) >= count)
        return self.added()


def sends(browser, *senders: VideoSender | AudioSender) -> None:
    browser.publish(
        *(Line("video" if isinstance(one, VideoSender) else "audio", ssrc=one.ssrc) for one in senders),
        sources=tuple(Source.WEBCAM if isinstance(one, VideoSender) else Source.MIC for one in senders),
    )
    browser.publish_leg.senders.extend(senders)


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
def test_everything_that_is_published_comes_plain_with_the_publishers_payload_types(early):
    lab = Lab()
    worker = Worker(lab) if early else None
    alice = lab.join("alice")
    sends(alice, VideoSender(lab), AudioSender(lab))
    lab.connect()
    lab.run(0.5)
    worker = worker or Worker(lab)
    video, audio = sorted(worker.wait_for(2), key=lambda event: event.track.kind.value, reverse=True)
    assert (video.room_id, video.participant_id, video.owner_id) == ("room", "rec", "alice")
    assert (video.track.source, audio.track.source) == (Source.WEBCAM, Source.MIC)
    assert [(codec.name, codec.payload_type, codec.rtx_payload_type) for codec in video.codecs] == [("VP8", 96, None)]
    assert [(codec.name, codec.payload_type, codec.channels) for codec in audio.codecs] == [("opus", 111, 2)]
    assert video.ssrc != audio.ssrc and worker.listener.ssrcs == {video.track.track_id: video.ssrc, audio.track.track_id: audio.ssrc}
    lab.run(1.0)
    pictures, sounds = worker.sink.packets(video.ssrc), worker.sink.packets(audio.ssrc)
    assert len(sounds) > 45 and len(pictures) > 60
    assert {packet.payload_type for packet in pictures} == {96} and {packet.payload_type for packet in sounds} == {111}
    assert not any(packet.ext_profile for packet in pictures + sounds)
    assert pictures[0].payload.startswith(VP8_KEY), "it begins with a keyframe"
    numbers = [packet.sequence_number for packet in sounds]
    assert numbers == [(numbers[0] + at) & 0xFFFF for at in range(len(numbers))]
    assert len(worker.sink.rtp) == len(pictures) + len(sounds)
    assert lab.told(SubscribeOffer) == [] and not lab.conference.table.sessions.keys() - {alice_session(lab)}


def alice_session(lab: Lab) -> str:
    return next(id for id, session in lab.conference.table.sessions.items() if session.producers)


def test_a_track_is_told_after_it_is_published_and_before_anybody_hears_of_the_wish_for_it():
    lab = Lab()
    worker = Worker(lab)
    alice = lab.join("alice")
    alice.microphone()
    lab.connect()
    worker.wait_for(1)
    kinds = [type(event) for event in lab.events if isinstance(event, TrackPublished | ListenerTrackAdded | SubscriptionWanted)]
    assert kinds == [TrackPublished, ListenerTrackAdded, SubscriptionWanted]


def test_the_first_sender_report_comes_as_soon_as_the_publishers_clock_is_known_and_more_each_second():
    lab = Lab()
    worker = Worker(lab)
    alice = lab.join("alice")
    alice.camera()  # its first report comes half a second after its first packet
    lab.connect()
    (video,) = worker.wait_for(1)
    began = lab.now
    lab.run_until(lambda: bool(worker.sink.told(SenderReport)))
    assert lab.now - began < 0.75
    report = worker.sink.told(SenderReport)[0]
    assert report.ssrc == video.ssrc and report.packet_count > 0
    assert abs(ntp_to_wall(report.ntp) - (lab.conference.context.wall_clock.wall(lab.now))) < 0.05, "the node's clock"
    newest = worker.sink.packets(video.ssrc)[-1]
    behind = (report.rtp_time - newest.timestamp + 2**31) % 2**32 - 2**31
    assert abs(behind) < 0.1 * 90000, "and the instant of what is sent now"
    lab.run(4.0)
    assert len(worker.sink.told(SenderReport)) >= 5

    late = Worker(lab, "late")  # the clock is known: its first report waits for the first packet only
    (video,) = late.wait_for(1)
    lab.run_until(lambda: bool(late.sink.packets(video.ssrc)))
    began = lab.now
    lab.run_until(lambda: bool(late.sink.told(SenderReport)))
    assert lab.now - began <= 0.15


def test_the_workers_pli_asks_the_publisher():
    lab = Lab()
    worker = Worker(lab)
    alice = lab.join("alice")
    camera = alice.camera()
    lab.connect()
    (video,) = worker.wait_for(1)
    lab.run(1.0)
    before = camera.keyframes
    worker.listener.receive_rtcp(serialize_compound([Pli(1, video.ssrc)]), now=lab.now)
    worker.listener.receive_rtcp(b"garbage", now=lab.now)
    lab.run_until(lambda: camera.keyframes > before)


def test_without_auto_subscribe_only_what_is_wanted_comes_and_may_pause():
    lab = Lab()
    worker = Worker(lab, auto_subscribe=False)
    alice = lab.join("alice")
    sends(alice, VideoSender(lab), AudioSender(lab))
    lab.connect()
    lab.run(0.5)
    assert worker.added() == [] and worker.sink.rtp == []
    track_id = next(track.track_id for track in alice.participant.tracks.values() if track.kind is Kind.VIDEO)
    lab.conference.want(worker.participant, track_id, enabled=True, now=lab.now)
    (video,) = worker.wait_for(1)
    lab.run_until(lambda: bool(worker.sink.packets(video.ssrc)))
    lab.conference.want(worker.participant, track_id, enabled=False, now=lab.now)
    lab.pump()
    count = len(worker.sink.rtp)
    lab.run(1.0)
    assert len(worker.sink.rtp) == count and worker.removed() == []
    lab.conference.want(worker.participant, track_id, enabled=True, now=lab.now)
    lab.run_until(lambda: len(worker.sink.rtp) > count)
    assert parse(worker.sink.rtp[count]).payload.startswith(VP8_KEY)
    assert len(worker.added()) == 1


def test_what_is_wanted_paused_from_the_start_sends_nothing():
    node, sink = Node(), Sink()
    lab = Lab()
    worker = Worker(lab)
    ingress, _ = node.endpoint()
    producer = node.producer(ingress)
    track = lab.conference.announce(lab.join("alice").participant, source=Source.WEBCAM, now=lab.now)
    worker.listener.add(track, producer, paused=True, now=lab.now)
    ingress.receive_rtp(rtp(1, VP8_KEY), now=lab.now)
    assert worker.sink.rtp == sink.rtp == []


def test_a_track_that_ends_is_removed_with_a_bye():
    lab = Lab()
    worker = Worker(lab)
    alice = lab.join("alice")
    alice.microphone()
    lab.connect()
    (audio,) = worker.wait_for(1)
    lab.run_until(lambda: bool(worker.sink.rtp))
    lab.conference.unpublish(alice.participant, audio.track.track_id, now=lab.now)
    lab.pump()
    assert [event.track_id for event in worker.removed()] == [audio.track.track_id]
    assert [bye.ssrcs for bye in worker.sink.told(Bye)] == [[audio.ssrc]]
    assert worker.listener.ssrcs == {}


def test_a_change_of_codec_is_told_as_another_track_with_another_ssrc():
    lab = Lab()
    worker = Worker(lab)
    alice = lab.join("alice")
    alice.camera()
    lab.connect()
    (before,) = worker.wait_for(1)
    lab.run_until(lambda: bool(worker.sink.rtp))
    alice.media[0] = Line("video", ssrc=1500, codec=H264_LINES)
    alice.negotiate()
    lab.pump()
    (removed,), (_, after) = worker.removed(), worker.added()
    assert removed.track_id == before.track.track_id == after.track.track_id
    assert after.ssrc != before.ssrc and [codec.name for codec in after.codecs] == ["H264"]
    assert after.track.codec == "H264"


def test_another_stream_of_the_same_codec_goes_on_unnoticed():
    lab = Lab()
    worker = Worker(lab)
    alice = lab.join("alice")
    first = alice.camera()
    lab.connect()
    (video,) = worker.wait_for(1)
    lab.run(1.2)
    first.running = False
    second = VideoSender(lab, seed=5, ssrc=1500, start=40_000.0)
    alice.media[0] = Line("video", ssrc=second.ssrc)
    alice.negotiate()
    alice.publish_leg.senders.append(second)
    lab.run(2.5)
    assert len(worker.added()) == 1 and worker.removed() == [] and worker.sink.told(Bye) == []
    packets = worker.sink.packets(video.ssrc)
    assert len(packets) == len(worker.sink.rtp) and len(packets) > 200
    assert all((b.sequence_number - a.sequence_number) & 0xFFFF == 1 for a, b in pairwise(packets))
    assert all((b.timestamp - a.timestamp) & 0xFFFFFFFF < 90000 for a, b in pairwise(packets))
    reports = worker.sink.told(SenderReport)
    assert {report.ssrc for report in reports} == {video.ssrc}
    assert reports[-1].packet_count > reports[0].packet_count


def test_red_is_undone_and_alone_is_passed_on():
    red = Codec("red", Kind.AUDIO, 48000, 63, channels=2, fmtp={"111/111": ""})
    lab = Lab()
    node = Node()
    worker = Worker(lab)
    ingress, _ = node.endpoint()
    track = lab.conference.announce(lab.join("alice").participant, source=Source.MIC, now=lab.now)
    producer = node.producer(ingress, (red, OPUS))
    worker.listener.add(track, producer, paused=False, now=lab.now)
    ingress.receive_rtp(rtp(1, bytes([0x80 | 111, 0, 0, 3, 111]) + b"oldnew", payload_type=63), now=lab.now)
    (packet,) = map(parse, worker.sink.rtp)
    assert (packet.payload_type, packet.payload) == (111, b"new")
    (event,) = (event for event in drain(lab) if isinstance(event, ListenerTrackAdded))
    assert event.codecs == (OPUS,)

    only = node.producer(ingress, (red,), ssrc=9)
    worker.listener.add(replace(track, track_id="TR_only"), only, paused=False, now=lab.now)
    (event,) = (event for event in drain(lab) if isinstance(event, ListenerTrackAdded))
    assert event.codecs == (red,)


def drain(lab: Lab) -> list:
    lab.events.clear()
    lab.pump()
    return lab.events


def test_a_failing_sink_costs_its_listener_only():
    lab = Lab()
    broken, sound = Worker(lab, "broken"), Worker(lab, "sound")
    alice = lab.join("alice")
    alice.camera()
    lab.connect()
    broken.wait_for(1)
    lab.run(0.5)
    broken.sink.broken = True
    lab.run_until(lambda: bool(lab.told(ListenerFailed)))
    assert lab.told(ListenerFailed)[0].inner_id == broken.participant.inner_id
    assert "the worker is gone" in lab.told(ListenerFailed)[0].reason
    left = [event for event in lab.told(ParticipantLeft)]
    assert [(event.participant_id, event.hidden, event.reason) for event in left] == [("broken", True, CloseReason.UNKNOWN)]
    count = len(sound.sink.rtp)
    lab.run(0.5)
    assert len(sound.sink.rtp) > count and alice.publish_leg.client.connected
    assert alice.participant.participant_id in lab.conference.rooms["room"].participants


def test_a_bug_at_a_listeners_time_costs_that_listener(monkeypatch):
    lab = Lab()
    worker, other = Worker(lab), Worker(lab, "other")
    alice = lab.join("alice")
    alice.microphone()
    lab.connect()
    worker.wait_for(1)

    def fail(self, *, now):
        raise ZeroDivisionError

    monkeypatch.setattr(worker.listener.endpoint, "handle_timer", fail.__get__(worker.listener.endpoint, RtpEndpoint))
    with pytest.raises(ZeroDivisionError):
        lab.run(2.0)
    lab.conference.drop_failed(now=lab.now)
    lab.pump()
    assert [event.participant_id for event in lab.told(ListenerFailed)] == ["rec"]
    lab.run(1.0)
    assert other.listener.failure is None and alice.publish_leg.client.connected
    assert "rec" not in lab.conference.rooms["room"].participants


def test_nothing_is_left_of_listeners_that_leave_or_of_a_room_that_ends():
    lab = Lab()
    first, second = Worker(lab), Worker(lab, "second")
    alice = lab.join("alice")
    alice.camera()
    lab.connect()
    first.wait_for(1)
    lab.run(1.0)
    first.leave()
    count = len(first.sink.rtp)
    lab.run(0.3)
    assert len(first.sink.rtp) == count and first.sink.told(Bye)
    first.listener.receive_rtcp(serialize_compound([Pli(1, first.added()[0].ssrc)]), now=lab.now)
    lab.conference.leave(alice.participant, CloseReason.MANUAL_LEAVE_CALLED, now=lab.now)
    lab.pump()
    assert lab.told(RoomEnded)[-1].reason is CloseReason.ROOM_CLOSE
    assert second.listener.closed and second.sink.told(Bye)
    assert len(lab.conference.listeners._timers) == 0 and not lab.conference.listeners.has_events
    lab.run(0.1)
    assert_empty(lab)


def test_only_a_hidden_recorder_listens_and_once():
    lab = Lab()
    worker = Worker(lab)
    for participant in (worker.participant, lab.join("alice").participant):
        with pytest.raises(UsageError):
            lab.conference.listen(participant, Sink(), now=lab.now)


def test_who_has_left_does_not_listen():
    lab = Lab()
    alice = lab.join("alice")
    recorder = lab.join("rec", grants=RECORDER).participant
    lab.conference.end_for_all(alice.participant, now=lab.now)
    for _ in range(2):  # before and after the conference has noticed
        with pytest.raises(PeerError, match="NOT_JOINED"):
            lab.conference.listen(recorder, Sink(), now=lab.now)
        lab.pump()


def test_who_listens_late_has_its_offer_withdrawn():
    """Joined, pumped, and only then listening."""
    lab = Lab()
    alice = lab.join("alice")
    alice.microphone()
    lab.connect()
    lab.run(0.2)
    recorder = lab.join("rec", grants=RECORDER)
    recorder.answers = False
    lab.pump()
    assert len(recorder.offers) == 1
    sink = Sink()
    lab.conference.listen(recorder.participant, sink, now=lab.now)
    lab.run(0.3)
    assert sink.rtp and len(recorder.offers) == 1 and len(lab.conference.table.sessions) == 1


def test_recorders_are_not_counted():
    lab = Lab(replace(SfuConfig(), max_participants=1))
    Worker(lab)
    lab.join("alice")
    Worker(lab, "second")
    assert lab.conference.participants == 1


def test_reports_are_as_frequent_as_the_node_is_configured_if_that_is_more():
    lab = Lab(replace(SfuConfig(), rtcp_interval=0.1))
    worker = Worker(lab)
    alice = lab.join("alice")
    alice.camera()
    lab.connect()
    worker.wait_for(1)
    lab.run(3.0)
    assert len(worker.sink.told(SenderReport)) > 15


