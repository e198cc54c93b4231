"""Text into pictures: names in every script, with the bundled fonts. Pillow shapes and draws (raqm, HarfBuzz, FreeType).

Pillow draws a text with one font; here it is cut into runs that one font has, ordered by the bidirectional algorithm
(UAX #9, without its explicit controls, which are taken out), and every run is shaped as a whole: letters join.
"""

from __future__ import annotations

import json
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MAX_CHARACTERS = 500
CACHED_TEXTS = 256  # rendered ones kept: more than are seen at once, in two sizes
LINE = 1.44  # height of a line by the font's size: room for what Burmese hangs below and Thai stacks above
BASELINE = 1.07
ELLIPSIS = "…"
UNKNOWN = "\ufffd"  # for what no font has: one mark, whatever it was

EMOJI = "NotoColorEmoji.ttf"
EMOJI_SIZE = 54  # the only one its bitmaps have
EMOJI_SCALE = 0.98
ZWNJ, ZWJ, TEXT_STYLE, EMOJI_STYLE = "\u200c", "\u200d", "\ufe0e", "\ufe0f"
_KEPT = ExitStack()  # fonts that had to be unpacked, until the process ends
_REGIONAL = range(0x1F1E6, 0x1F200)
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_TAGS = range(0xE0020, 0xE0080)


@dataclass(frozen=True, slots=True)
class Run:
    """A part that one font has, in one direction."""

    text: str
    font: str
    level: int


def clean(text: str, limit: int = MAX_CHARACTERS) -> str:
    """Composed, without controls and directional marks, spaces as one; at most so many characters."""
    kept = []
    for character in unicodedata.normalize("NFC", text[: 4 * limit]):
        category = unicodedata.category(character)
        if character.isspace():
            kept.append(" ")
        elif category not in ("Cc", "Cs", "Cf", "Co", "Cn") or character in (ZWJ, ZWNJ) or ord(character) in _TAGS:
            kept.append(character)
    return " ".join("".join(kept).split())[:limit]


@lru_cache(CACHED_TEXTS)
def render(text: str, size: int, color: tuple[int, int, int] = (255, 255, 255), max_width: int = 4096) -> np.ndarray:
    """RGBA (height, width, 4), as wide as the text and not wider than `max_width`: what does not fit ends with an ellipsis.

    Read-only and cached. An empty text has a width of 0.
    """
    runs = layout_runs(fit(text, size, max_width))
    widths = [_length(run, size) for run in runs]
    width, height = min(int(np.ceil(sum(widths))) + 1 if runs else 0, max_width), round(size * LINE)
    image = Image.new("RGBA", (width, height), (*color, 0))
    draw, x = ImageDraw.Draw(image), 0.0
    for run, advance in zip(runs, widths, strict=True):
        if run.font == EMOJI:
            _draw_emoji(image, run, x, size)
        else:
            draw.text(
                (x, round(size * BASELINE)), run.text, (*color, 255), _face(run.font, size), "ls", direction=_way(run)
            )
        x += advance
    array = np.asarray(image)
    array.setflags(write=False)
    return array


def width_of(text: str, size: int) -> int:
    """Pixels from the first letter to the last."""
    return int(np.ceil(sum(_length(run, size) for run in layout_runs(text))))


def fit(text: str, size: int, max_width: int) -> str:
    """The text, or as much of its beginning as fits together with an ellipsis."""
    text = clean(text)
    if width_of(text, size) <= max_width:
        return text
    pieces = clusters(text)
    low, high = 0, len(pieces)
    while low < high:
        middle = (low + high + 1) // 2
        if width_of("".join(pieces[:middle]).rstrip() + ELLIPSIS, size) <= max_width:
            low = middle
        else:
            high = middle - 1
    return "".join(pieces[:low]).rstrip() + ELLIPSIS if low or width_of(ELLIPSIS, size) <= max_width else ""


