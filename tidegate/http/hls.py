"""/v2/hls: nothing makes HLS of rooms yet, so the list is empty."""

from __future__ import annotations

from typing import Any

from tidegate.http import answers, media, models, render
from tidegate.http.endpoint import Call, Endpoint
from tidegate.store import Page


async def list_nothing(call: Call) -> dict[str, Any]:
    """A room or session that is asked for must exist and be the caller's, as it must when there is something to list."""
    await media.list_filter(call)
    return render.page(Page([], call.query.page, call.query.per_page, 0), lambda row: row)


ENDPOINTS = (
    Endpoint("GET", "/v2/hls", list_nothing, "HLS of rooms", "HLS", query=models.ListHls,
             answer=answers.Page[dict[str, Any]]),
)  # fmt: skip
