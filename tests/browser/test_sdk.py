"""The SDK as an application uses it, on a bare page, against the real server."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Browser, Page

from tests.support.browser import chromium, expect_frames, open_page, wait_until
from tests.support.meeting_page import new_room

# `m` is the meeting, `seen` the events in order.
JOIN = """async ([roomId, options]) => {
  const { VideoSDK } = await import("/sdk/tidegate.js");
  window.VideoSDK = VideoSDK;
  const body = JSON.stringify({ roomId });
  const answer = await fetch("/console/token", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  VideoSDK.config((await answer.json()).token);
  window.m = VideoSDK.initMeeting({ meetingId: roomId, maxResolution: "sd", ...options });
  window.seen = [];
  for (const event of ["meeting-left", "error", "participant-updated", "presenter-changed", "mic-requested"]) {
    m.on(event, (value) => seen.push([event, value?.code ?? value?.id ?? value?.participantId ?? value]));
  }
  window.other = () => [...m.participants.values()][0];
  try {
    await m.join();
    return { id: m.localParticipant.id };
  } catch ({ code, name }) {
    return { code, name };
  }
}"""


async def join(browser: Browser, address: str, **options: Any) -> Page:
    url, room = address.rsplit("/meeting/", 1)
    page = (await open_page(browser)).page
    await page.goto(url)
    answer = await page.evaluate(JOIN, [room, options])
    assert "id" in answer, answer
    return page


async def test_three_sizes_are_sent_and_the_largest_arrives(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        sender = await join(browser, address, name="Sender", multiStream=True, maxResolution="hd")
        receiver = await join(browser, address, name="Receiver", mode="RECV_ONLY")
        await expect_frames(receiver)
        assert await sender.evaluate("m.localParticipant.getVideoStats().then((layers) => layers.length)") == 3
        # Chromium adds layers as its estimate grows: by then the server's feedback has carried it there.
        await wait_until(sender, "(await m.localParticipant.getVideoStats()).every(({totalPackets}) => totalPackets > 0)")
        await wait_until(receiver, "(await other().getVideoStats())[0].size.width >= 1280")


async def test_nothing_arrives_that_was_not_asked_for(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        await join(browser, address, name="Sender")
        receiver = await join(browser, address, name="Receiver", mode="RECV_ONLY", autoConsume=False)
        await wait_until(receiver, "other()?.webcamOn && other().micOn")
        assert await receiver.evaluate("other().streams.size") == 0
        await receiver.evaluate("other().consumeWebcamStreams()")
        await wait_until(receiver, "other().streams.size === 1")
        await expect_frames(receiver)


async def test_a_paused_stream_comes_again_when_resumed(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        await join(browser, address, name="Sender")
        receiver = await join(browser, address, name="Receiver", mode="RECV_ONLY")
        await expect_frames(receiver)
        await receiver.evaluate("m.pauseAllStreams('video')")
        still = "(async () => { const count = async () => (await other().getVideoStats())[0].totalPackets; let last = await count();" \
            " await new Promise((done) => setTimeout(done, 1000)); return (await count()) === last; })()"
        await wait_until(receiver, f"await {still}")
        await receiver.evaluate("m.resumeAllStreams('video')")
        await expect_frames(receiver)


async def test_the_same_participant_a_second_time_puts_the_first_out(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        first = await join(browser, address, participantId="ada")
        await join(browser, address, participantId="ada")
        await wait_until(first, "seen.some(([event]) => event === 'meeting-left')")
        assert await first.evaluate("seen.find(([event]) => event === 'meeting-left')[1]") == 1011
        assert await first.evaluate("m.state") == "DISCONNECTED"


async def test_what_one_says_of_oneself_is_seen_and_versioned(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada = await join(browser, address, name="Ada", metaData={"seat": 1}, attributes={"hand": "down"}, micEnabled=False, webcamEnabled=False)
        bob = await join(browser, address, name="Bob", micEnabled=False, webcamEnabled=False)
        assert await bob.evaluate("[other().displayName, other().metaData, other().attributes]") == ["Ada", {"seat": 1}, {"hand": "down"}]
        await ada.evaluate("m.update({ displayName: 'Ada L.', attributes: { hand: 'up' } })")
        await wait_until(bob, "other().displayName === 'Ada L.' && other().attributes.hand === 'up'")
        refused = await ada.evaluate("m.update({ metaData: 2, ifVersion: 0 }).catch(({ code }) => code)")
        assert refused == 4094
        assert await ada.evaluate("[m.localParticipant.displayName, m.localParticipant.metaData]") == ["Ada L.", {"seat": 1}]


async def test_tracks_of_ones_own_can_be_sent_and_exchanged(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada = await join(browser, address, name="Ada", micEnabled=False, webcamEnabled=False)
        bob = await join(browser, address, name="Bob", mode="RECV_ONLY")
        await ada.evaluate("""async () => {
          window.paint = (width, height) => {
            const canvas = Object.assign(document.createElement("canvas"), { width, height });
            const context = canvas.getContext("2d");
            setInterval(() => { context.fillStyle = `hsl(${performance.now() / 10} 80% 50%)`; context.fillRect(0, 0, width, height); }, 33);
            return canvas.captureStream(30);
          };
          await m.enableWebcam(paint(320, 180));
        }""")
        await wait_until(bob, "(await other()?.getVideoStats())?.[0]?.size.width === 320")
        await ada.evaluate("m.changeWebcam(paint(480, 270))")
        await wait_until(bob, "(await other().getVideoStats())[0].size.width === 480")
        assert (await bob.evaluate("other().captureImage({ width: 16, height: 9 })")).startswith("data:image/png;base64,")
        # The device that vanishes is told, and the camera counts as off.
        await ada.evaluate("[...m.localParticipant.streams.values()][0].track.dispatchEvent(new Event('ended'))")
        await wait_until(bob, "other().webcamOn === false")
        assert await ada.evaluate("seen") == [["error", 3118]]


async def test_quick_clicks_end_in_the_state_of_the_last(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada = await join(browser, address, name="Ada")
        bob = await join(browser, address, name="Bob", mode="RECV_ONLY")
        await expect_frames(bob)
        await ada.evaluate("Promise.all([m.muteMic(), m.unmuteMic(), m.muteMic(), m.disableWebcam(), m.enableWebcam(), m.disableWebcam()])")
        await wait_until(bob, "!other().micOn && !other().webcamOn")
        await ada.evaluate("Promise.all([m.enableWebcam(), m.unmuteMic()])")
        await wait_until(bob, "other().micOn && other().webcamOn && other().streams.size === 2")
        await expect_frames(bob)
        assert await ada.evaluate("seen") == []


async def test_errors_have_codes_and_names(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        url = address.rsplit("/meeting/", 1)[0]
        page = (await open_page(browser)).page
        await page.goto(url)
        # A token for this room, and a meeting that is another's.
        refused = await page.evaluate(JOIN.replace("meetingId: roomId", "meetingId: 'zzzz-zzzz-zzzz'"), [address.rsplit("/", 1)[1], {}])
        assert refused["code"] in (4003, 4022)
        lost = await page.evaluate("VideoSDK.initMeeting({ meetingId: 'x', signalingBaseUrl: 'http://127.0.0.1:9' }).join().catch(({ code, name }) => [code, name])")
        assert lost == [3104, "CONNECTION_FAILED"]
        idle = await join(browser, address, mode="RECV_ONLY")
        assert await idle.evaluate("m.enableWebcam().catch(({ code }) => code)") == 4093
        assert await idle.evaluate("m.join().catch(({ code }) => code)") == 4097