def clusters(text: str) -> list[str]:
    """What a reader takes for one character: a letter with its marks, an emoji of several (UAX #29, what names need)."""
    found: list[str] = []
    for character in text:
        code = ord(character)
        joins = found and (
            unicodedata.category(character) in ("Mn", "Mc", "Me")
            or character in (ZWJ, ZWNJ, TEXT_STYLE, EMOJI_STYLE)
            or code in _SKIN_TONES
            or code in _TAGS
            or (found[-1].endswith(ZWJ) and _has(EMOJI, code))
            or (code in _REGIONAL and len(found[-1]) == 1 and ord(found[-1]) in _REGIONAL)
        )
        if joins:
            found[-1] += character
        else:
            found.append(character)
    return found


def layout_runs(text: str) -> list[Run]:
    """Runs in the order in which they stand, from left to right."""
    pieces = clusters(text)
    fonts = list(_fonts(pieces))
    runs: list[Run] = []
    for piece, font, level in zip(pieces, fonts, bidi_levels([piece[0] for piece in pieces]), strict=True):
        piece = piece if font else UNKNOWN
        font = font or _font_of(ord(UNKNOWN)) or _names()[0]
        if runs and runs[-1].font == font and runs[-1].level == level:
            runs[-1] = Run(runs[-1].text + piece, font, level)
        else:
            runs.append(Run(piece, font, level))
    return _visual_order(runs)


def bidi_levels(characters: Sequence[str]) -> list[int]:
    """Embedding levels (UAX #9: P2-P3, W1-W7, N1-N2, I1-I2): odd ones go from right to left."""
    kinds = [unicodedata.bidirectional(character) or "L" for character in characters]
    base = next((int(kind != "L") for kind in kinds if kind in ("L", "R", "AL")), 0)
    _resolve_weak(kinds, "R" if base else "L")
    _resolve_brackets(characters, kinds, "R" if base else "L")
    _resolve_neutral(kinds, "R" if base else "L")
    if base:
        return [1 if kind == "R" else 2 for kind in kinds]
    return [{"L": 0, "R": 1}.get(kind, 2) for kind in kinds]


def _resolve_weak(kinds: list[str], start: str) -> None:
    """W1-W7, in place: numbers and what belongs to them."""
    strong = before = start
    for index, kind in enumerate(kinds):
        if kind == "NSM":
            kinds[index] = kind = before
        if kind == "EN" and strong == "AL":
            kinds[index] = kind = "AN"
        if kind in ("L", "R", "AL"):
            strong = kind
        before = kind
    for index in range(1, len(kinds) - 1):
        around = kinds[index - 1], kinds[index + 1]
        if (kinds[index] in ("ES", "CS") and around == ("EN", "EN")) or (
            kinds[index] == "CS" and around == ("AN", "AN")
        ):
            kinds[index] = around[0]
    for order in (range(1, len(kinds)), range(len(kinds) - 2, -1, -1)):
        step = order.step
        for index in order:
            if kinds[index] == "ET" and kinds[index - step] == "EN":
                kinds[index] = "EN"
    strong = start
    for index, kind in enumerate(kinds):
        if kind in ("R", "AL"):
            kinds[index] = strong = "R"
        elif kind == "L":
            strong = "L"
        elif kind == "EN" and strong == "L":
            kinds[index] = "L"


def _resolve_brackets(characters: Sequence[str], kinds: list[str], base: str) -> None:
    """N0, in place: both brackets of a pair go one way, that of what they hold or of the text around."""
    waiting: list[tuple[str, int]] = []
    pairs: list[tuple[int, int]] = []
    for index, character in enumerate(characters):
        if character in _BRACKETS:
            waiting.append((_BRACKETS[character], index))
        elif any(closing == character for closing, _ in waiting):
            while (opening := waiting.pop())[0] != character:
                pass
            pairs.append((opening[1], index))
    for start, end in sorted(pairs):
        inside = {_strong(kind) for kind in kinds[start + 1 : end]} - {None}
        if not inside:
            continue
        before = next((way for kind in reversed(kinds[:start]) if (way := _strong(kind))), base)
        kinds[start] = kinds[end] = base if base in inside else before


def _strong(kind: str) -> str | None:
    return "L" if kind == "L" else "R" if kind in ("R", "EN", "AN") else None


