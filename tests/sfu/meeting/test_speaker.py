"""Who speaks: recorded voices and what is no voice, how soon and how seldom it changes."""

import random
from itertools import pairwise

import pytest

from sfu.meeting.events import SpeakerChanged
from sfu.meeting.participant import CloseReason
from sfu.meeting.permissions import Source
from sfu.meeting.speaker import TICK, SpeakerDetector
from tests.support.levels import Table, cough, heard, keyboard, music, room, silence, voice
from tests.support.meeting import enter, events, make_room, publish

VOICES = ("slt", "kal16", "rms")
FIRST_WORDS = {"slt": 0.2, "rms": 0.2, "kal16": 1.2}  # where connected speech begins: kal16 says "Thank you." and pauses
EVERYBODY_QUIET = {"ben": room(60.0, seed=5), "cid": silence(60.0)}


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize("gain", [6, 0, -12])
def test_somebody_speaks_and_stops(name, gain):
    """One change to the speaker within a second of speech, none in the pauses, and one to nobody 3 s after the end."""
    speech = voice(name, gain=gain)
    length = len(speech) * 0.02
    at = Table(ann=speech, **EVERYBODY_QUIET)
    at.run(length + 10.0)
    (began, speaker), (ended, nobody) = at.changes
    assert (speaker, nobody) == ("ann", None)
    assert 0.4 <= began <= FIRST_WORDS[name] + 1.0
    assert length + 1.5 <= ended <= length + 3.5
    assert at.detector.order == ["ann"]


