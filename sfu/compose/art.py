"""What is drawn and not filmed: placeholders, name badges, text boxes, watermarks, images. Pillow; RGBA arrays out.

Everything here is slow (milliseconds) and called when something changed, never for each frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from sfu.compose import text
from sfu.compose.layout import Fit, ShowText

RGB = tuple[int, int, int]

FORMATS = ("PNG", "JPEG", "WEBP")  # Pillow knows forty, some of which start programs to read them
MAX_IMAGE_PIXELS = 40_000_000  # what a background or a watermark may have; a bigger one would take a worker's memory
SMOOTH = 4  # shapes are drawn so many times larger and made smaller: Pillow's have hard edges
# For the circle behind initials; white reads well on each.
PEOPLE_COLORS: tuple[RGB, ...] = (
    (0x3B, 0x6F, 0xD4), (0x0E, 0x7C, 0x86), (0x2E, 0x7D, 0x4F), (0x8A, 0x5A, 0x00), (0xB5, 0x4A, 0x1E), (0xB8, 0x32, 0x3A),
    (0xA8, 0x2E, 0x74), (0x7E, 0x3F, 0xB2), (0x54, 0x52, 0xC6), (0x4A, 0x5D, 0x73), (0x5F, 0x6B, 0x1E), (0x8C, 0x3B, 0x5E),
)  # fmt: skip
MUTED = (0xFF, 0x7B, 0x7B)
WHITE = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Theme:
    background: RGB
    tile: RGB
    """Behind initials, and beside a picture that does not fill its tile."""
    highlight: RGB


THEMES = {
    "DARK": Theme((0x13, 0x15, 0x19), (0x27, 0x2B, 0x32), (0x4C, 0x9A, 0xFF)),
    "LIGHT": Theme((0xF2, 0xF4, 0xF7), (0xD9, 0xDE, 0xE5), (0x1F, 0x6F, 0xEB)),
}


def rgb(color: str) -> RGB:
    """`#rrggbb`."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def person_color(participant_id: str) -> RGB:
    """The same for the same person, in every picture."""
    return PEOPLE_COLORS[crc32(participant_id.encode()) % len(PEOPLE_COLORS)]


def initials(name: str) -> str:
    """First letters of the first and last words; one where a letter is a word or a word is a picture."""
    words = [word for word in text.clean(name).split(" ") if any(character.isalnum() for character in word)]
    if not words:
        return "".join(text.clusters(text.clean(name))[:1]).upper()
    letters = [next((piece for piece in text.clusters(word) if piece[0].isalnum()), "") for word in words]
    return (letters[0] if len(words) == 1 else letters[0] + text.ZWNJ + letters[-1]).upper()  # Arabic ones would join


