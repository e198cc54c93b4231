"""Stages of people with a colour each, and looks at what they show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sfu.compose.arrange import Rect
from sfu.compose.messages import Scene
from sfu.compose.stage import Stage
from tests.support.pictures import plain, to_rgb

COLORS = [(200, 40, 60), (40, 160, 70), (30, 60, 180), (210, 180, 40), (150, 60, 170), (50, 170, 180)]
REST = 1000.0  # everybody has come to rest long before


def stage(
    people: int = 0, *, width: int = 1280, height: int = 720, directory: Path | None = None, **scene: Any
) -> Stage:
    """People with cameras of one colour each, unmuted."""
    made = Stage(width, height, 30, Scene(**scene), directory=directory)
    for number in range(people):
        join(made, number)
    return made


def join(made: Stage, number: int, at: float = 0.0) -> None:
    made.person_joined(f"p{number}", f"Person {number}", at)
    made.source_added(f"c{number}", f"p{number}", "webcam", at)
    made.source_added(f"m{number}", f"p{number}", "mic", at)
    made.set_frame(f"c{number}", plain(COLORS[number % len(COLORS)]))


def look(made: Stage, at: float = REST) -> np.ndarray:
    """At rest: a first picture begins a movement, a later one sees its end."""
    made.render(at)
    return to_rgb(made.render(at + 1))


def rects(made: Stage) -> list[Rect]:
    return [tile.rect for tile in made._tiles.values()]


def middle(rect: Rect) -> tuple[int, int]:
    return rect.y + rect.height // 2, rect.x + rect.width // 2
