"""What a layout is: the named ones and boxes as data, read from JSON with errors by path. Standard library only.

The node imports this module to refuse a wrong layout before a pipeline starts; who stands where is `arrange.py`'s.
docs/layouts.md has every field.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

from media.errors import ParseError

Priority = Literal["SPEAKER", "PIN"]
Fit = Literal["cover", "contain"]
Align = Literal["left", "center", "right"]

MAX_TILES = 25  # of the API: gridSize goes to 25
MAX_BOXES = 64  # bounds what one layout may cost
MAX_TEXT = 500  # characters of a text box
MAX_Z = 100
MAX_ID = 128  # characters of a participant's id, as signalling allows
MAX_NAME = 100  # characters of an image's file name
MIN_SIDE = 0.01  # a narrower box shows nothing

SIZES = {"low": (854, 480), "med": (1280, 720), "high": (1920, 1080)}

_COLOR = re.compile(r"#[0-9a-fA-F]{6}\Z")
_IMAGE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*\Z")


@dataclass(frozen=True, slots=True)
class ShowSpeaker:
    """Who speaks (0), spoke before (1), ...; then those who never spoke, in the order of joining."""

    index: int


@dataclass(frozen=True, slots=True)
class ShowPinned:
    """The n-th pinned camera."""

    index: int


@dataclass(frozen=True, slots=True)
class ShowShare:
    """The n-th screen share: pinned ones first, then the latest."""

    index: int


@dataclass(frozen=True, slots=True)
class ShowPerson:
    """The n-th of those whom no other box shows. Somebody keeps a place while there is one."""

    index: int


@dataclass(frozen=True, slots=True)
class ShowParticipant:
    """The camera or the screen of somebody chosen."""

    participant_id: str
    source: Literal["camera", "screen"] = "camera"


@dataclass(frozen=True, slots=True)
class ShowText:
    """`size` is the height of a line by the canvas's shorter side. `background` None: none."""

    text: str
    size: float = 0.05
    color: str = "#ffffff"
    background: str | None = None
    align: Align = "center"


@dataclass(frozen=True, slots=True)
class ShowImage:
    """A file of the pipeline's directory, by its name."""

    name: str


Show = ShowSpeaker | ShowPinned | ShowShare | ShowPerson | ShowParticipant | ShowText | ShowImage


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the canvas, relative: 0 to 1 from the left and from the top."""

    x: float
    y: float
    width: float
    height: float
    show: Show
    z: int = 0
    """Higher ones cover lower ones; of equal ones the later covers the earlier."""
    fit: Fit | None = None
    """None: `contain` for screen shares and images, `cover` for people."""
    corner_radius: float = 0.0
    """By the box's shorter side; 0.5 makes a circle of a square."""
    border_color: str = "#ffffff"
    border_width: float = 0.0
    """By the canvas's shorter side."""
    show_name: bool = True
    highlight: bool = True
    """Frame it while its person speaks."""
    keep_empty: bool = False
    """Draw an empty tile where there is nobody to show; else nothing."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`boxes` stand for `CUSTOM` only. Its background goes before the scene's."""

    type: Literal["GRID", "SPOTLIGHT", "SIDEBAR", "CUSTOM"] = "GRID"
    priority: Priority = "SPEAKER"
    grid_size: int = MAX_TILES
    boxes: tuple[Box, ...] = ()
    background_color: str | None = None
    background_image: str | None = None

    @property
    def image_names(self) -> frozenset[str]:
        """Files that the pipeline's directory must hold."""
        names = {box.show.name for box in self.boxes if isinstance(box.show, ShowImage)}
        return frozenset(names | ({self.background_image} if self.background_image else set()))


def canvas_size(quality: str, orientation: str) -> tuple[int, int]:
    """Width and height of `low`, `med`, `high`; `portrait` stands upright. ParseError for others."""
    if quality not in SIZES:
        raise ParseError(f"quality: must be one of {', '.join(SIZES)}")
    if orientation not in ("landscape", "portrait"):
        raise ParseError("orientation: must be landscape or portrait")
    width, height = SIZES[quality]
    return (width, height) if orientation == "landscape" else (height, width)