def placeholder(participant_id: str, name: str, width: int, height: int, tile: RGB) -> np.ndarray:
    """A tile for who has no camera on: initials in a circle."""
    image = Image.new("RGBA", (width, height), (*tile, 255))
    size = max(round(min(width, height) * 0.44), 2)
    circle = Image.new("RGBA", (size * SMOOTH, size * SMOOTH), (*person_color(participant_id), 0))
    draw = ImageDraw.Draw(circle)
    draw.ellipse((0, 0, size * SMOOTH - 1, size * SMOOTH - 1), (*person_color(participant_id), 255))
    letters = initials(name)
    if not letters:
        _draw_silhouette(draw, size * SMOOTH)
    circle = circle.resize((size, size), Image.Resampling.LANCZOS)
    left, top = (width - size) // 2, (height - size) // 2
    image.alpha_composite(circle, (left, top))
    if letters and size >= 12:
        drawn = Image.fromarray(text.render(letters, max(round(size * 0.42), 6), WHITE, size))
        box = drawn.getbbox()
        if box:  # by its ink, not by its line: letters without tails would stand too high
            drawn = drawn.crop(box)
            image.alpha_composite(drawn, ((width - drawn.width) // 2, max((height - drawn.height) // 2, 0)))
    return np.asarray(image)


def _draw_silhouette(draw: ImageDraw.ImageDraw, size: int) -> None:
    draw.ellipse((size * 0.36, size * 0.22, size * 0.64, size * 0.5), (*WHITE, 230))
    draw.pieslice((size * 0.22, size * 0.54, size * 0.78, size * 1.1), 180, 360, (*WHITE, 230))


def badge(name: str, *, muted: bool, shares: bool, tile_width: int, tile_height: int, unit: float) -> np.ndarray | None:
    """Name and state at the foot of a tile, on a dark ground. `unit`: a pixel at 720. None: nothing to say, or no room."""
    size = round(min(max(tile_height * 0.07, 12 * unit), 20 * unit))
    height, pad = round(size * 1.6) // 2 * 2, round(size * 0.45)
    icon = (_muted_icon if muted else _screen_icon)(round(size * 1.05)) if muted or shares else None
    room = tile_width - 2 * badge_inset(tile_height, unit) - 2 * pad - (icon.width + pad // 2 if icon else 0)
    if height > tile_height * 0.6 or room < 0:
        return None
    written = Image.fromarray(text.render(name, size, WHITE, room)) if name and room >= 2 * size else None
    if written is not None and not written.width:
        written = None
    if written is None and icon is None:
        return None
    width = 2 * pad + (icon.width if icon else 0) + (written.width if written else 0)
    width += pad // 2 if icon and written else 0
    width += width % 2
    image = _pill(width, height, size // 3, (10, 12, 16, 165))
    x = pad
    if icon:
        image.alpha_composite(icon, (x, (height - icon.height) // 2))
        x += icon.width + pad // 2
    if written:
        # The line's middle is that of small letters: they are what most names are made of.
        image.alpha_composite(_cut(written, height, round(size * (text.BASELINE - 0.32) - height / 2)), (x, 0))
    return np.asarray(image)


def badge_inset(tile_height: int, unit: float) -> int:
    """How far the badge stands from the tile's left and lower edges; even."""
    return max(round(min(tile_height * 0.04, 8 * unit)) // 2 * 2, 2)


def _cut(image: Image.Image, height: int, top: int) -> Image.Image:
    """A line of text moved up by `top`, in a picture of that height."""
    return image.transform((image.width, height), Image.Transform.AFFINE, (1, 0, 0, 0, 1, top))


def _pill(width: int, height: int, radius: int, color: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGBA", (width * SMOOTH, height * SMOOTH), (*color[:3], 0))
    box = (0, 0, width * SMOOTH - 1, height * SMOOTH - 1)
    ImageDraw.Draw(image).rounded_rectangle(box, radius * SMOOTH, color)
    return image.resize((width, height), Image.Resampling.BOX)


def _muted_icon(size: int) -> Image.Image:
    """A microphone, crossed out."""
    big = size * SMOOTH
    image = Image.new("RGBA", (big, big), (*MUTED, 0))
    draw, line = ImageDraw.Draw(image), max(big // 11, 1)
    draw.rounded_rectangle((big * 0.36, big * 0.06, big * 0.64, big * 0.58), big * 0.14, (*MUTED, 255))
    draw.arc((big * 0.22, big * 0.2, big * 0.78, big * 0.76), 0, 180, (*MUTED, 255), line)
    draw.line((big * 0.5, big * 0.76, big * 0.5, big * 0.94), (*MUTED, 255), line)
    draw.line((big * 0.17, big * 0.06, big * 0.88, big * 0.9), (0, 0, 0, 0), line * 3)
    draw.line((big * 0.13, big * 0.08, big * 0.86, big * 0.94), (*MUTED, 255), line)
    return image.resize((size, size), Image.Resampling.BOX)


def _screen_icon(size: int) -> Image.Image:
    big = size * SMOOTH
    image = Image.new("RGBA", (big, big), (*WHITE, 0))
    draw, line = ImageDraw.Draw(image), max(big // 11, 1)
    draw.rounded_rectangle((big * 0.06, big * 0.16, big * 0.94, big * 0.72), big * 0.07, None, (*WHITE, 255), line)
    draw.line((big * 0.3, big * 0.86, big * 0.7, big * 0.86), (*WHITE, 255), line)
    return image.resize((size, size), Image.Resampling.BOX)


def text_box(show: ShowText, width: int, height: int, radius: int, short_side: int) -> np.ndarray:
    """Lines in a box of that size, broken between words; the last that has room ends with an ellipsis."""
    size = max(round(show.size * short_side / text.LINE), 6)
    line, pad = round(size * text.LINE), size // 3 if show.background else 0
    room = max(width - 2 * pad, 1)
    lines = _broken(show.text, size, room, max((height - 2 * pad) // line, 1))
    image = _pill(width, height, radius, (*rgb(show.background), 255)) if show.background else None
    image = image or Image.new("RGBA", (width, height), (*rgb(show.color), 0))
    y = (height - len(lines) * line) // 2
    for words in lines:
        written = Image.fromarray(text.render(words, size, rgb(show.color), room))
        x = {"left": pad, "center": (width - written.width) // 2, "right": width - pad - written.width}[show.align]
        if written.width:
            # A line higher than its box is cut at both ends.
            top = max(-y, 0)
            image.alpha_composite(
                written, (x, max(y, 0)), (0, top, written.width, max(min(line, height + top), top + 1))
            )
        y += line
    return np.asarray(image)


def _broken(words: str, size: int, room: int, most: int) -> list[str]:
    lines: list[str] = []
    for paragraph in words.split("\n"):
        current = ""
        for word in text.clean(paragraph).split(" "):
            longer = f"{current} {word}" if current else word
            if current and text.width_of(longer, size) > room:
                lines.append(current)
                longer = word
            current = longer
        lines.append(current)
    if len(lines) > most:
        lines = [*lines[: most - 1], text.fit(" ".join(lines[most - 1 :]) + text.ELLIPSIS, size, room)]
    return lines


def watermark_text(words: str, canvas_width: int, short_side: int) -> np.ndarray:
    """White with a shadow: it reads on anything."""
    size = max(round(short_side * 0.03), 8)
    shadow = Image.fromarray(text.render(words, size, (0, 0, 0), canvas_width // 2))
    white = Image.fromarray(text.render(words, size, WHITE, canvas_width // 2))
    image = Image.new("RGBA", (white.width + 2, white.height + 2), (0, 0, 0, 0))
    image.alpha_composite(shadow, (1, 1))
    image.alpha_composite(white, (0, 0))
    array = np.asarray(image).copy()
    array[..., 3] = (array[..., 3] * 0.8).astype(np.uint8)
    return array


def load_image(directory: Path | None, name: str) -> Image.Image:
    """An image of the pipeline's directory. ValueError, in words, for what cannot be shown."""
    if directory is None:
        raise ValueError(f"image {name!r}: there are no images here")
    path = (directory / name).resolve()
    if not path.is_relative_to(directory.resolve()) or not path.is_file():
        raise ValueError(f"image {name!r} was not given along")
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_IMAGE_PIXELS:
                raise ValueError(f"image {name!r} has more than {MAX_IMAGE_PIXELS // 1_000_000} million pixels")
            return ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        # Pillow's words may name the path.
        raise ValueError(f"image {name!r} cannot be read ({type(error).__name__})") from None


def fitted_image(image: Image.Image, width: int, height: int, fit: Fit, radius: int = 0) -> np.ndarray:
    """An image in a box of that size, its aspect kept; transparent where it does not reach."""
    if fit == "cover":
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    else:
        small = ImageOps.contain(image, (width, height), Image.Resampling.LANCZOS)
        image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
        image.alpha_composite(small, ((width - small.width) // 2, (height - small.height) // 2))
    if radius:
        array = np.asarray(image).copy()
        array[..., 3] = array[..., 3] * (np.asarray(_pill(width, height, radius, (0, 0, 0, 255)))[..., 3] / 255)
        return array
    return np.asarray(image)


def watermark_image(image: Image.Image, canvas_width: int, canvas_height: int) -> np.ndarray:
    """At most a fifth of the canvas's width and an eighth of its height; never enlarged."""
    image = image.copy()
    image.thumbnail((max(canvas_width // 5, 1), max(canvas_height // 8, 1)), Image.Resampling.LANCZOS)
    return np.asarray(image)