def test_a_conversation_changes_once_for_each_turn_and_soon():
    """Sixteen turns of three people, each with a voice of its own, with short and no gaps between them."""
    people = dict(zip(("ann", "ben", "cid"), VOICES, strict=True))
    at = Table(**{name: room(0.1) for name in people})
    chance = random.Random(7)
    late, turns, before = [], [], None
    for _ in range(16):
        speaker = chance.choice([name for name in people if name != before])
        before = speaker
        length = chance.uniform(3.0, 8.0)
        since = chance.uniform(0.0, 5.0)
        began = at.now
        at.put(speaker, voice(people[speaker], length, since=since))
        at.run(length)
        turns.append(speaker)
        late.append(next(when for when, who in at.changes if who == speaker and when > began) - began)
        at.run(chance.choice([0.0, 0.0, 0.3, 0.8]))
    assert at.speakers == turns
    assert max(late) <= 1.3 and sorted(late)[len(late) // 2] <= 0.8
    assert at.detector.order == list(dict.fromkeys(reversed(turns)))


@pytest.mark.parametrize("yields_after", [0.4, 0.7, 1.0])
def test_an_interruption_switches_when_the_other_yields(yields_after):
    at = Table(ann=voice("slt", 5.0 + yields_after))
    at.run(5.0)
    at.put("ben", voice("rms", since=0.3))
    at.run(6.0)
    assert at.speakers == ["ann", "ben"]
    assert at.changes[1][0] - 5.0 <= yields_after + 0.5


@pytest.mark.parametrize("noise", [cough(), cough(length=0.4), voice("kal16", 0.4, since=2.3)], ids=["cough", "long cough", "yes"])
@pytest.mark.parametrize("when", [i * 0.25 for i in range(4, 24)])
def test_a_cough_or_a_word_in_between_changes_nothing(noise, when):
    at = Table(ann=voice("slt"), ben=room(when) + noise)
    at.run(12.0)
    assert at.speakers == ["ann"]


def test_a_cough_in_silence_is_nobodys_speech():
    at = Table(ann=room(2.0) + cough() + room(3.0) + cough(length=0.4))
    at.run(10.0)
    assert at.changes == []


@pytest.mark.parametrize("seed", range(6))
def test_a_keyboard_never_speaks(seed):
    at = Table(ann=keyboard(30.0, seed=seed), ben=room(8.0) + voice("rms"))
    at.run(30.0)
    assert at.speakers == ["ben", None]


@pytest.mark.parametrize("gain", [0, 3, -3])
def test_two_who_talk_over_each_other_do_not_take_turns_every_second(gain):
    at = Table(ann=voice("slt") + voice("slt"), ben=room(2.0) + voice("kal16", gain=gain) + voice("rms", gain=gain))
    at.run(28.0)
    assert at.speakers[0] == "ann" and len(at.changes) <= 8, at.changes
    gaps = [after - before for (before, _), (after, _) in pairwise(at.changes)]
    assert min(gaps, default=9.0) >= 0.5


def test_who_is_much_louder_takes_over():
    at = Table(ann=voice("slt", gain=-14) + voice("slt", gain=-14), ben=room(4.0) + voice("rms"))
    at.run(8.0)
    assert at.speakers == ["ann", "ben"] and at.changes[1][0] <= 5.6


def test_music_is_background_after_a_while_and_does_not_come_back():
    at = Table(ann=music(60.0), ben=room(12.0) + voice("slt", gain=-4) + room(2.0) + voice("slt", gain=-4))
    at.run(12.0)
    assert at.speakers == ["ann", None]
    at.run(30.0)
    assert at.speakers[2:] == ["ben"] and 12.0 < at.changes[2][0] < 13.3


def test_a_fan_is_never_heard_and_who_speaks_beside_it_is():
    noise = room(60.0, level=46.0)
    speech = voice("kal16")
    at = Table(ann=noise[:500] + [min(pair) for pair in zip(noise[500:], speech, strict=False)] + noise)
    at.run(10.0)
    assert at.speakers in ([], ["ann", None])
    before = len(at.changes)
    at.run(16.0)
    assert at.speakers[before:] == ["ann"]


def test_a_pause_to_think_ends_nothing():
    at = Table(ann=voice("slt", 4.0) + room(2.5) + voice("slt", 4.0, since=5.0))
    at.run(10.5)
    assert at.speakers == ["ann"]


def test_order_is_of_the_latest_first():
    at = Table()
    for name in ("ann", "ben", "cid", "ann"):
        at.put(name, voice("slt", 2.0, since=0.2))
        at.run(3.0)
    assert at.detector.order == ["ann", "cid", "ben"]


def test_who_mutes_or_leaves_is_dropped_at_once():
    at = Table(ann=voice("slt"), ben=room(0.1))
    at.run(3.0)
    assert not at.detector.silence("ben") and at.detector.silence("ann")
    assert at.detector.active is None and at.detector.order == ["ann"]
    at.run(0.3)
    assert at.detector.active is None, "what was heard before counts no more"
    at.run(3.0)
    assert at.detector.active == "ann"
    del at.traces["ann"]
    assert at.detector.forget("ann") and (at.detector.active, at.detector.order) == (None, [])
    assert not at.detector.forget("ann")


def test_whoever_sends_nothing_is_silent():
    at = Table(ann=voice("slt", 3.0) + [None] * 1000)
    at.run(7.0)
    assert at.speakers == ["ann", None] and at.detector.idle


def test_long_frames_count_like_short_ones():
    detector = SpeakerDetector()
    for tick in range(10):
        detector.hear([heard("ann", iter([25] * (1 + tick % 2)))])  # 60 ms
    assert detector.active == "ann"


# In a room


def test_a_room_hears_from_the_first_microphone_on():
    at = make_room()
    ann = enter(at, "ann")
    publish(at, ann, Source.WEBCAM)
    publish(at, ann, Source.SCREEN_AUDIO)
    assert at.speakers.due is None
    publish(at, ann)
    assert at.speakers.due == TICK
    at.speakers.hear([heard("ann", iter([25] * 5))], now=0.1)
    assert at.speakers.due == 0.2
    at.speakers.hear([], now=0.2)
    assert at.speakers.due == pytest.approx(0.3), "what was heard must be forgotten first"
    for tick in range(40):
        at.speakers.hear([], now=0.3 + tick / 10)
    assert at.speakers.due is None


def test_a_microphone_that_is_turned_on_later_is_heard():
    at = make_room()
    ann = enter(at, "ann")
    track = publish(at, ann, muted=True)
    at.speakers.hear([], now=0.1)
    assert at.speakers.due is None
    at.mute(ann, track.track_id, False, now=5.0)
    assert at.speakers.due == 5.0 + TICK


def speak(at, *names, ticks=8):
    for _ in range(ticks):
        at.speakers.hear([heard(name, iter([25] * 5)) for name in names], now=1.0)


def told(at):
    return [(event.participant_id, event.order) for event in events(at) if isinstance(event, SpeakerChanged)]


def test_changes_are_told_once_with_the_order():
    at = make_room()
    for name in ("ann", "ben"):
        publish(at, enter(at, name))
    speak(at, "ann")
    speak(at, "ben", ticks=12)
    assert told(at) == [("ann", ("ann",)), ("ben", ("ben", "ann"))]
    assert (at.speakers.active, at.speakers.order) == ("ben", ("ben", "ann"))


def test_of_two_microphones_the_loudest_is_heard_in_any_order():
    quiet, loud = heard("ann", iter([90] * 5)), heard("ann", iter([25] * 5))
    for levels in ([quiet, loud], [loud, quiet]):
        detector = SpeakerDetector()
        for _ in range(8):
            detector.hear(levels)
        assert detector.active == "ann"


@pytest.mark.parametrize("how", ["mute", "unpublish"])
def test_who_changes_microphones_goes_on_speaking(how):
    at = make_room()
    ann = enter(at, "ann")
    former, track = publish(at, ann), publish(at, ann)
    speak(at, "ann")
    if how == "mute":
        at.mute(ann, former.track_id, True, now=1.0)
    else:
        at.unpublish(ann, former.track_id, now=1.0)
    assert at.speakers.active == "ann"
    at.mute(ann, track.track_id, True, now=1.0)
    assert at.speakers.active is None


@pytest.mark.parametrize("how", ["mute", "moderate", "unpublish", "leave", "take the grant"])
def test_a_speaker_who_falls_silent_for_good_is_dropped_at_once(how):
    at = make_room()
    ann, ben = enter(at, "ann"), enter(at, "ben")
    track = publish(at, ann)
    speak(at, "ann")
    told(at)
    match how:
        case "mute":
            at.mute(ann, track.track_id, True, now=1.0)
        case "moderate":
            at.moderate(ben, "ann", Source.MIC, False, now=1.0)
        case "unpublish":
            at.unpublish(ann, track.track_id, now=1.0)
        case "leave":
            at.leave(ann, CloseReason.MANUAL_LEAVE_CALLED, now=1.0)
        case "take the grant":
            at.set_grants(None, "ann", type(ann.grants)(join=True), now=1.0)
    assert told(at)[-1] == (None, () if how == "leave" else ("ann",))
    assert at.speakers.active is None


def test_an_end_for_all_tells_of_no_speakers():
    at = make_room()
    publish(at, enter(at, "ann"))
    speak(at, "ann")
    told(at)
    at.end(CloseReason.MEETING_END_API, now=2.0)
    assert told(at) == []