def is_color(value: Any) -> bool:
    """`#rrggbb`."""
    return isinstance(value, str) and bool(_COLOR.match(value))


def parse_layout(wire: dict[str, Any]) -> Layout:
    """A layout of its JSON: `{type, priority, gridSize}` or `{boxes, background, priority}`.

    ParseError that begins with the path of what is wrong: `boxes[2].x: must be a number from 0 to 1`.
    """
    if not isinstance(wire, dict):
        raise ParseError("layout: must be an object")
    return _parse_boxes(wire) if "boxes" in wire else _parse_named(wire)


def _parse_named(wire: dict[str, Any]) -> Layout:
    _known(wire, "", "type", "priority", "gridSize")
    kind = _choice(wire, "", "type", ("GRID", "SPOTLIGHT", "SIDEBAR"), "GRID", upper=True)
    size = _integer(wire, "", "gridSize", 0, MAX_TILES, 0)
    return Layout(type=kind, priority=_priority(wire), grid_size=size or MAX_TILES)


def _parse_boxes(wire: dict[str, Any]) -> Layout:
    _known(wire, "", "type", "priority", "boxes", "background")
    _choice(wire, "", "type", ("CUSTOM",), "CUSTOM", upper=True)
    boxes = wire["boxes"]
    if not isinstance(boxes, list) or not 1 <= len(boxes) <= MAX_BOXES:
        raise ParseError(f"boxes: must be a list of 1 to {MAX_BOXES} boxes")
    background = _object(wire, "", "background", "color", "image")
    return Layout(
        type="CUSTOM",
        priority=_priority(wire),
        boxes=tuple(_parse_box(box, f"boxes[{index}]") for index, box in enumerate(boxes)),
        background_color=_color(background, "background.", "color", None),
        background_image=_image(background, "background.", "image"),
    )


def _parse_box(wire: Any, path: str) -> Box:
    if not isinstance(wire, dict):
        raise ParseError(f"{path}: must be an object")
    path += "."
    _known(
        wire, path, "x", "y", "width", "height", "z", "fit", "show", "text", "image", "cornerRadius", "border",
        "showName", "highlight", "keepEmpty",
    )  # fmt: skip
    x, y = _number(wire, path, "x", 0, 1), _number(wire, path, "y", 0, 1)
    width, height = _number(wire, path, "width", MIN_SIDE, 1), _number(wire, path, "height", MIN_SIDE, 1)
    # A millionth over the edge is three boxes of a third each.
    if x + width > 1.000001:
        raise ParseError(f"{path}width: x and width must not add up to more than 1")
    if y + height > 1.000001:
        raise ParseError(f"{path}height: y and height must not add up to more than 1")
    border = _object(wire, path, "border", "color", "width")
    return Box(
        x,
        y,
        width,
        height,
        _parse_content(wire, path),
        z=_integer(wire, path, "z", -MAX_Z, MAX_Z, 0),
        fit=_choice(wire, path, "fit", ("cover", "contain"), None),
        corner_radius=_number(wire, path, "cornerRadius", 0, 0.5, 0.0),
        border_color=_color(border, f"{path}border.", "color", "#ffffff"),
        border_width=_number(border, f"{path}border.", "width", 0, 0.1, 0.005 if "border" in wire else 0.0),
        show_name=_flag(wire, path, "showName", True),
        highlight=_flag(wire, path, "highlight", True),
        keep_empty=_flag(wire, path, "keepEmpty", False),
    )


def _parse_content(wire: dict[str, Any], path: str) -> Show:
    given = [name for name in ("show", "text", "image") if name in wire]
    if len(given) != 1:
        raise ParseError(f"{path[:-1]}: must have exactly one of show, text, image")
    if given == ["text"]:
        return _parse_text(_object(wire, path, "text", "text", "size", "color", "background", "align"), f"{path}text.")
    if given == ["image"]:
        name = _image(_object(wire, path, "image", "name"), f"{path}image.", "name")
        if name is None:
            raise ParseError(f"{path}image.name: is missing")
        return ShowImage(name)
    return _parse_show(_object(wire, path, "show", *_INDEXED, "participantId", "source"), f"{path}show.")


