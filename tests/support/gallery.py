"""Pictures of every layout, made by the real stage: for docs/layouts.md, and to look at after a change.

python -m tests.support.gallery docs/images          # layouts.png, and with --all one file for each picture
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sfu.compose.layout import canvas_size
from sfu.compose.messages import Scene
from sfu.compose.stage import Stage
from tests.support.pictures import portrait, slide, to_rgb

NAMES = (
    "Ana Žižek", "محمد عبد الله", "मोहन लाल", "王小明", "Zoë 👩🏽‍💻", "김민준", "さくら", "שירה לוי", "สมชาย เข็มกลัด",
    "Γιώργος", "Олена Шевченко", "An unusually long name that no badge has room for", "João 🇧🇷", "Ọlá", "Aylin", "Þór",
)  # fmt: skip
CUSTOM = {
    "background": {"color": "#1b2a4a"},
    "boxes": [
        {"x": 0.03, "y": 0.05, "width": 0.62, "height": 0.7, "show": {"speaker": 0}, "cornerRadius": 0.03},
        {"x": 0.68, "y": 0.05, "width": 0.29, "height": 0.335, "show": {"person": 0}, "cornerRadius": 0.05},
        {"x": 0.68, "y": 0.415, "width": 0.29, "height": 0.335, "show": {"person": 1}, "cornerRadius": 0.05},
        {
            "x": 0.5, "y": 0.5, "width": 0.14, "height": 0.2489, "z": 1, "cornerRadius": 0.5, "show": {"person": 2},
            "border": {"color": "#ffd166", "width": 0.006}, "showName": False,
        },
        {
            "x": 0.03, "y": 0.8, "width": 0.94, "height": 0.15, "cornerRadius": 0.15,
            "text": {"text": "Quarterly review", "size": 0.08, "background": "#e63946"},
        },
    ],
}  # fmt: skip


def stage(
    people: int,
    *,
    layout: dict[str, Any] | None = None,
    quality: str = "med",
    orientation: str = "landscape",
    shares: tuple[int, ...] = (),
    cameras_off: tuple[int, ...] = (),
    **scene: Any,
) -> Stage:
    """So many people; every third is muted, the second speaks."""
    made = Stage(*canvas_size(quality, orientation), 30, Scene(layout or {"type": "GRID"}, **scene))
    for number in range(people):
        who = f"person-{number}"
        made.person_joined(who, NAMES[number % len(NAMES)], 0)
        made.source_added(f"mic-{number}", who, "mic", 0, muted=number % 3 == 2)
        if number not in cameras_off:
            made.source_added(f"camera-{number}", who, "webcam", 0)
            made.set_frame(f"camera-{number}", portrait(number))
        if number in shares:
            made.source_added(f"screen-{number}", who, "screen", 0)
            made.set_frame(f"screen-{number}", slide())
    made.render(0.0)  # the order of joining comes first: a speaker does not move those who are seen
    made.set_speakers("person-1", ("person-1",), 1)
    return made


def gallery() -> dict[str, Stage]:
    return {
        **{f"grid {count}": stage(count, cameras_off=(3, 7)) for count in (1, 2, 3, 5, 9, 25)},
        "spotlight": stage(5, layout={"type": "SPOTLIGHT"}),
        "sidebar": stage(6, layout={"type": "SIDEBAR"}, cameras_off=(3,)),
        "share": stage(4, shares=(0,)),
        "share with 12": stage(12, shares=(0,)),
        "light": stage(4, theme="LIGHT", cameras_off=(1, 3), shares=()),
        "watermark": stage(2, watermark_text="Tidegate", background_color="#20304a"),
        "boxes": stage(6, layout=CUSTOM),
        "portrait 3": stage(3, orientation="portrait", cameras_off=(2,)),
        "portrait share": stage(5, orientation="portrait", shares=(1,)),
        "high": stage(9, quality="high"),
        "low": stage(16, quality="low", cameras_off=(3, 4, 5)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    pictures = {name: Image.fromarray(_after(made)) for name, made in gallery().items()}
    if options.all:
        for name, picture in pictures.items():
            picture.save(options.folder / f"{name.replace(' ', '-')}.png")
    names = ("grid 9", "sidebar", "share", "spotlight", "boxes", "light")
    width, height, gap = 480, 270, 10
    sheet = Image.new("RGB", (3 * width + 4 * gap, 2 * height + 3 * gap), (255, 255, 255))
    for index, name in enumerate(names):
        place = gap + index % 3 * (width + gap), gap + index // 3 * (height + gap)
        sheet.paste(pictures[name].resize((width, height), Image.Resampling.LANCZOS), place)
    sheet.save(options.folder / "layouts.png", optimize=True)


def _after(made: Stage) -> np.ndarray:
    """When everybody has come to rest."""
    made.render(9.0)
    return to_rgb(made.render(10.0))


if __name__ == "__main__":
    main()
