"""The preview of a layout is where the server puts people: the page's geometry beside the composer's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sfu.compose.arrange import Camera, Cast, Share, arrange
from sfu.compose.layout import parse_layout

ROOT = Path(__file__).parents[2]
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is missing: bin/test full installs it")

SCRIPT = """
import { arrange } from %s;
const cases = JSON.parse(await new Response(process.stdin).text());
console.log(JSON.stringify(cases.map(({ layout, cast, size }) => arrange(layout, cast, ...size))));
"""
BOXES = {
    "boxes": [
        {"x": 0, "y": 0, "width": 1, "height": 0.5, "z": 2, "show": {"speaker": 0}},
        {"x": 0, "y": 0.5, "width": 0.25, "height": 0.5, "show": {"person": 0}},
        {"x": 0.25, "y": 0.5, "width": 0.25, "height": 0.5, "z": 1, "show": {"pinned": 0}},
        {"x": 0.5, "y": 0.5, "width": 0.25, "height": 0.5, "show": {"participantId": "p1"}},
        {"x": 0.75, "y": 0.5, "width": 0.25, "height": 0.5, "show": {"share": 0}},
        {"x": 0.5, "y": 0.25, "width": 0.25, "height": 0.25, "show": {"person": 1}},
    ]
}


def cases() -> list[dict]:
    found = []
    for count in (1, 2, 3, 4, 5, 7, 9, 12, 16, 25):
        people = [f"p{index}" for index in range(count)]
        cast = {"people": people, "cameras": people, "shares": [], "speakers": [people[-1]], "pinned": [people[count // 2]]}
        layouts = [{"type": kind, "priority": priority} for kind in ("GRID", "SPOTLIGHT", "SIDEBAR") for priority in ("SPEAKER", "PIN")]
        for layout in (*layouts, {"type": "GRID", "gridSize": 4}, BOXES):
            for shares in ([], people[:1], people[:2]):
                for size in ((1280, 720), (720, 1280), (854, 480)):
                    found.append({"layout": layout, "cast": cast | {"shares": shares}, "size": size})
    return found


def on_the_server(case: dict) -> dict[tuple[str, str], tuple[int, int, int, int]]:
    cast = case["cast"]
    seats = Cast(
        people=tuple(cast["people"]),
        cameras=frozenset(cast["cameras"]),
        shares=tuple(cast["shares"]),
        speakers=tuple(cast["speakers"]),
        pinned_cameras=tuple(cast["pinned"]),
    )
    cells = arrange(parse_layout(case["layout"]), seats, *case["size"])
    return {
        ("share" if isinstance(cell.show, Share) else "camera", cell.show.participant_id): (
            cell.rect.x, cell.rect.y, cell.rect.width, cell.rect.height,
        )
        for cell in cells
        if isinstance(cell.show, Camera | Share)
    }  # fmt: skip


def test_previews_show_what_the_server_composes():
    module = json.dumps((ROOT / "web" / "js" / "arrange.js").as_uri())
    made = cases()
    run = subprocess.run(
        [NODE, "--input-type=module", "--eval", SCRIPT.replace("%s", module)],
        input=json.dumps(made), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    for case, cells in zip(made, json.loads(run.stdout), strict=True):
        shown = {(cell["kind"], cell["id"]): (cell["x"], cell["y"], cell["width"], cell["height"]) for cell in cells}
        expected = on_the_server(case)
        assert shown.keys() == expected.keys(), case
        for who, rect in expected.items():
            assert all(abs(ours - theirs) <= 2 for ours, theirs in zip(shown[who], rect, strict=True)), (who, shown[who], rect, case)
