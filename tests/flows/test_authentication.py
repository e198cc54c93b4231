"""A1 to A6: a client gets a token from its app server, which calls Tidegate for it."""

from __future__ import annotations

import time

import jwt

from tests.support.app_page import open_app
from tests.support.app_server import API_KEY, API_SECRET
from tests.support.arrows import arrow
from tests.support.browser import chromium


async def test_a_client_gets_its_token_and_its_data_by_way_of_its_app_server(tidegate, any_app_server, http):
    async with chromium() as browser:
        watched = await open_app(browser, any_app_server.url)
        page, asked = watched.page, []
        page.on("request", lambda request: asked.append(request.url))
        with arrow("A1 the client asks its app server for a token"):
            assert await page.evaluate("location.origin") == any_app_server.url != tidegate.url
            await page.fill("#name", "Ada")
            async with page.expect_response("**/get-token") as awaited, page.expect_response("**/create-meeting") as made:
                await page.get_by_role("button", name="Join").click()
            answer = await awaited.value
            assert answer.url == f"{any_app_server.url}/get-token"
        with arrow("A2 gets it: a JWT signed there with key and secret"):
            body = await answer.json()
            claims = jwt.decode(body["token"], API_SECRET, algorithms=["HS256"])
            assert claims["apikey"] == API_KEY
            assert claims["exp"] > time.time()
            assert API_SECRET not in str(body)
        with arrow("A3 the client calls the app server"):
            answer = await made.value
            assert answer.url == f"{any_app_server.url}/create-meeting"
            assert not any(url.startswith(f"{tidegate.url}/v2/rooms") for url in asked)
        with arrow("A4 the app server calls Tidegate"):
            headers = {"Authorization": body["token"]}
            room_id = (await answer.json())["roomId"]
            async with http.get(f"{tidegate.url}/v2/rooms", params={"query": room_id}, headers=headers) as response:
                assert response.status == 200
                rooms = (await response.json())["data"]
            assert len(rooms) == 1
        with arrow("A5 gets the data"):
            assert answer.status == 200
        with arrow("A6 passes it on"):
            assert await answer.json() == rooms[0]
            await page.locator("#joined-id", has_text=room_id).wait_for()
            assert any(url.startswith(f"{tidegate.url}/sdk/tidegate.js") for url in asked)
        await watched.assert_clean()


async def test_a_client_of_another_secret_gets_nothing(tidegate, any_app_server, http):
    async with http.get(f"{any_app_server.url}/get-token") as answer:
        claims = jwt.decode((await answer.json())["token"], options={"verify_signature": False})
    forged = jwt.encode(claims, API_SECRET[::-1], algorithm="HS256")
    async with http.get(f"{tidegate.url}/v2/rooms", headers={"Authorization": forged}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (401, 4002)
