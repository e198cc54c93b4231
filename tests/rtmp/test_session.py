import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import UsageError
from rtmp import amf0, messages
from rtmp.chunk import ChunkParser, ChunkSerializer, Message
from rtmp.config import RtmpConfig
from rtmp.events import EndReason, PublishStarted, SessionEnded
from rtmp.flv import FlvTag
from rtmp.messages import Command, SetPeerBandwidth, UserControl, WindowAckSize
from rtmp.session import UNANSWERED, ClientSession, Phase
from rtmp.url import parse_target
from tests.support.rtmp_server import BAD_NAME, START, status, usual_answer
from tests.support.rtmp_tables import NGINX

TARGET = parse_target("rtmp://a.example/live/inst?x=1", "s3cretkey")
HANDSHAKE = b"\x03" + bytes(3072)


class Talk:
    """A session and the other end of its connection."""

    def __init__(self) -> None:
        self.session = ClientSession(TARGET, RtmpConfig(), random_bytes=bytes, now=100.0)
        self._parser = ChunkParser(max_message_bytes=1 << 20)
        self._serializer = ChunkSerializer()
        self._greeted = 0
        self.heard: list[Message] = []

    def hear(self) -> list[Message]:
        """What the session said since the last time, without the handshake."""
        data = self.session.data_to_send()
        skip = min(len(data), 3073 - self._greeted)
        self._greeted += skip
        heard = self._parser.receive_data(data[skip:])
        self.heard += heard
        return heard

    def commands(self) -> list[Command]:
        parsed = [messages.parse(message) for message in self.hear()]
        return [command for command in parsed if isinstance(command, Command)]

    def wire(self, *said: messages.Parsed) -> bytes:
        out = [self._serializer.serialize(3, messages.serialize(one)) for one in said]
        return b"".join(part for parts in out for part in parts)

    def say(self, *said: messages.Parsed) -> None:
        self.session.receive_data(self.wire(*said))

    def go_to(self, phase: Phase) -> "Talk":
        if phase is not Phase.HANDSHAKE:
            self.session.receive_data(HANDSHAKE)
        for _ in range(10):
            if self.session.phase is phase:
                return self
            for command in self.commands():
                if self.session.phase is not phase:
                    self.say(*usual_answer(command))
        raise AssertionError(f"stays in {self.session.phase}")

    def end(self) -> SessionEnded:
        events = []
        while (event := self.session.next_event()) is not None:
            events.append(event)
        assert self.session.phase is Phase.ENDED and isinstance(events[-1], SessionEnded)
        return events[-1]


def test_the_way_to_live():
    talk = Talk()
    assert len(talk.session.data_to_send()) == 1537
    talk._greeted = 1537
    talk.session.receive_data(HANDSHAKE)
    first = talk.hear()
    assert (first[0].type_id, first[0].payload) == (1, (4096).to_bytes(4, "big"))
    connect = messages.parse(first[1])
    assert (connect.name, connect.transaction_id) == ("connect", 1)
    assert connect.values[0]["app"] == "live/inst?x=1"
    assert connect.values[0]["tcUrl"] == "rtmp://a.example/live/inst?x=1"
    talk.say(*usual_answer(connect))
    asked = talk.commands()
    assert [(command.name, command.values) for command in asked] == [
        ("releaseStream", (None, "s3cretkey")),
        ("FCPublish", (None, "s3cretkey")),
        ("createStream", (None,)),
    ]
    for command in asked:
        talk.say(*usual_answer(command))
    [publish] = talk.commands()
    assert (publish.name, publish.values, publish.stream_id) == ("publish", (None, "s3cretkey", "live"), 1)
    assert talk.session.next_event() is None
    talk.say(*usual_answer(publish))
    assert talk.session.next_event() == PublishStarted() and talk.session.phase is Phase.LIVE
    assert talk.session.get_timer() is None


def test_it_works_byte_by_byte():
    talk, server = Talk(), ChunkSerializer()
    answers = [
        Command("_result", 1, ({}, {"code": "NetConnection.Connect.Success"})),
        Command("_result", 4, (None, 5.0)),
        *status(START, 5),
    ]
    data = HANDSHAKE + b"".join(b"".join(server.serialize(3, messages.serialize(answer))) for answer in answers)
    for byte in data:
        talk.session.receive_data(bytes((byte,)))
    assert talk.session.next_event() == PublishStarted()
    talk.hear()
    assert talk.heard[-1].stream_id == 5


