"""Every codec that is passed on, from a real encoder through the node to a real decoder; and a transceiver that is used again.

One page is both ends: it offers by WHIP's and WHEP's commands of a Conference in this process, without signalling.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from media.codecs import Kind
from sfu.meeting.participant import JoinRequest, Mode, Participant
from sfu.meeting.permissions import Grants, Source
from tests.support.browser import chromium, open_page, wait_until
from tests.support.whip_site import WhipSite, open_whip_site

SCRIPT = """
window.paint = (width, height) => {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  setInterval(() => {
    context.fillStyle = `hsl(${performance.now() / 10} 80% 50%)`;
    context.fillRect(0, 0, width, height);
  }, 33);
  return canvas.captureStream(30).getVideoTracks()[0];
};
window.tone = () => {
  const context = new AudioContext();
  const oscillator = context.createOscillator();
  const end = context.createMediaStreamDestination();
  oscillator.connect(end);
  oscillator.start();
  return end.stream.getAudioTracks()[0];
};
window.prefer = (transceiver, kind, first) => {
  const { codecs } = RTCRtpSender.getCapabilities(kind);
  const wanted = codecs.filter(({ mimeType }) => mimeType.toLowerCase() === first.toLowerCase());
  if (!wanted.length) throw new Error(`no ${first} in this browser`);
  transceiver.setCodecPreferences([...wanted, ...codecs.filter((codec) => !wanted.includes(codec))]);
};
window.connect = () => {
  window.sending = new RTCPeerConnection();
  window.receiving = new RTCPeerConnection();
  receiving.ontrack = ({ track }) => {  // sound that nobody plays is not decoded
    window.player = Object.assign(document.createElement(track.kind), { autoplay: true, srcObject: new MediaStream([track]) });
  };
};
window.offer = async (peer) => {
  await peer.setLocalDescription(await peer.createOffer());
  return peer.localDescription.sdp;
};
window.answer = (peer, sdp) => peer.setRemoteDescription({ type: "answer", sdp });
window.stat = async (peer, type, kind) => {
  const reports = [...(await peer.getStats()).values()];
  const found = reports.filter((report) => report.type === type && report.kind === kind);
  const codec = reports.find(({ id }) => id === found[0]?.codecId)?.mimeType.toLowerCase();
  return { codec, frames: Math.max(0, ...found.map((one) => one.framesDecoded ?? 0)),
           energy: Math.max(0, ...found.map((one) => one.totalAudioEnergy ?? 0)), streams: found.length,
           width: Math.max(0, ...found.map((one) => one.frameWidth ?? 0)) };
};
"""


@asynccontextmanager
async def studio() -> AsyncIterator[tuple[WhipSite, object]]:
    async with open_whip_site() as site, chromium() as browser:
        watched = await open_page(browser, init_script=SCRIPT)
        await watched.page.goto(f"http://127.0.0.1:{site.http_port}/")  # not found, but an origin that may use everything
        await watched.page.evaluate("connect()")
        yield site, watched.page


def join(site: WhipSite, name: str, mode: Mode) -> Participant:
    request = JoinRequest(room_id="room", participant_id=name, display_name=name, grants=Grants.full(), mode=mode, auto_subscribe=False)
    participant = site.conference.join(request, now=site.media.now())
    site.media.pump()
    return participant


async def publish(site: WhipSite, page, participant: Participant, source: Source, *, mid: str = "0") -> str:
    """Announce and negotiate one track; its id."""
    track = site.conference.announce(participant, source=source, now=site.media.now())
    sdp = await page.evaluate("offer(sending)")
    answer = site.conference.publish(participant, sdp, [(mid, track.track_id)], now=site.media.now())
    site.media.pump()
    await page.evaluate("(sdp) => answer(sending, sdp)", answer)
    return track.track_id


async def play(site: WhipSite, page, kind: Kind) -> None:
    player = join(site, "player", Mode.RECV_ONLY)
    sdp = await page.evaluate("(kind) => (receiving.addTransceiver(kind, { direction: 'recvonly' }), offer(receiving))", kind.value)
    answer = site.conference.play(player, sdp, remote_participant_id=None, now=site.media.now())
    site.media.pump()
    await page.evaluate("(sdp) => answer(receiving, sdp)", answer)


@pytest.mark.parametrize("codec", ["video/VP8", "video/H264", "video/VP9", "video/AV1"])
async def test_pictures_of_each_codec_are_passed_on(codec):
    async with studio() as (site, page):
        publisher = join(site, "publisher", Mode.SEND_AND_RECV)
        await page.evaluate("(codec) => prefer(sending.addTransceiver(paint(320, 180)), 'video', codec)", codec)
        await publish(site, page, publisher, Source.WEBCAM)
        await play(site, page, Kind.VIDEO)
        await wait_until(page, "(await stat(receiving, 'inbound-rtp', 'video')).frames >= 60")
        found = await page.evaluate("stat(receiving, 'inbound-rtp', 'video')")
        assert (found["codec"], found["width"]) == (codec.lower(), 320)


@pytest.mark.parametrize("codec", ["audio/opus", "audio/red"])
async def test_sound_is_passed_on_plain_and_redundant(codec):
    async with studio() as (site, page):
        publisher = join(site, "publisher", Mode.SEND_AND_RECV)
        await page.evaluate("(codec) => prefer(sending.addTransceiver(tone()), 'audio', codec)", codec)
        await publish(site, page, publisher, Source.MIC)
        await play(site, page, Kind.AUDIO)
        await wait_until(page, "(await stat(receiving, 'inbound-rtp', 'audio')).energy > 0.2")
        producer = site.conference.peers[publisher.inner_id].publish.producers["0"]
        stream = producer.layers.streams[0]
        came = stream.history.get(stream.highest_sequence, stream.last_arrival)
        names = {one.payload_type: one.name for one in producer.params.codecs}
        assert names[came.payload_type] == codec.removeprefix("audio/")  # Chromium's own reports say opus of both


async def test_a_simulcast_transceiver_that_is_used_again_brings_its_pictures():
    """Its SSRCs stay, and their RIDs were told only when they were new."""
    async with studio() as (site, page):
        conference = site.conference
        publisher = join(site, "publisher", Mode.SEND_AND_RECV)
        await page.evaluate("""() => {
          const sendEncodings = [{ rid: "q", scaleResolutionDownBy: 2 }, { rid: "h" }];
          window.reused = sending.addTransceiver(paint(640, 360), { direction: "sendonly", sendEncodings });
        }""")
        first = await publish(site, page, publisher, Source.WEBCAM)
        await play(site, page, Kind.VIDEO)
        await wait_until(page, "(await stat(receiving, 'inbound-rtp', 'video')).frames >= 60")
        await page.evaluate("(reused.direction = 'inactive', reused.sender.replaceTrack(null))")
        conference.unpublish(publisher, first, now=site.media.now())
        site.media.pump()
        await page.evaluate("(reused.direction = 'sendonly', reused.sender.replaceTrack(paint(640, 360)))")
        second = await publish(site, page, publisher, Source.WEBCAM)
        before = (await page.evaluate("stat(receiving, 'inbound-rtp', 'video')"))["frames"]
        more = f"(await stat(receiving, 'inbound-rtp', 'video')).frames >= {before + 60}"
        await wait_until(page, f"{more} && (await stat(receiving, 'inbound-rtp', 'video')).width === 640")
        producer = conference.peers[publisher.inner_id].publish.producers["0"]
        assert producer.id == second and producer.params.simulcast
