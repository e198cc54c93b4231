"""Strategies for signalling messages: arbitrary JSON, and requests that are nearly right."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from sfu.io.signalling_messages import METHODS

TEXT = st.text(max_size=20) | st.sampled_from(["mic", "webcam", "audio", "video", "room", "full", "ann", "offer", "\0", "low"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.characters(categories=["Cs"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
NAMES = sorted({field.alias or name for model in METHODS.values() for name, field in model.model_fields.items()})
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "token": st.sampled_from(["full", "guest", "no"]),
    "roomId": st.sampled_from(["room", "custom", "other"]),
    "participantId": st.sampled_from(["ann", "ben", "fuzz"]),
    "trackId": st.sampled_from(["TR_1", "TR_2"]),
    "source": st.sampled_from(["mic", "webcam", "screen", "screenAudio"]),
    "kind": st.sampled_from(["audio", "video"]),
    "sdp": st.sampled_from(["offer", "bad", "v=0\r\n"]),
    "tracks": st.just([]) | st.just([{"mid": "0", "trackId": "TR_1"}]),
    "serial": st.integers(0, 3),
    "enabled": st.booleans(),
    "muted": st.booleans(),
    "connection": st.sampled_from(["publish", "subscribe"]),
    "candidate": TEXT,
    "grants": st.dictionaries(st.sampled_from(["publish", "end", "subscribe", "hidden"]), st.booleans(), max_size=3),
    "attributes": st.dictionaries(TEXT, TEXT | st.none(), max_size=3),
    "metaData": JSON,
    "displayName": TEXT,
    "type": st.sampled_from(["CAM", "SHARE", "SHARE_AND_CAM"]),
    "quality": st.sampled_from(["low", "med", "high"]),
}


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly of the right form, so that they reach the commands."""
    method = draw(st.sampled_from(sorted(METHODS)))
    params: dict[str, Any] = {}
    for name, field in METHODS[method].model_fields.items():
        alias = field.alias or name
        if field.is_required() or draw(st.booleans()):
            params[alias] = draw(LIKELY.get(alias, JSON) if draw(st.integers(0, 9)) else JSON)
    if draw(st.integers(0, 9)) == 0:
        params[draw(st.sampled_from(NAMES) | TEXT)] = draw(JSON)
    return {"id": draw(st.integers(0, 2**53 - 1)), "method": method, "params": params}
