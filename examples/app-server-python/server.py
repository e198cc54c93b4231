"""An app server for Tidegate: signs tokens, creates and validates meetings. Needs aiohttp and pyjwt.

    TIDEGATE_URL=http://127.0.0.1:8080 TIDEGATE_API_KEY=... TIDEGATE_API_SECRET=... PORT=9000 python server.py
"""
import os
import time
from pathlib import Path

import jwt
from aiohttp import ClientSession, web

URL = os.environ.get("TIDEGATE_URL", "http://127.0.0.1:8080")
PAGE = Path(__file__).parent.parent / "page" / "index.html"

def sign(role, permissions):
    claims = {"apikey": os.environ["TIDEGATE_API_KEY"], "version": 2, "roles": [role], "permissions": permissions,
              "iat": int(time.time()), "exp": int(time.time()) + 7200}
    return jwt.encode(claims, os.environ["TIDEGATE_API_SECRET"], algorithm="HS256")

async def call(method, path, body=None):
    headers = {"Authorization": sign("crawler", ["allow_join", "allow_mod"])}  # "crawler": REST only, stays here
    async with ClientSession() as session, session.request(method, URL + path, headers=headers, json=body) as answer:
        return web.json_response(await answer.json(), status=answer.status)

async def get_token(request):  # ask who it is here, before you give anybody a token
    return web.json_response({"token": sign("rtc", ["allow_join", "allow_mod"]), "server": URL})

async def create_meeting(request):
    return await call("POST", "/v2/rooms", {})

async def validate_meeting(request):
    return await call("GET", f"/v2/rooms/validate/{request.match_info['id']}")

app = web.Application()
app.add_routes([web.get("/", lambda request: web.FileResponse(PAGE)), web.get("/get-token", get_token),
                web.post("/create-meeting", create_meeting), web.post("/validate-meeting/{id}", validate_meeting)])
web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "9000")))
