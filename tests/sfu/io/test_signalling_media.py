"""Signalling before the real conference: two aiortc clients join, one publishes, the other decodes it."""

import asyncio
import os
import time

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from media.clock import WallClock
from sfu.conference import Conference
from sfu.config import SfuConfig
from sfu.dtls import Certificate, DtlsContext
from sfu.ice.candidate import host_candidates
from sfu.io.udp import MediaServer
from tests.support.aiortc_peer import ToneTrack
from tests.support.signalling import stage

PATIENCE = 20.0  # seconds; only a failing test waits so long


@pytest.fixture
async def at():
    clock = WallClock(wall=time.time(), now=time.monotonic())
    certificate = Certificate.generate(wall=time.time())
    conference = Conference(SfuConfig(), DtlsContext(certificate), random_bytes=os.urandom, wall_clock=clock)
    async with MediaServer(conference, port=0) as media, stage(server=media) as found:
        conference.context.candidates = host_candidates(["127.0.0.1"], media.port)
        yield found


@pytest.fixture
async def peer():
    """Makes peer connections and closes them."""
    made = []

    def make():
        made.append(RTCPeerConnection())
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def publish_tone(client, pc) -> str:
    pc.addTrack(ToneTrack())
    track_id = (await client.request("announce", source="mic", kind="audio"))["trackId"]
    await pc.setLocalDescription(await pc.createOffer())
    tracks = [{"mid": pc.getTransceivers()[0].mid, "trackId": track_id}]
    answer = await client.request("publish", sdp=pc.localDescription.sdp, tracks=tracks)
    await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
    return track_id


async def test_what_one_publishes_the_other_hears(at, peer):
    ann, ben = await at.join("ann"), await at.join("ben")
    track_id = await publish_tone(ann, peer())
    assert await ann.skip_to("connection") == {"connection": "publish", "state": "connected"}
    published = await ben.skip_to("track-published")
    assert (published["participantId"], published["track"]["trackId"]) == ("ann", track_id)
    assert published["track"]["codec"] == "opus"
    offer = await ben.skip_to("subscribe-offer")
    assert [one["trackId"] for one in offer["tracks"]] == [track_id]
    ear = peer()
    heard = asyncio.get_running_loop().create_future()
    ear.on("track", heard.set_result)
    await ear.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
    await ear.setLocalDescription(await ear.createAnswer())
    assert await ben.request("subscribe-answer", sdp=ear.localDescription.sdp, serial=offer["serial"]) == {}
    track = await asyncio.wait_for(heard, PATIENCE)
    loudest = 0
    async with asyncio.timeout(PATIENCE):
        while loudest < 1000:
            frame = await track.recv()
            loudest = max(loudest, abs(frame.to_ndarray()).max())
    assert await ben.skip_to("connection") == {"connection": "subscribe", "state": "connected"}
    assert await ben.request("subscribe-answer", sdp="x", serial=offer["serial"] - 1) == {"stale": True}
    await ann.request("leave")
    assert await ben.skip_to("track-unpublished") == {"participantId": "ann", "trackId": track_id}
    assert (await ben.skip_to("participant-left"))["participantId"] == "ann"
    await ben.request("end")
    await at.until(lambda: at.signalling.connections == 0)
    conference = at.server.conference
    assert (conference.rooms, conference.peers, conference.tracks) == ({}, {}, 0)


async def test_an_open_offer_is_told_again_to_who_comes_back(at, peer):
    ann, ben = await at.join("ann"), await at.join("ben")
    await publish_tone(ann, peer())
    offer = await ben.skip_to("subscribe-offer")
    ben.drop()
    await at.until(lambda: at.signalling.connections == 1)
    again = await at.connect()
    result = await again.request("join", token="full", roomId="room", resumeToken=ben.joined["resumeToken"])
    assert result["resumed"] is True
    repeated = await again.skip_to("subscribe-offer")
    assert (repeated["serial"], repeated["connectionId"]) == (offer["serial"], offer["connectionId"])


async def test_refusals_of_the_conference_come_back_as_errors(at):
    ann = await at.join("ann")
    assert await ann.refused("publish", sdp="v=1", tracks=[]) == 4090
    assert await ann.refused("publish", sdp="", tracks=[{"mid": "0", "trackId": "TR_no"}]) in (4090, 4095)
    assert await ann.request("subscribe-answer", sdp="v=1", serial=7) == {"stale": True}
    await ann.request("restart-subscribe")
    await ann.request("ping")


async def test_a_tone_makes_a_speaker_and_pins_reach_the_others(at, peer):
    """aiortc tells audio levels with its packets."""
    ann, ben = await at.join("ann"), await at.join("ben")
    await publish_tone(ann, peer())
    async with asyncio.timeout(PATIENCE):
        assert await ben.skip_to("speaker-changed") == {"participantId": "ann"}
    late = await at.join("late")
    assert late.joined["activeSpeakerId"] == "ann"
    await ben.request("pin", participantId="ann", type="CAM")
    pinned = {"participantId": "ann", "state": {"cam": True, "share": False}, "pinnedBy": "ben"}
    assert await late.skip_to("pin-state-changed") == pinned
    at.server.conference.set_room_state("room", "recording", {"status": "RECORDING_STARTED"}, now=at.server.now())
    at.server.pump()
    assert await late.skip_to("recording-state-changed") == {"status": "RECORDING_STARTED"}