def _resolve_neutral(kinds: list[str], base: str) -> None:
    """N1-N2, in place: spaces and marks go with what is on both sides, else with the text."""
    index = 0
    while index < len(kinds):
        if kinds[index] in ("L", "R", "EN", "AN"):
            index += 1
            continue
        end = index
        while end < len(kinds) and kinds[end] not in ("L", "R", "EN", "AN"):
            end += 1
        left = base if index == 0 else ("L" if kinds[index - 1] == "L" else "R")
        right = base if end == len(kinds) else ("L" if kinds[end] == "L" else "R")
        kinds[index:end] = [left if left == right else base] * (end - index)
        index = end


def _visual_order(runs: list[Run]) -> list[Run]:
    """L2: what has a level of so much or more is turned round, from the highest to the lowest odd one."""
    runs = list(runs)
    for level in range(max((run.level for run in runs), default=0), 0, -1):
        index = 0
        while index < len(runs):
            end = index
            while end < len(runs) and runs[end].level >= level:
                end += 1
            runs[index:end] = runs[index:end][::-1]
            index = max(end, index + 1)
    return runs


def _fonts(pieces: list[str]) -> Iterator[str | None]:
    """The font of each cluster; spaces and common marks stay with the letters before them. None: nobody has it."""
    current: str | None = None
    for piece in pieces:
        code = ord(piece[0])
        if piece != piece[0] and (EMOJI_STYLE in piece or ZWJ in piece) and _has(EMOJI, code) and code > 0x2000:
            font: str | None = EMOJI
        elif current and current != EMOJI and unicodedata.category(piece[0])[0] in "ZPN" and _has(current, code):
            font = current
        else:
            font = _font_of(code)
        yield font
        current = font or current


@cache
def _index() -> dict[str, tuple[list[int], list[int]]]:
    """First and last characters of each font's ranges."""
    entries = json.loads((files("sfu.compose") / "fonts" / "index.json").read_text())
    return {entry["file"]: tuple(map(list, zip(*entry["ranges"], strict=True))) for entry in entries}  # type: ignore[misc]


def _names() -> list[str]:
    return list(_index())


def _has(font: str, code: int) -> bool:
    firsts, lasts = _index()[font]
    place = bisect_right(firsts, code) - 1
    return place >= 0 and code <= lasts[place]


@lru_cache(4096)
def _font_of(code: int) -> str | None:
    return next((font for font in _index() if _has(font, code)), None)


@cache
def _path(font: str) -> Path:
    return _KEPT.enter_context(as_file(files("sfu.compose") / "fonts" / font))


@lru_cache(128)
def _face(font: str, size: int) -> ImageFont.FreeTypeFont:
    # By its path: FreeType maps the file then, and sizes of a font of 4 MB share it.
    return ImageFont.truetype(str(_path(font)), size, layout_engine=ImageFont.Layout.RAQM)


def _way(run: Run) -> str:
    return "rtl" if run.level % 2 else "ltr"


def _length(run: Run, size: int) -> float:
    if run.font == EMOJI:
        return _face(EMOJI, EMOJI_SIZE).getlength(run.text, direction=_way(run)) * size * EMOJI_SCALE / EMOJI_SIZE
    return _face(run.font, size).getlength(run.text, direction=_way(run))


def _draw_emoji(image: Image.Image, run: Run, x: float, size: int) -> None:
    """Bitmaps of one size, scaled to the text's."""
    face = _face(EMOJI, EMOJI_SIZE)
    wide, high = int(np.ceil(face.getlength(run.text, direction=_way(run)))) + 2, EMOJI_SIZE * 3 // 2
    drawn = Image.new("RGBA", (wide, high), (0, 0, 0, 0))
    ImageDraw.Draw(drawn).text(
        (0, round(EMOJI_SIZE * 1.1)), run.text, font=face, anchor="ls", direction=_way(run), embedded_color=True
    )
    scale = size * EMOJI_SCALE / EMOJI_SIZE
    drawn = drawn.resize((max(round(wide * scale), 1), max(round(high * scale), 1)), Image.Resampling.LANCZOS)
    image.alpha_composite(drawn, (round(x), max(round(size * BASELINE - EMOJI_SIZE * 1.1 * scale), 0)))
