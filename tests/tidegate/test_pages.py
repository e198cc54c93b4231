"""Pages, modules and the SDK: their headers, and nothing but them."""

from __future__ import annotations

import pytest

from tests.support.node import running_node
from tidegate.pages import Pages, web_root

SELF = "'self'"


@pytest.fixture
async def site(tmp_path):
    async with running_node(tmp_path) as site:
        yield site


async def get(site, path, **headers):
    async with site.request("GET", path, token=None, headers=headers) as response:
        return response, await response.read()


@pytest.mark.parametrize("path", ["/", "/meeting/aaaa-bbbb-cccc", "/web/js/meeting.js", "/web/css/base.css"])
async def test_pages_are_guarded(site, path):
    response, body = await get(site, path)
    assert response.status == 200 and body
    policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["script-src"] == policy["style-src"] == SELF  # nothing inline, no eval
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_the_sdk_is_for_pages_of_any_origin(site):
    response, body = await get(site, "/sdk/tidegate.js", Origin="https://app.example")
    assert response.status == 200 and b"VideoSDK" in body
    assert response.content_type == "text/javascript"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Access-Control-Allow-Credentials" not in response.headers


async def test_a_file_that_has_not_changed_is_not_sent_again(site):
    response, _ = await get(site, "/sdk/tidegate.js")
    etag = response.headers["ETag"]
    assert response.headers["Cache-Control"] == "no-cache"
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response, body = await get(site, "/sdk/tidegate.js", **{"If-None-Match": known})
        assert (response.status, body, response.headers["ETag"]) == (304, b"", etag)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    for other in ('"other"', etag.strip('"'), ""):
        assert (await get(site, "/sdk/tidegate.js", **{"If-None-Match": other}))[0].status == 200


@pytest.mark.parametrize(
    "path",
    ["/web/..%2fpyproject.toml", "/web/%2e%2e/pyproject.toml", "/sdk/..%2findex.html", "/web//etc/passwd", "/web/js", "/sdk/", "/web/.%00", "/meeting/", "/meeting/a/b", "/nothing"],
)
async def test_nothing_else_is_there(site, path):
    async with site.client.session.get(site.url + path) as response:
        problem = await response.json(content_type="application/problem+json")
    assert (response.status, problem["code"]) == (404, 404)


async def test_who_may_not_write(site):
    for path in ("/", "/web/js/meeting.js", "/sdk/tidegate.js"):
        async with site.request("POST", path, token=None) as response:
            assert response.status == 405 and response.headers["Allow"] == "GET,HEAD"


def test_files_are_read_once_and_hidden_ones_never(tmp_path):
    (tmp_path / "sdk").mkdir()
    (tmp_path / "sdk" / "a.mjs").write_text("export {}")
    (tmp_path / ".secret").write_text("no")
    files = Pages(tmp_path)._files
    assert list(files) == ["sdk/a.mjs"] and files["sdk/a.mjs"][:2] == (b"export {}", "text/javascript")


def test_every_file_of_the_clone_has_a_type_that_browsers_take():
    kinds = {name: kind for name, (_, kind, _) in Pages(web_root())._files.items()}
    assert kinds["index.html"] == "text/html" and kinds["icon.svg"] == "image/svg+xml"
    assert "application/octet-stream" not in kinds.values(), kinds
