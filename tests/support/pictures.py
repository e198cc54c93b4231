"""Frames to compose, and looks at what came out."""

from __future__ import annotations

import av
import numpy as np
from PIL import Image, ImageDraw

RGB = tuple[int, int, int]
SKINS: tuple[RGB, ...] = (
    (0xF1, 0xC2, 0x9B),
    (0x8D, 0x55, 0x24),
    (0xE0, 0xAC, 0x69),
    (0xC6, 0x86, 0x42),
    (0xFF, 0xDB, 0xAC),
)


def plain(color: RGB, width: int = 640, height: int = 360, format: str = "yuv420p") -> av.VideoFrame:
    """One colour, as WebRTC sends it: BT.601, limited, unmarked."""
    array = np.full((max(height, 2), max(width, 2), 3), color, np.uint8)
    frame = av.VideoFrame.from_ndarray(array, format="rgb24")
    return frame.reformat(width, height, format, dst_colorspace="ITU601", dst_color_range="MPEG")


def portrait(number: int, width: int = 640, height: int = 360) -> av.VideoFrame:
    """Somebody before a wall."""
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    hue = number * 47 % 360
    for y in range(height):
        draw.line((0, y, width, y), f"hsl({hue}, 28%, {62 - 26 * y // height}%)")
    middle, skin = width // 2, SKINS[number % len(SKINS)]
    draw.ellipse(
        (middle - height * 0.42, height * 0.66, middle + height * 0.42, height * 1.5), f"hsl({hue + 150}, 45%, 38%)"
    )
    draw.rectangle((middle - height * 0.07, height * 0.55, middle + height * 0.07, height * 0.74), skin)
    draw.ellipse(
        (middle - height * 0.19, height * 0.14, middle + height * 0.19, height * 0.52), f"hsl({hue + 40}, 30%, 15%)"
    )
    draw.ellipse((middle - height * 0.16, height * 0.19, middle + height * 0.16, height * 0.63), skin)
    for side in (-1, 1):
        eye = middle + side * height * 0.06
        draw.ellipse((eye - height * 0.015, height * 0.38, eye + height * 0.015, height * 0.41), (30, 30, 30))
    draw.arc((middle - height * 0.07, height * 0.42, middle + height * 0.07, height * 0.55), 20, 160, (120, 40, 40), 3)
    return _frame(image)


def slide(width: int = 1920, height: int = 1080) -> av.VideoFrame:
    """A shared screen."""
    image = Image.new("RGB", (width, height), (0xFC, 0xFC, 0xF8))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, height * 0.14), (0x1D, 0x3B, 0x6F))
    for index, value in enumerate((0.3, 0.45, 0.4, 0.62, 0.7, 0.9)):
        x = width * (0.1 + 0.14 * index)
        draw.rectangle((x, height * (0.92 - 0.68 * value), x + width * 0.09, height * 0.92), (0x2E, 0x7D, 0xB5))
    return _frame(image)


def _frame(image: Image.Image) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")


def to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """(height, width, 3), as a player shows it: BT.601, limited, without swscale's word for it."""
    y, u, v = (
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width].astype(np.float32)
        for plane in frame.planes
    )
    u, v = (np.repeat(np.repeat(plane - 128, 2, 0), 2, 1)[: y.shape[0], : y.shape[1]] for plane in (u, v))
    y = (y - 16) * 255 / 219
    red, blue = y + 1.402 * v * 255 / 224, y + 1.772 * u * 255 / 224
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    return np.clip(np.round(np.stack((red, green, blue), axis=-1)), 0, 255).astype(np.uint8)


def is_near(color: np.ndarray | RGB, wanted: RGB, slack: int = 8) -> bool:
    return bool(np.all(np.abs(np.asarray(color, np.int32) - np.asarray(wanted)) <= slack))
