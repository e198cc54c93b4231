from __future__ import annotations

from dataclasses import replace

from media.codecs import Codec, Kind
from sfu.config import SfuConfig
from sfu.rtp import extensions
from sfu.stream.formats import SubscriberFormat, match_codec
from sfu.stream.receive import RtpStreamRecv
from tests.support.rtp_peers import OPUS, VP8

H264 = Codec("H264", Kind.VIDEO, 90000, 102, fmtp={"packetization-mode": "1", "profile-level-id": "42e01f"})
RED = Codec("red", Kind.AUDIO, 48000, 63, channels=2)


def test_matched_by_name():
    assert match_codec(VP8, [H264, replace(VP8, payload_type=120)]).payload_type == 120
    assert match_codec(VP8, [H264]) is None


def test_among_profiles_the_same_one_is_chosen_whatever_its_level():
    main = replace(H264, payload_type=1, fmtp={"packetization-mode": "1", "profile-level-id": "4d001f"})
    single = replace(H264, payload_type=2, fmtp={"profile-level-id": "42e01f"})
    fitting = replace(H264, payload_type=3, fmtp={"packetization-mode": "1", "profile-level-id": "42E034"})
    assert match_codec(H264, [main, single, fitting]) is fitting
    assert match_codec(H264, [main, single]) is main


def group(published, codecs, offsets=(0, 0), ids=None, theirs=None):
    made = SubscriberFormat(published, ids or {}, codecs, theirs or {}, "3")
    return made, made.group_of(RtpStreamRecv(1, SfuConfig()), offsets)


def test_red_is_passed_whole_where_types_agree():
    _, made = group((OPUS, RED), (OPUS, RED))
    assert made.payload_types == {111: (111, None), 63: (63, None)}


def test_red_blocks_are_renamed_where_they_do_not():
    _, made = group((OPUS, RED), (replace(OPUS, payload_type=109), replace(RED, payload_type=110)))
    out, transform = made.payload_types[63]
    assert out == 110
    assert transform(bytes.fromhex("6faa")) == bytes.fromhex("6daa")


def test_without_red_the_primary_block_is_sent_as_opus():
    _, made = group((OPUS, RED), (replace(OPUS, payload_type=109),))
    out, transform = made.payload_types[63]
    assert out == 109
    assert transform(bytes.fromhex("ef0f0002" + "6f" + "aabb" + "cccc")) == b"\xcc\xcc"


def test_only_shared_extensions_that_mean_the_same_pass():
    published = {
        extensions.AUDIO_LEVEL: 1,
        extensions.TRANSPORT_CC: 3,
        extensions.MID: 4,
        extensions.VIDEO_ORIENTATION: 5,
    }
    theirs = {extensions.AUDIO_LEVEL: 9, extensions.TRANSPORT_CC: 8, extensions.MID: 7}
    made, _ = group((OPUS,), (OPUS,), ids=published, theirs=theirs)
    assert made.extension_ids == {1: 9}
    assert made.mid_id == 7


def test_equal_subscribers_share_a_group():
    stream = RtpStreamRecv(1, SfuConfig())
    one = SubscriberFormat((VP8,), {}, (VP8,), {extensions.MID: 1}, "3")
    two = SubscriberFormat((VP8,), {}, (VP8,), {extensions.MID: 1}, "4")
    other = SubscriberFormat((VP8,), {}, (replace(VP8, payload_type=100),), {extensions.MID: 1}, "5")
    assert one.group_of(stream, (0, 0)) is two.group_of(stream, (0, 0))
    assert one.group_of(stream, (0, 0)) is not other.group_of(stream, (0, 0))
    assert one.group_of(stream, (0, 0)) is not two.group_of(stream, (1, 1))