_INDEXED = {"speaker": ShowSpeaker, "pinned": ShowPinned, "share": ShowShare, "person": ShowPerson}


def _parse_show(show: dict[str, Any], path: str) -> Show:
    named = [name for name in (*_INDEXED, "participantId") if name in show]
    if len(named) != 1:
        raise ParseError(f"{path[:-1]}: must have exactly one of {', '.join(_INDEXED)}, participantId")
    name = named[0]
    if name != "participantId":
        if "source" in show:
            raise ParseError(f"{path}source: goes with participantId only")
        return _INDEXED[name](_integer(show, path, name, 0, MAX_BOXES - 1, 0))
    source = _choice(show, path, "source", ("camera", "screen"), "camera")
    return ShowParticipant(_text(show, path, name, MAX_ID), source)


def _parse_text(wire: dict[str, Any], path: str) -> ShowText:
    return ShowText(
        _text(wire, path, "text", MAX_TEXT),
        size=_number(wire, path, "size", 0.01, 0.5, 0.05),
        color=_color(wire, path, "color", "#ffffff"),
        background=_color(wire, path, "background", None),
        align=_choice(wire, path, "align", ("left", "center", "right"), "center"),
    )


def _priority(wire: dict[str, Any]) -> Priority:
    return _choice(wire, "", "priority", ("SPEAKER", "PIN"), "SPEAKER", upper=True)


def _known(wire: dict[str, Any], path: str, *names: str) -> None:
    for name in wire:
        if name not in names:
            raise ParseError(f"{path}{str(name)[:40]}: unknown field; known are {', '.join(names)}")


def _object(wire: dict[str, Any], path: str, name: str, *names: str) -> dict[str, Any]:
    value = wire.get(name, {})
    if not isinstance(value, dict):
        raise ParseError(f"{path}{name}: must be an object")
    _known(value, f"{path}{name}.", *names)
    return value


def _number(wire: dict[str, Any], path: str, name: str, low: float, high: float, default: float | None = None) -> float:
    value = wire.get(name, default)
    # The comparison is false for NaN too, which Python's JSON reader lets through.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ParseError(f"{path}{name}: must be a number from {low:g} to {high:g}")
    return float(value)


def _integer(wire: dict[str, Any], path: str, name: str, low: int, high: int, default: int) -> int:
    value = wire.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ParseError(f"{path}{name}: must be a whole number from {low} to {high}")
    return value


def _flag(wire: dict[str, Any], path: str, name: str, default: bool) -> bool:
    value = wire.get(name, default)
    if not isinstance(value, bool):
        raise ParseError(f"{path}{name}: must be true or false")
    return value


def _choice(
    wire: dict[str, Any], path: str, name: str, choices: tuple[str, ...], default: str | None, *, upper: bool = False
) -> Any:
    """`upper`: in any case, as the API's clients write both `grid` and `GRID`."""
    value = wire.get(name, default)
    if value is default:
        return default
    if upper and isinstance(value, str):
        value = value.upper()
    if value not in choices:
        raise ParseError(f"{path}{name}: must be one of {', '.join(choices)}")
    return value


def _text(wire: dict[str, Any], path: str, name: str, limit: int) -> str:
    value = wire.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= limit:
        raise ParseError(f"{path}{name}: must be a text of 1 to {limit} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") and character != "\n" for character in value):
        raise ParseError(f"{path}{name}: must not have control characters other than line ends")
    return value


def _color(wire: dict[str, Any], path: str, name: str, default: str | None) -> Any:
    value = wire.get(name, default)
    if value is not None and not is_color(value):
        raise ParseError(f"{path}{name}: must be a colour like #1a2b3c")
    return value


def _image(wire: dict[str, Any], path: str, name: str) -> str | None:
    """A plain name: no way out of the directory."""
    value = wire.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_NAME or not _IMAGE.match(value) or ".." in value:
        raise ParseError(f"{path}{name}: must be the plain name of an image that was given along")
    return value
