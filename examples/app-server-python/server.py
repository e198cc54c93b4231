"""Your app server: it signs tokens, and makes and checks meetings. The secret stays here. Needs aiohttp and PyJWT."""

import os
import time
from pathlib import Path

import aiohttp
import jwt
from aiohttp import web

KEY, SECRET = os.environ["TIDEGATE_API_KEY"], os.environ["TIDEGATE_API_SECRET"]
URL = os.environ.get("TIDEGATE_URL", "http://127.0.0.1:8080")
PAGE = Path(__file__).resolve().parent.parent / "app-page"
routes = web.RouteTableDef()


def sign_token(**claims):
    payload = {"apikey": KEY, "version": 2, "iat": int(time.time()), "exp": int(time.time()) + 7200, **claims}
    return jwt.encode(payload, SECRET, algorithm="HS256")


@routes.get("/get-token")
async def get_token(request):  # Who asks? Here your own sign-in decides who gets one, and whether it may moderate.
    return web.json_response({"token": sign_token(permissions=["allow_join", "allow_mod"]), "url": URL})


@routes.post("/create-meeting")
@routes.post(r"/validate-meeting/{id:[\w-]+}")
async def call_tidegate(request):
    known = request.match_info.get("id")
    method, path = ("GET", f"/v2/rooms/validate/{known}") if known else ("POST", "/v2/rooms")
    headers = {"Authorization": sign_token(permissions=["allow_join"], roles=["crawler"])}
    async with aiohttp.request(method, URL + path, headers=headers) as answer:
        return web.json_response(await answer.json(content_type=None), status=answer.status)


app = web.Application()
app.add_routes([*routes, web.get("/", lambda _: web.FileResponse(PAGE / "index.html")), web.static("/", PAGE)])
web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "3000")))
