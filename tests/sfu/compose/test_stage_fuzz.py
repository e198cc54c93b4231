"""Any order of events: the stage never raises, shows who is there, and paints what a fresh one would paint."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.compose.messages import Scene
from sfu.compose.stage import Stage
from tests.support.pictures import plain, to_rgb
from tests.support.staging import COLORS

BOXES = {
    "boxes": [
        {"x": 0, "y": 0, "width": 1, "height": 1, "show": {"speaker": 0}, "z": -1},
        {"x": 0.6, "y": 0.5, "width": 0.3, "height": 0.4, "show": {"person": 0}, "cornerRadius": 0.5},
        {"x": 0.5, "y": 0.4, "width": 0.3, "height": 0.4, "show": {"share": 0}, "border": {"width": 0.02}},
        {"x": 0.1, "y": 0.1, "width": 0.3, "height": 0.2, "text": {"text": "News"}, "z": 2},
        {"x": 0.1, "y": 0.6, "width": 0.2, "height": 0.2, "show": {"pinned": 0}, "keepEmpty": True},
    ]
}
SCENES = (
    Scene(),
    Scene({"type": "SIDEBAR", "priority": "PIN"}, theme="LIGHT", watermark_text="T"),
    Scene({"type": "SPOTLIGHT"}, show_names=False),
    Scene({"type": "GRID", "gridSize": 2}, background_color="#334455"),
    Scene(BOXES, watermark_text="Tidegate"),
)
SIZES = ((64, 36), (1, 1), (36, 64), (33, 17))
WHO = st.sampled_from(["a", "b", "c", "d"])
SOURCE = st.sampled_from(["webcam", "screen", "mic"])
SOME = st.lists(WHO, max_size=3, unique=True).map(tuple)
EVENTS = st.one_of(
    st.tuples(st.just("join"), WHO),
    st.tuples(st.just("leave"), WHO),
    st.tuples(st.just("add"), WHO, SOURCE),
    st.tuples(st.just("remove"), WHO, SOURCE),
    st.tuples(st.just("mute"), WHO, SOURCE, st.booleans()),
    st.tuples(st.just("speak"), st.none() | WHO, SOME),
    st.tuples(st.just("pin"), SOME, SOME),
    st.tuples(st.just("frame"), WHO, SOURCE, st.sampled_from(SIZES), st.integers(0, 5)),
    st.tuples(st.just("blank"), WHO, SOURCE),
    st.tuples(st.just("scene"), st.sampled_from(SCENES)),
    st.tuples(st.just("render"), st.sampled_from([0.0, 0.04, 0.2, 1.0])),
)


def drive(made: Stage, event: tuple[Any, ...], at: float) -> float:
    name, *rest = event
    track = "-".join(rest[:2]) if name in ("add", "remove", "mute", "frame", "blank") else ""
    if name == "join":
        made.person_joined(rest[0], rest[0] * 3, at)
    elif name == "leave":
        made.person_left(rest[0], at)
    elif name == "add":
        made.source_added(track, rest[0], rest[1], at)
    elif name == "remove":
        made.source_removed(track, at)
    elif name == "mute":
        made.source_muted(track, rest[2], at)
    elif name == "speak":
        made.set_speakers(rest[0], rest[1], at)
    elif name == "pin":
        made.set_pins(rest[0], rest[1], at)
    elif name == "frame":
        made.set_frame(track, plain(COLORS[rest[3]], *rest[2]))
    elif name == "blank":
        made.set_frame(track, None)
    elif name == "scene":
        made.set_scene(rest[0], at)
    else:
        at += rest[0]
        frame = made.render(at)
        assert (frame.width, frame.height) == (160, 90)
    return at


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_any_order_of_events(events: list[tuple[Any, ...]]) -> None:
    made, at, people = Stage(160, 90, 30, Scene()), 0.0, set()
    for event in events:
        at = drive(made, event, at)
        people = people | {event[1]} if event[0] == "join" else people - {event[1]} if event[0] == "leave" else people
    assert set(made.shown()) <= people
    made.render(at)
    worked = to_rgb(made.render(at + 1))
    watermark = [made._watermark] if made._watermark else []
    made._painter.set_tiles([*made._tiles.values(), *watermark])
    assert np.array_equal(worked, to_rgb(made.render(at + 2)))
    assert made._leaving == {}