def test_tags_become_messages():
    talk = Talk().go_to(Phase.LIVE)
    talk.hear()
    meta = amf0.serialize("onMetaData", {"width": 320})
    tags = [FlvTag(18, 0, meta), FlvTag(9, 40, b"\x17\x01" + b"v" * 9000), FlvTag(8, 2**32 + 5, b"\xaf\x01a")]
    for tag in tags:
        talk.session.send_tag(tag)
    assert talk.hear() == [
        Message(18, 1, 0, amf0.serialize("@setDataFrame") + meta),
        Message(9, 1, 40, tags[1].data),
        Message(8, 1, 5, tags[2].data),
    ]


def test_leave_is_taken_in_order():
    talk = Talk().go_to(Phase.LIVE)
    talk.session.send_tag(FlvTag(9, 0, b"\x17\x01last"))
    talk.session.close()
    heard = talk.hear()
    assert heard[-3].payload == b"\x17\x01last"
    leaving = [messages.parse(message) for message in heard[-2:]]
    assert [(command.name, command.values) for command in leaving] == [
        ("FCUnpublish", (None, "s3cretkey")),
        ("deleteStream", (None, 1.0)),
    ]
    assert talk.end().reason is EndReason.CLOSED
    with pytest.raises(UsageError):
        talk.session.send_tag(FlvTag(9, 0, b"x"))


def test_before_it_is_live_there_is_nothing_to_take_leave_of():
    talk = Talk().go_to(Phase.PUBLISH)
    talk.hear()
    talk.session.close()
    assert talk.hear() == []


@pytest.mark.parametrize("phase", UNANSWERED)
def test_no_answer_ends_in_time_and_in_words(phase):
    talk = Talk().go_to(phase)
    assert talk.session.get_timer() == 110.0
    talk.session.handle_timer(now=109.9)
    assert talk.session.next_event() is None
    talk.session.handle_timer(now=110.0)
    assert talk.end() == SessionEnded(EndReason.TIMEOUT, UNANSWERED[phase])


@pytest.mark.parametrize(
    ("phase", "answer", "words"),
    [
        (
            Phase.CONNECT,
            [Command("_error", 1, (None, {"code": "NetConnection.Connect.Rejected"}))],
            "refused the application",
        ),
        (Phase.CONNECT, status({"level": "error", "code": "NetConnection.Connect.InvalidApp"}, 0), "InvalidApp"),
        (Phase.CREATE_STREAM, [Command("_error", 4, (None,))], "refused to open a stream"),
        (Phase.PUBLISH, status(BAD_NAME), r"refused the stream key \(NetStream.Publish.BadName: Already publishing\)"),
        (Phase.PUBLISH, [Command("_error", 5, (None, {"description": "no s3cretkey here"}))], r"no \*\*\* here"),
    ],
)
def test_refusals_are_final_and_in_words(phase, answer, words):
    talk = Talk().go_to(phase)
    talk.say(*answer)
    end = talk.end()
    assert end.reason is EndReason.REFUSED
    assert re.search(words, end.description) and "s3cretkey" not in end.description


def test_a_hang_up_at_the_key_is_told_from_others():
    for phase in [*UNANSWERED, Phase.LIVE]:
        talk = Talk().go_to(phase)
        talk.session.receive_eof()
        expected = EndReason.CLOSED_AT_PUBLISH if phase is Phase.PUBLISH else EndReason.CLOSED_BY_PEER
        assert talk.end().reason is expected


def test_the_server_may_end_the_stream():
    talk = Talk().go_to(Phase.LIVE)
    talk.say(*status({"level": "error", "code": "NetStream.Publish.Idle"}))
    assert talk.end() == SessionEnded(EndReason.CLOSED_BY_PEER, "the server ended the stream (NetStream.Publish.Idle)")
    talk = Talk().go_to(Phase.LIVE)
    talk.say(Command("close", 0, (None,)))
    assert talk.end().reason is EndReason.CLOSED_BY_PEER


def test_answers_to_other_questions_change_nothing():
    talk = Talk().go_to(Phase.CONNECT)
    talk.say(Command("_result", 9, (None, 1)), Command("_error", 2, (None,)), *status(START))
    assert talk.session.phase is Phase.CONNECT
    talk = Talk().go_to(Phase.LIVE)
    talk.say(Command("_result", 5, (None,)), Command("onFCPublish", 0, ({},)), *status({"level": "status"}))
    assert talk.session.phase is Phase.LIVE


def test_a_stream_without_an_id_is_no_answer():
    talk = Talk().go_to(Phase.CREATE_STREAM)
    talk.say(Command("_result", 4, (None, "one")))
    assert talk.end().reason is EndReason.PROTOCOL


