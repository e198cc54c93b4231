"""C9 to C18: two people of one app go on air and are recorded; the end of their meeting ends all that hangs on it, in order."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import expect

from tests.support.app_page import join, open_app, press, receives_media, tile, told
from tests.support.arrows import arrow
from tests.support.browser import Watched
from tests.support.camera import ADA, BOB, Looks, browser_of, hears, watch
from tests.support.recordings import probe
from tests.support.rtmp_nginx import Nginx, running_nginx
from tests.support.social_media import PATIENCE, goodbye, publishes, view
from tests.support.webhook_receiver import WebhookReceiver, running_receiver

PUT_OUT_WITHIN = 1.0  # seconds from the button to the last participant's page
KEY = "the-key-of-our-channel"

# A page of the app asks Tidegate itself, as another origin, for a meeting that tells the app server what becomes of it.
CREATE_ROOM = """async ([url, token, webhook]) => {
  const headers = { Authorization: token, "Content-Type": "application/json" };
  const answer = await fetch(`${url}/v2/rooms`, { method: "POST", headers, body: JSON.stringify({ webhook }) });
  return await answer.json();
}"""


@dataclass
class Meeting:
    """Ada and Bob, whom the app brought together, and what the app server hears of them."""

    url: str
    token: str
    room_id: str
    ada: Watched
    bob: Watched
    receiver: WebhookReceiver
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """As a program of the app server's."""
        headers = {"Authorization": self.token}
        async with self.http.request(method, f"{self.url}{path}", headers=headers, **more) as answer:
            body = await answer.json()
            assert answer.status == 200, body
            return body

    async def end(self) -> float:
        """Ada ends it; everybody is put out in time."""
        pressed = await press(self.ada.page, "end")
        for page in (self.ada.page, self.bob.page):
            assert await told(page, "You are out: REMOVE_ALL") - pressed < PUT_OUT_WITHIN
        return pressed

    def told(self, *kinds: str) -> list[str]:
        """Those webhooks, in the order in which they came."""
        return [name for name in self.receiver.types if name in kinds]


@pytest.fixture
async def meeting(tidegate, app_server, http, tmp_path) -> AsyncIterator[Meeting]:
    async with AsyncExitStack() as stack:
        ada, bob = [
            await open_app(await stack.enter_async_context(browser_of(looks, tmp_path)), app_server.url)
            for looks in (ADA, BOB)
        ]
        token = (await ada.page.evaluate("fetch('/get-token').then((answer) => answer.json())"))["token"]
        receiver = await stack.enter_async_context(app_servers_receiver(http, tidegate.url, token))
        webhook = {"endPoint": receiver.url, "events": ["recording-*", "livestream-*", "session-*", "participant-*"]}
        room = await ada.page.evaluate(CREATE_ROOM, [tidegate.url, token, webhook])
        yield Meeting(tidegate.url, token, room["roomId"], ada, bob, receiver, http)
        for watched in (ada, bob):
            await watched.assert_clean()


@asynccontextmanager
async def app_servers_receiver(http, url: str, token: str) -> AsyncIterator[WebhookReceiver]:
    """It refuses what is not signed by both keys, which it asks Tidegate for."""
    async with http.get(f"{url}/v2/public/rsa-public-key") as answer:
        public_key = (await answer.json())["publicKey"]
    async with http.get(f"{url}/v2/webhooks/secret", headers={"Authorization": token}) as answer:
        secret = (await answer.json())["secret"]
    assert secret.startswith("whsec_")
    async with running_receiver(public_key=public_key, secret=secret) as receiver:
        yield receiver
        assert receiver.forged == []


