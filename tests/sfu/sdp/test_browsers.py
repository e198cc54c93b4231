"""Real browsers take what we answer and offer, and we take what they do with it. Descriptions only: no packet flows."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from playwright.async_api import async_playwright

from media.codecs import Codec, Kind
from media.errors import PeerError
from sfu.config import SfuConfig
from sfu.rtp import extensions as ext
from sfu.sdp.description import Direction
from sfu.sdp.grammar import parse, serialize
from sfu.sdp.negotiate import (
    LocalTransport,
    Negotiation,
    PlaySource,
    SubscribeTable,
    SubscribeTrack,
    answer_play,
    answer_publish,
)
from tests.sfu.sdp.firefox import firefox_page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CONFIG = SfuConfig()
LOCAL = LocalTransport(
    "tideufrag", "p" * 24, ":".join(["5A"] * 32), ("candidate:1 1 udp 2130706431 127.0.0.1 9 typ host",)
)
OPUS = Codec("opus", Kind.AUDIO, 48000, 111, 2, {"minptime": "10", "useinbandfec": "1"})
VP8 = Codec("VP8", Kind.VIDEO, 90000, 96, rtx_payload_type=97)
VP9 = Codec("VP9", Kind.VIDEO, 90000, 98, fmtp={"profile-id": "0"}, rtx_payload_type=99)
AV1 = Codec("AV1", Kind.VIDEO, 90000, 45, fmtp={"profile": "0"}, rtx_payload_type=46)
H264 = Codec(
    "H264", Kind.VIDEO, 90000, 102, fmtp={"packetization-mode": "1", "profile-level-id": "42001f"}, rtx_payload_type=103
)
OFFER = "async () => { await pc.setLocalDescription(); return pc.localDescription.sdp; }"
TAKE_ANSWER = "async sdp => { await pc.setRemoteDescription({type: 'answer', sdp}); return pc.signalingState; }"
ANSWER = """async sdp => {
  await pc.setRemoteDescription({type: 'offer', sdp});
  await pc.setLocalDescription();
  return pc.localDescription.sdp;
}"""
SUBSCRIBER = """() => {
  window.pc = new RTCPeerConnection();
  window.tracks = [];
  pc.ontrack = e => tracks.push([e.transceiver.mid, e.track.kind, e.streams.map(s => s.id)]);
}"""
TAKE_TRACKS = "() => tracks.splice(0)"
DIRECTIONS = "() => pc.getTransceivers().map(t => t.currentDirection)"


@asynccontextmanager
async def chromium_page():
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


PAGES = {"chromium": chromium_page, "firefox": firefox_page}


@pytest.fixture(params=PAGES)
async def page(request):
    async with PAGES[request.param]() as page:
        page.browser_name = request.param
        yield page


async def publish(page, previous: Negotiation | None = None) -> Negotiation:
    """One offer of the page's connection, answered and taken."""
    negotiation = answer_publish(parse(await page.evaluate(OFFER)), LOCAL, CONFIG, previous)
    assert await page.evaluate(TAKE_ANSWER, serialize(negotiation.answer)) == "stable"
    return negotiation


async def exchange(page, table: SubscribeTable) -> Negotiation:
    """One offer of ours, taken and answered by the page's connection."""
    return table.receive_answer(parse(await page.evaluate(ANSWER, serialize(table.create_offer(LOCAL)))))


async def test_publisher_takes_answers_as_it_adds_stops_and_recycles(page):
    await page.evaluate("""() => {
      window.pc = new RTCPeerConnection();
      pc.addTransceiver('audio', {direction: 'sendonly'});
      window.camera = pc.addTransceiver('video', {direction: 'sendonly', sendEncodings: [
        {rid: 'q', scaleResolutionDownBy: 4}, {rid: 'h', scaleResolutionDownBy: 2}, {rid: 'f'}]});
    }""")
    first = await publish(page)
    assert [m.simulcast for m in first.media] == [False, True]
    assert [e.rid for e in first.media[1].encodings] == ["q", "h", "f"]
    assert await page.evaluate("() => camera.sender.getParameters().encodings.map(e => e.rid)") == ["q", "h", "f"]
    assert await page.evaluate(DIRECTIONS) == ["sendonly", "sendonly"]

    await page.evaluate("() => { window.screen2 = pc.addTransceiver('video', {direction: 'sendonly'}); }")
    second = await publish(page, first)
    assert [m.rejected for m in second.media] == [False, False, False]
    assert not second.ice_restart
    assert second.answer.origin.version == first.answer.origin.version + 1

    await page.evaluate("() => { camera.direction = 'inactive'; screen2.stop(); }")
    third = await publish(page, second)
    assert third.media[1].direction is Direction.INACTIVE
    assert third.media[2].rejected

    await page.evaluate("() => { pc.addTransceiver('video', {direction: 'sendonly'}); }")
    fourth = await publish(page, third)
    assert len(fourth.media) == 3
    assert fourth.media[2].mid != second.media[2].mid
    assert not fourth.media[2].rejected


async def test_publisher_that_restarts_ice_is_noticed(page):
    await page.evaluate("() => { window.pc = new RTCPeerConnection(); pc.addTransceiver('video', {direction: 'sendonly'}); }")
    first = await publish(page)
    await page.evaluate("() => pc.restartIce()")
    second = await publish(page, first)
    assert second.ice_restart
    assert second.remote.ufrag != first.remote.ufrag