def test_pings_are_answered_once_each_time_output_is_drained():
    talk = Talk().go_to(Phase.LIVE)
    talk.hear()
    for n in range(500):
        talk.say(UserControl(messages.EVENT_PING_REQUEST, n.to_bytes(4, "big")))
    assert [messages.parse(message) for message in talk.hear()] == [UserControl(7, (499).to_bytes(4, "big"))]
    assert talk.hear() == []


def test_windows_are_kept_and_said():
    talk = Talk().go_to(Phase.LIVE)
    talk.hear()
    talk.say(WindowAckSize(5000), SetPeerBandwidth(7000, 2))
    assert [messages.parse(message) for message in talk.hear()] == [WindowAckSize(7000)]
    talk.say(SetPeerBandwidth(7000, 2))
    assert talk.hear() == []  # it has been said
    filler = Command("onStatus", 0, (None, {"description": "x" * 500}))
    acknowledged = []
    for _ in range(40):
        talk.say(filler)
        acknowledged += [messages.parse(message).sequence_number for message in talk.hear()]
    steps = [after - before for before, after in itertools.pairwise(acknowledged)]
    assert len(steps) >= 2 and all(5000 <= step < 5700 for step in steps)


def test_a_message_too_long_ends_it():
    talk = Talk().go_to(Phase.LIVE)
    talk.session.receive_data(bytes.fromhex("03 000000 ffffff 14 00000000"))
    assert talk.end().reason is EndReason.PROTOCOL


def test_after_the_end_nothing_comes():
    talk = Talk()
    talk.session.receive_data(b"HTTP/1.1 400")
    assert talk.end().reason is EndReason.PROTOCOL
    talk.session.receive_data(HANDSHAKE)
    talk.session.receive_eof()
    talk.session.handle_timer(now=1e9)
    talk.session.close()
    assert talk.session.next_event() is None and talk.session.get_timer() is None


@settings(max_examples=60)
@given(
    st.sampled_from([phase for phase in Phase if phase not in (Phase.HANDSHAKE, Phase.ENDED)]), st.binary(max_size=200)
)
def test_bytes_of_any_kind_never_raise(phase, data):
    talk = Talk().go_to(phase)
    talk.session.receive_data(data)
    assert len(talk.session.data_to_send()) < 20_000


def test_what_nginx_says_leads_to_live_and_back():
    for size in (1, 50, len(NGINX)):
        talk = Talk()
        talk.session.receive_data(HANDSHAKE)
        for start in range(0, len(NGINX), size):
            talk.session.receive_data(NGINX[start : start + size])
        assert talk.session.next_event() == PublishStarted() and talk.session.phase is Phase.LIVE


@settings(max_examples=150)
@given(st.data())
def test_damaged_answers_never_raise_and_end_at_most_once(draw):
    data = bytearray(NGINX)
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    talk, size = Talk(), draw.draw(st.integers(1, len(data)))
    talk.session.receive_data(HANDSHAKE)
    for start in range(0, len(data), size):
        talk.session.receive_data(bytes(data[start : start + size]))
    talk.session.receive_eof()
    events = []
    while (event := talk.session.next_event()) is not None:
        events.append(type(event))
    assert events.count(SessionEnded) == 1 and events[-1] is SessionEnded


def test_a_server_that_talks_without_end_is_left():
    talk = Talk().go_to(Phase.LIVE)
    assert talk.session.next_event() == PublishStarted()
    filler = talk.wire(*[Command("onStatus", 0, (None, {"description": "x" * 1000}))] * 100)
    for _ in range(20):
        talk.session.receive_data(filler)
    assert "sends more" in talk.end().description
    talk = Talk().go_to(Phase.LIVE)
    for _ in range(40):  # what answers the media sent is no flood
        talk.session.send_tag(FlvTag(9, 0, b"\x27\x01" + bytes(500_000)))
        talk.session.data_to_send()
        talk.session.receive_data(talk.wire(*[Command("onStatus", 0, (None, {"description": "x" * 1000}))] * 10))
    assert talk.session.phase is Phase.LIVE


@pytest.mark.parametrize(
    "flood",
    [
        bytes.fromhex("05 000000 000000 00 00000000") + b"\xc5" * (1 << 20),
        bytes.fromhex("02 000000 000004 01 00000000 00000001")  # Set Chunk Size 1
        + bytes.fromhex("05 000000 00ffff 00 00000000 00")
        + b"\xc5\0" * 65534,
    ],
    ids=["empty messages", "chunks of a byte"],
)
def test_a_flood_is_left_before_all_of_it_was_read(flood):
    talk = Talk().go_to(Phase.LIVE)
    talk.session.receive_data(flood)
    assert "sends more" in talk.end().description
    assert talk.session._parser.chunks < 6000