async def test_a_call_on_air_and_recorded_from_start_to_end(meeting, tmp_path):
    ada, bob, receiver = meeting.ada.page, meeting.bob.page, meeting.receiver
    (tmp_path / "nginx").mkdir()
    with running_nginx(tmp_path / "nginx") as social_media:
        await join(ada, "Ada", meeting.room_id)
        await join(bob, "Bob", meeting.room_id)
        for page in (ada, bob):
            await receives_media(page)
        with arrow("C9 go live by RTMP: the client asks"):
            await ada.fill("#rtmp-url", f"rtmp://127.0.0.1:{social_media.port}/live")
            await ada.fill("#stream-key", KEY)
            await press(ada, "live")
            for page in (ada, bob):
                await told(page, "Livestream: LIVESTREAM_STARTED")
            await receiver.wait_for("livestream-started")
        with arrow("C10 composed in real time, social media receives it"):
            await publishes(social_media, KEY)
            seen = await on_air(social_media, tmp_path, ADA, BOB)
            last = watch(seen)[-1]
            assert {last.left, last.right} == {frozenset({ADA.colour}), frozenset({BOB.colour})}
            assert hears(seen, ADA) and hears(seen, BOB)
        with arrow("C11 start recording: the client asks"):
            await press(ada, "record")
            for page in (ada, bob):
                await told(page, "Recording: RECORDING_STARTED")
                await expect(page.locator("#notice")).to_have_text("This meeting is recorded. This meeting is on air.")
        with arrow("C12 started, webhook sent"):
            started = await receiver.wait_for("recording-started")
            assert started.data["meetingId"] == meeting.room_id
            recording_id = started.data["id"]
            row = await meeting.ask("GET", f"/v2/recordings/{recording_id}")
            assert row["status"] == "recording"
            await receives_media(ada)
        with arrow("C13 Bob leaves"):
            await press(bob, "leave")
            await told(bob, "You are out: MANUAL_LEAVE_CALLED")
        with arrow("C14 the others see it"):
            await told(ada, "Bob left")
            await expect(tile(ada, "Bob")).to_have_count(0)
            await receiver.wait_for("participant-left", participantName="Bob")
        await on_air(social_media, tmp_path, ADA)
        await join(bob, "Bob", meeting.room_id)
        await expect(bob.locator("#notice")).to_have_text("This meeting is recorded. This meeting is on air.")
        for page in (ada, bob):
            await receives_media(page)
        await on_air(social_media, tmp_path, ADA, BOB)
        with arrow("C15 end the meeting: everybody is put out"):
            await meeting.end()
        with arrow("C16 the RTMP push ends at the target"):
            await goodbye(social_media)
            stopped = await receiver.wait_for("livestream-stopped")
            assert [output["status"] for output in stopped.data["outputs"]] == ["stopped"]
            pictures = watch(social_media.recording(KEY), each=5)
            assert any(len(picture.all) == 2 for picture in pictures)
        with arrow("C17 webhook: recording stopped, with the file"):
            stopped = await receiver.wait_for("recording-stopped", id=recording_id)
            path = tmp_path / "recording.mp4"
            async with meeting.http.get(stopped.data["fileUrl"]) as answer:
                assert answer.status == 200
                path.write_bytes(await answer.read())
            assert_shows_the_call(path, stopped.data["files"][0]["duration"])
        with arrow("C18 the meeting has ended"):
            await receiver.wait_for("session-ended")
            assert receiver.types[-1] == "session-ended"
            assert meeting.told("livestream-stopped", "recording-stopped", "session-ended") == [
                "livestream-stopped", "recording-stopped", "session-ended",
            ]  # fmt: skip
    assert KEY not in str([one.body for one in receiver.seen])


async def on_air(social_media: Nginx, folder: Path, *people: Looks) -> Path:
    """Until viewers see these people and nobody else; what they saw."""
    wanted = {looks.colour for looks in people}
    async with asyncio.timeout(PATIENCE):
        while True:
            viewed = await view(social_media, KEY, folder / "viewed.flv")
            seen = watch(viewed)
            if seen and seen[-1].all == wanted:
                return viewed


def assert_shows_the_call(path, duration: float) -> None:
    """Both, then Ada alone, then both again; both voices; as long as was said; playable from its first bytes."""
    found = probe(path)
    assert sorted(stream["codec_name"] for stream in found["streams"]) == ["aac", "h264"]
    assert abs(float(found["format"]["duration"]) - duration) < 0.1
    assert b"moov" in path.read_bytes()[:400], "fast start"
    shown = [sorted(picture.all) for picture in watch(path, each=5)]
    runs = [people for people, _ in itertools.groupby(shown)]
    assert [people for people in runs if people] == [["green", "red"], ["red"], ["green", "red"]]
    assert hears(path, ADA) and hears(path, BOB)


async def test_a_dead_target_does_not_hold_up_the_end(meeting, tmp_path):
    ada, bob, receiver = meeting.ada.page, meeting.bob.page, meeting.receiver
    for name in ("alive", "dead"):
        (tmp_path / name).mkdir()
    with running_nginx(tmp_path / "alive") as alive, running_nginx(tmp_path / "dead") as dead:
        await join(ada, "Ada", meeting.room_id)
        await join(bob, "Bob", meeting.room_id)
        await receives_media(ada)
        outputs = [{"url": f"rtmp://127.0.0.1:{target.port}/live", "streamKey": KEY} for target in (alive, dead)]
        with arrow("C9 go live to two targets"):
            body = {"roomId": meeting.room_id, "outputs": outputs}
            live_id = (await meeting.ask("POST", "/v2/livestreams/start", json=body))["id"]
            for target in (alive, dead):
                await publishes(target, KEY)
        with arrow("C11 start recording"):
            await press(bob, "record")
            await told(bob, "Recording: RECORDING_STARTED")
        dead.kill()
        with arrow("C10 one target dies, everybody is told, the other goes on"):
            await told(ada, f"rtmp://127.0.0.1:{dead.port}/live retrying")
            await receives_media(ada)
        with arrow("C15 end the meeting: everybody is put out"):
            await meeting.end()
        with arrow("C16 the push ends at the target that lives"):
            await goodbye(alive)
        with arrow("C17-C18 told in order"):
            await receiver.wait_for("session-ended")
            assert meeting.told("livestream-stopped", "recording-stopped", "session-ended") == [
                "livestream-stopped", "recording-stopped", "session-ended",
            ]  # fmt: skip
            row = await meeting.ask("GET", f"/v2/livestreams/{live_id}")
            assert [output["status"] for output in row["outputs"]] == ["stopped", "stopped"]
