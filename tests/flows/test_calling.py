"""C1 to C8 and C13 to C15: two people of one app meet, hear and see each other, leave, and end the meeting."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from tests.support.app_page import join, open_app, press, receives_media, tile, told
from tests.support.arrows import arrow
from tests.support.browser import chromium
from tests.support.event_stream import read_events

PUT_OUT_WITHIN = 1.0  # seconds from the button to the last participant's page

# A page of the app asks Tidegate itself, as another origin.
CREATE_ROOM = """async ([url, token]) => {
  const headers = { Authorization: token, "Content-Type": "application/json" };
  const answer = await fetch(`${url}/v2/rooms`, { method: "POST", headers, body: "{}" });
  return [answer.status, await answer.json()];
}"""


async def create_room(page: Page, url: str, token: str) -> str:
    status, room = await page.evaluate(CREATE_ROOM, [url, token])
    assert status == 200, room
    return room["roomId"]


async def test_a_call_from_token_to_end(tidegate, app_server, http):
    async with chromium() as browser:
        ada, bob = [await open_app(browser, app_server.url) for _ in range(2)]
        with arrow("C1-C2 token"):
            body = await ada.page.evaluate("fetch('/get-token').then((answer) => answer.json())")
            token = body["token"]
        with arrow("C3-C4 the client asks Tidegate for a meetingId and gets a unique one"):
            assert await ada.page.evaluate("location.origin") != tidegate.url
            ids = {await create_room(ada.page, tidegate.url, token) for _ in range(3)}
            assert len(ids) == 3
            room_id = ids.pop()
            assert re.fullmatch("[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4}", room_id)
        async with read_events(http, tidegate.url, token, roomId=room_id) as events:
            await call(ada.page, bob.page, room_id, events)
            with arrow("C13 Bob leaves"):
                await press(bob.page, "leave")
                await told(bob.page, "You are out: MANUAL_LEAVE_CALLED")
            with arrow("C14 the others see it"):
                await told(ada.page, "Bob left")
                await expect(tile(ada.page, "Bob")).to_have_count(0)
                left = await events.wait_for("participant-left", participantName="Bob")
                assert left["data"]["reason"] == {"code": 1101, "name": "MANUAL_LEAVE_CALLED"}
            await join(bob.page, "Bob", room_id)
            await receives_media(bob.page)
            with arrow("C15 end the meeting: everybody is put out"):
                pressed = await press(ada.page, "end")
                for page in (ada.page, bob.page):
                    assert await told(page, "You are out: REMOVE_ALL") - pressed < PUT_OUT_WITHIN
                    await expect(page.locator("#tiles figure")).to_have_count(0)
                await events.wait_for("session-ended")
        headers = {"Authorization": token}
        with arrow("C15 the session is listed as ended"):
            async with http.get(f"{tidegate.url}/v2/sessions", params={"roomId": room_id}, headers=headers) as answer:
                sessions = (await answer.json())["data"]
            assert [session["status"] for session in sessions] == ["ended"]
            assert sorted(person["name"] for person in sessions[0]["participants"]) == ["Ada", "Bob", "Bob"]
            for person in sessions[0]["participants"]:
                assert all(stay["end"] for stay in person["timelog"])
                assert person["events"]["mic"] and person["events"]["webcam"]
        with arrow("C15 nothing of it is held any more"):
            async with http.get(f"{tidegate.url}/metrics") as answer:
                metrics = await answer.text()
            for what in ("rooms", "participants", "tracks", "connections"):
                assert f"\ntidegate_{what} 0.0\n" in metrics
        for watched in (ada, bob):
            await watched.assert_clean()


async def call(ada: Page, bob: Page, room_id: str, events) -> None:
    """C5 to C8."""
    with arrow("C5 Ada joins"):
        await join(ada, "Ada", room_id)
        await events.wait_for("session-started")
        await events.wait_for("participant-joined", participantName="Ada")
    with arrow("C5 Bob joins: broadcast to each participant"):
        await join(bob, "Bob", room_id)
        await told(ada, "Bob joined")
        await told(bob, "Ada joined")
        for page, other in ((ada, "Bob"), (bob, "Ada")):
            await expect(tile(page, other)).to_have_count(1)
    with arrow("C6 joined: each sees and hears the other"):
        for page in (ada, bob):
            await receives_media(page)
    with arrow("C7 subscribed to events: a program with the app's token hears of it"):
        await events.wait_for("participant-joined", participantName="Bob")
        await events.wait_for("track-published", participantName="Ada", source="mic")
        await events.wait_for("track-published", participantName="Ada", source="webcam")
    with arrow("C8 notified: a change reaches the other page and the program"):
        await press(ada, "mic")
        await told(bob, "Ada: audio off")
        await events.wait_for("track-muted", participantName="Ada", source="mic", muted=True)
        await press(ada, "mic")
        await events.wait_for("track-muted", participantName="Ada", source="mic", muted=False)
        await receives_media(bob)