async def test_data_channel_is_declined_and_the_rest_lives(page):
    await page.evaluate("""() => {
      window.pc = new RTCPeerConnection();
      pc.createDataChannel('chat');
      pc.addTransceiver('audio', {direction: 'sendonly'});
    }""")
    negotiation = await publish(page)
    assert sorted((m.kind is None, m.rejected) for m in negotiation.media) == [(False, False), (True, True)]
    assert await page.evaluate(DIRECTIONS) == ["sendonly"]


async def test_subscriber_gets_each_track_by_its_stream_and_m_lines_are_recycled(page):
    await page.evaluate(SUBSCRIBER)
    table = SubscribeTable(CONFIG)
    microphone = table.add(SubscribeTrack(Kind.AUDIO, "ann", "TR_mic", (OPUS,), 1001))
    camera = table.add(SubscribeTrack(Kind.VIDEO, "ann", "TR_cam", (VP8,), 1002, 1003))
    first = await exchange(page, table)
    assert [m.direction for m in first.media] == [Direction.RECVONLY, Direction.RECVONLY]
    assert first.media[1].codecs[0].rtx_payload_type == 97
    assert first.media[1].header_extensions[ext.MID] == 4
    assert first.media[1].header_extensions[ext.TRANSPORT_CC] == 3
    assert await page.evaluate(TAKE_TRACKS) == [[microphone, "audio", ["ann"]], [camera, "video", ["ann"]]]

    table.stop(camera)
    second = await exchange(page, table)
    assert second.media[1].direction is Direction.INACTIVE
    assert await page.evaluate(DIRECTIONS) == ["recvonly", "inactive"]

    reused = table.add(SubscribeTrack(Kind.VIDEO, "bob", "TR_cam2", (VP9,), 2002, 2003))
    third = await exchange(page, table)
    assert reused == camera
    assert [c.name for c in third.media[1].codecs] == ["VP9"]
    assert third.media[1].encodings[0].ssrc == 2002
    assert await page.evaluate(TAKE_TRACKS) == [[camera, "video", ["bob"]]]
    assert await page.evaluate(DIRECTIONS) == ["recvonly", "recvonly"]


@pytest.mark.parametrize("codec", [VP8, VP9, AV1], ids=lambda codec: codec.name)
async def test_subscriber_takes_every_codec_that_it_has(page, codec):
    await page.evaluate(SUBSCRIBER)
    table = SubscribeTable(CONFIG)
    table.add(SubscribeTrack(Kind.VIDEO, "ann", "TR_1", (codec,), 1, 2))
    negotiation = await exchange(page, table)
    assert [c.name for c in negotiation.media[0].codecs] == [codec.name]
    assert negotiation.media[0].encodings[0].rtx_ssrc == 2


async def test_answer_to_the_largest_offer_fits_into_the_bound(page):
    await page.evaluate(SUBSCRIBER)
    table = SubscribeTable(CONFIG)
    with pytest.raises(PeerError):
        for n in range(CONFIG.max_media_lines + 1):
            table.add(SubscribeTrack(Kind.VIDEO, "PA_abcdefghijkl", f"TR_{n:012}", (H264,), 2 * n + 1, 2 * n + 2))
    answer = await page.evaluate(ANSWER, serialize(table.create_offer(LOCAL)))
    assert len(answer) <= CONFIG.max_sdp_bytes
    assert len(table.receive_answer(parse(answer)).media) > 64


async def test_rejected_line_is_recycled_with_a_new_mid(page):
    """Debian's Firefox has no H.264: it is the one that rejects. Chromium takes it."""
    await page.evaluate(SUBSCRIBER)
    table = SubscribeTable(CONFIG)
    table.add(SubscribeTrack(Kind.AUDIO, "ann", "TR_1", (OPUS,), 1))
    refused = table.add(SubscribeTrack(Kind.VIDEO, "ann", "TR_2", (H264,), 2, 3))
    first = await exchange(page, table)
    if page.browser_name == "chromium":
        assert first.media[1].codecs[0].payload_type == 102
        return
    assert first.media[1].rejected
    await assert_stays_rejected(page, table)
    mid = table.add(SubscribeTrack(Kind.AUDIO, "bob", "TR_3", (OPUS,), 4))
    assert mid != refused
    second = await exchange(page, table)
    assert second.media[1].kind is Kind.AUDIO
    assert second.media[1].mid == mid and not second.media[1].rejected


async def assert_stays_rejected(page, table: SubscribeTable) -> None:
    """A further offer keeps a rejected m-line rejected."""
    await page.evaluate(TAKE_TRACKS)
    negotiation = await exchange(page, table)
    assert negotiation.media[1].rejected
    assert await page.evaluate(TAKE_TRACKS) == []


async def test_player_takes_answers_before_and_after_the_source_is_known(page):
    for codecs in (None, (VP8,)):
        await page.evaluate(SUBSCRIBER)
        await page.evaluate("""() => {
          pc.addTransceiver('audio', {direction: 'recvonly'});
          pc.addTransceiver('video', {direction: 'recvonly'});
        }""")
        sources = {
            Kind.AUDIO: PlaySource(11, None, "ann", "TR_1"),
            Kind.VIDEO: PlaySource(12, 13, "ann", "TR_2", codecs),
        }
        negotiation = answer_play(parse(await page.evaluate(OFFER)), LOCAL, CONFIG, sources)
        assert await page.evaluate(TAKE_ANSWER, serialize(negotiation.answer)) == "stable"
        assert await page.evaluate(TAKE_TRACKS) == [["0", "audio", ["ann"]], ["1", "video", ["ann"]]]
        names = [c.name for c in negotiation.media[1].codecs]
        assert names == ["VP8"] if codecs else {"VP8", "VP9", "AV1"} <= set(names)
