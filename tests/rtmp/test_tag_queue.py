import pytest

from rtmp.flv import FlvTag
from rtmp.program import OnAir
from rtmp.tag_queue import TagQueue

META = FlvTag(18, 0, b"\x02\x00\x0aonMetaData")
AVC = FlvTag(9, 0, b"\x17\x00config")
AAC = FlvTag(8, 0, b"\xaf\x00config")
ON_AIR = OnAir(True, (META, AVC, AAC))
SOUND_ALONE = OnAir(False, (META, AAC))


def key(at: int, size: int = 10) -> FlvTag:
    return FlvTag(9, at, b"\x17\x01" + bytes(size))


def inter(at: int, size: int = 10) -> FlvTag:
    return FlvTag(9, at, b"\x27\x01" + bytes(size))


def sound(at: int, size: int = 10) -> FlvTag:
    return FlvTag(8, at, b"\xaf\x01" + bytes(size))


def queue(*, max_bytes: int = 10_000, max_seconds: float = 5.0) -> TagQueue:
    return TagQueue(max_bytes=max_bytes, max_seconds=max_seconds)


def drain(tags: TagQueue) -> list[FlvTag]:
    out = []
    while (tag := tags.get()) is not None:
        out.append(tag)
    return out


def shape(tags: list[FlvTag]) -> list[tuple[str, int]]:
    def name(tag: FlvTag) -> str:
        if tag.is_metadata:
            return "meta"
        if tag.is_sequence_header:
            return "avc" if tag.is_video else "aac"
        return "key" if tag.is_keyframe else "inter" if tag.is_video else "sound"

    return [(name(tag), tag.timestamp_ms) for tag in tags]


def test_it_begins_at_a_keyframe_with_what_a_decoder_needs_from_time_zero():
    tags = queue()
    for tag in (META, AVC, inter(90_000), sound(90_010), key(90_040), sound(90_050), inter(90_080)):
        tags.put(tag, ON_AIR)
    assert shape(drain(tags)) == [
        *(("meta", 0), ("avc", 0), ("aac", 0), ("key", 0)),
        *(("sound", 10), ("inter", 40)),
    ]
    assert tags.frames_dropped == 0


def test_without_video_it_begins_with_sound():
    tags = queue()
    for tag in (META, AAC, sound(500), sound(520)):
        tags.put(tag, SOUND_ALONE)
    assert shape(drain(tags)) == [("meta", 0), ("aac", 0), ("sound", 0), ("sound", 20)]


def test_sound_from_before_the_keyframe_is_not_before_time_zero():
    tags = queue()
    tags.put(key(1000), ON_AIR)
    tags.put(sound(990), ON_AIR)
    assert shape(drain(tags))[-1] == ("sound", 0)


def test_payloads_are_shared():
    tags, first = queue(), key(0)
    tags.put(first, ON_AIR)
    assert drain(tags)[-1].data is first.data


def test_headers_are_sent_again_only_when_they_changed():
    tags = queue()
    tags.put(key(0), ON_AIR)
    tags.put(key(1000), ON_AIR)
    other = FlvTag(9, 0, b"\x17\x00other")
    tags.put(key(2000), OnAir(True, (META, other, AAC)))
    assert shape(drain(tags)) == [
        *(("meta", 0), ("avc", 0), ("aac", 0), ("key", 0)),
        *(("key", 1000), ("avc", 2000), ("key", 2000)),
    ]


def test_a_change_amid_the_stream_comes_where_it_came():
    tags, other = queue(), FlvTag(9, 500, b"\x17\x00other")
    for tag, headers in (
        (key(0), ON_AIR),
        (inter(400), ON_AIR),
        (other, OnAir(True, (META, other, AAC))),
        (key(520), OnAir(True, (META, other, AAC))),
    ):
        tags.put(tag, headers)
    assert shape(drain(tags))[-3:] == [("inter", 400), ("avc", 500), ("key", 520)]


@pytest.mark.parametrize("limit", [{"max_bytes": 500}, {"max_seconds": 0.2}])
def test_when_full_the_video_goes_up_to_the_next_keyframe_and_sound_stays(limit):
    tags = queue(**limit)
    tags.put(key(0, 100), ON_AIR)
    for at in range(20, 240, 20):
        tags.put(sound(at, 1), ON_AIR)
        tags.put(inter(at, 45), ON_AIR)
    waiting = shape(drain(tags))
    assert waiting[:3] == [("meta", 0), ("avc", 0), ("aac", 0)]
    assert {name for name, _ in waiting[3:]} == {"sound"}
    dropped = tags.frames_dropped
    assert dropped == 12
    tags.put(inter(260), ON_AIR)
    assert tags.frames_dropped == dropped + 1
    tags.put(key(280), ON_AIR)
    tags.put(inter(300), ON_AIR)
    assert shape(drain(tags)) == [("key", 280), ("inter", 300)]


def test_nothing_read_for_ever_takes_a_bounded_place():
    tags = queue(max_bytes=5000, max_seconds=1.0)
    for at in range(0, 60_000, 20):
        tags.put(key(at, 100) if at % 2000 == 0 else inter(at, 100), ON_AIR)
        tags.put(sound(at, 30), ON_AIR)
        assert len(tags) < 100
    waiting = drain(tags)
    assert sum(len(tag.data) for tag in waiting) <= 5200
    times = [tag.timestamp_ms for tag in waiting if not tag.is_sequence_header and not tag.is_metadata]
    assert times == sorted(times) and times[-1] - times[0] <= 1000


def test_one_keyframe_larger_than_all_there_is_room_for_is_dropped():
    tags = queue(max_bytes=1000)
    tags.put(key(0, 2000), ON_AIR)
    assert shape(drain(tags)) == [("meta", 0), ("avc", 0), ("aac", 0)] and tags.frames_dropped == 1


def test_sound_alone_drops_the_oldest():
    tags = queue(max_seconds=0.1)
    for at in range(0, 300, 20):
        tags.put(sound(at), SOUND_ALONE)
    assert shape(drain(tags))[2:] == [("sound", at) for at in range(180, 300, 20)]
    assert tags.frames_dropped == 9
