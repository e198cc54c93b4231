"""Pixels: scaling frames into tiles, laying tiles and patches onto a canvas. numpy and swscale; who is shown is not known here.

A canvas is one flat buffer of three planes, yuv420p, BT.601, limited range (what WebRTC's encoders send without saying
so; sources that say otherwise are converted). What is blended is a list of single pixels with what to keep of them and
what to add: a rounded corner or a name costs by its pixels, in one pass over all planes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from sfu.compose.arrange import Rect, fitted
from sfu.compose.layout import Fit

RGB = tuple[int, int, int]
YUV = tuple[int, int, int]

AVCOL_SMPTE170M = 6  # matrix, primaries and transfer of BT.601 (ITU-T H.273)
AVCOL_RANGE_JPEG = 2
# AVColorSpace of a frame -> swscale's name of it. Unspecified is BT.601 in WebRTC.
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
ASPECT_SLACK = 0.01  # so much stretching is rounding to even pixels
CUT_AFTER = 1.2  # so much too large a picture is scaled as a whole and cut then: cutting a frame costs 12 us
MAX_SOURCE_PIXELS = 8192 * 8192  # a decoder that says more is refused


def yuv(rgb: RGB) -> YUV:
    y, u, v = to_yuv(np.array(rgb, np.float32))
    return round(float(y)), round(float(u)), round(float(v))


def to_yuv(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RGB 0..255 in the last axis as BT.601, limited range; floats."""
    r, g, b = rgb[..., 0] / 255, rgb[..., 1] / 255, rgb[..., 2] / 255
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    return 16 + 219 * luma, 128 + 224 * (b - luma) / 1.772, 128 + 224 * (r - luma) / 1.402


@dataclass(slots=True)
class Picture:
    """Three planes of even size; views of somebody's buffer."""

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray

    @property
    def planes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.y, self.u, self.v

    @property
    def size(self) -> tuple[int, int]:
        return self.y.shape[1], self.y.shape[0]

    @staticmethod
    def of_frame(frame: av.VideoFrame) -> Picture:
        """A yuv420p frame's pixels, not copied; they keep the frame alive."""
        return Picture(
            *(np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[: p.height, : p.width] for p in frame.planes)
        )

    @staticmethod
    def blank(width: int, height: int, color: YUV) -> Picture:
        return Picture(
            np.full((height, width), color[0], np.uint8),
            np.full((height // 2, width // 2), color[1], np.uint8),
            np.full((height // 2, width // 2), color[2], np.uint8),
        )

    def cut(self, rect: Rect) -> Picture:
        """A part, as views."""
        luma = slice(rect.y, rect.bottom), slice(rect.x, rect.right)
        chroma = slice(rect.y // 2, rect.bottom // 2), slice(rect.x // 2, rect.right // 2)
        return Picture(self.y[luma], self.u[chroma], self.v[chroma])

    def to_frame(self) -> av.VideoFrame:
        """As a frame of the same pixels, not copied."""
        width, height = self.size
        return av.VideoFrame.from_dlpack(self.planes, format="yuv420p", width=width, height=height)


class Scaler:
    """Frames of one source into one size. Keeps swscale's context while sizes stay."""

    def __init__(self) -> None:
        self._swscale = VideoReformatter()

    def scale(self, frame: av.VideoFrame, width: int, height: int, fit: Fit, backing: YUV) -> Picture:
        """The frame scaled into width x height. What `contain` leaves free is filled with `backing`.

        Raises av.FFmpegError or ValueError for what swscale cannot read.
        """
        if not 0 < frame.width * frame.height <= MAX_SOURCE_PIXELS:
            raise ValueError(f"a picture of {frame.width}x{frame.height} pixels")
        colors = _colors(frame)
        if frame.rotation % 360:
            frame, colors = self._upright(frame, colors), {}
        aspect, wanted = frame.width / frame.height, width / height
        if abs(aspect / wanted - 1) <= ASPECT_SLACK:
            return self._scaled(frame, width, height, colors)
        if fit == "cover":
            over = fitted(frame.width, frame.height, (width, height), "cover")
            if over[0] * over[1] <= width * height * CUT_AFTER:
                left, top = (over[0] - width) // 4 * 2, (over[1] - height) // 4 * 2
                return self._scaled(frame, *over, colors).cut(Rect(left, top, width, height))
            if frame.format.name not in ("yuv420p", "yuvj420p"):
                frame, colors = self._reformat(frame, frame.width, frame.height, colors), {}
            return self._scaled(_middle(frame, wanted), width, height, colors)
        inner = fitted(frame.width, frame.height, (width, height), "contain")
        inner = min(inner[0], width), min(inner[1], height)
        result = Picture.blank(width, height, backing)
        left, top = (width - inner[0]) // 4 * 2, (height - inner[1]) // 4 * 2
        place = result.cut(Rect(left, top, *inner))
        for target, source in zip(place.planes, self._scaled(frame, *inner, colors).planes, strict=True):
            target[...] = source
        return result

    def _scaled(self, frame: av.VideoFrame, width: int, height: int, colors: dict) -> Picture:
        return Picture.of_frame(self._reformat(frame, width, height, colors))

    def _reformat(self, frame: av.VideoFrame, width: int, height: int, colors: dict) -> av.VideoFrame:
        # Averaging is the fastest of swscale's good ways down: 110 us for 640x360 to a third of 720p, bilinear 170.
        smaller = width < frame.width or height < frame.height
        how = Interpolation.AREA if smaller else Interpolation.BILINEAR
        try:
            return self._swscale.reformat(frame, width, height, "yuv420p", interpolation=how, threads=1, **colors)
        except (av.FFmpegError, ValueError):
            # A filter that wide it does not make: thousands of pixels into two.
            return VideoReformatter().reformat(
                frame, width, height, "yuv420p", interpolation=Interpolation.POINT, threads=1, **colors
            )

    def _upright(self, frame: av.VideoFrame, colors: dict) -> av.VideoFrame:
        """Turned as its rotation says (anti-clockwise degrees, quarters only)."""
        even_width, even_height = max(frame.width // 2 * 2, 2), max(frame.height // 2 * 2, 2)
        picture = self._scaled(frame, even_width, even_height, colors)
        quarters = round(frame.rotation / 90) % 4
        return Picture(*(np.ascontiguousarray(np.rot90(plane, quarters)) for plane in picture.planes)).to_frame()


def _colors(frame: av.VideoFrame) -> dict:
    """What swscale must know to come to BT.601, limited."""
    if frame.format.is_rgb:
        return {"dst_colorspace": Colorspace.ITU601, "dst_color_range": ColorRange.MPEG}
    is_full = frame.color_range == AVCOL_RANGE_JPEG or frame.format.name.startswith("yuvj")
    return {
        "src_colorspace": _MATRICES.get(frame.colorspace, Colorspace.ITU601),
        "dst_colorspace": Colorspace.ITU601,
        "src_color_range": ColorRange.JPEG if is_full else ColorRange.MPEG,
        "dst_color_range": ColorRange.MPEG,
    }


def _middle(frame: av.VideoFrame, aspect: float) -> av.VideoFrame:
    """The largest part of that aspect around the middle; not copied."""
    width, height = min(frame.width, frame.height * aspect), min(frame.height, frame.width / aspect)
    width, height = int(width) // 2 * 2, int(height) // 2 * 2
    if width < 2 or height < 2:
        return frame
    rect = Rect((frame.width - width) // 4 * 2, (frame.height - height) // 4 * 2, width, height)
    return Picture.of_frame(frame).cut(rect).to_frame()


@dataclass(slots=True)
class Blend:
    """Pixels of a canvas's buffer and what becomes of them: `(old * keep + add + below * under) / 256`."""

    index: np.ndarray
    keep: np.ndarray
    add: np.ndarray
    under: np.ndarray | None = None
    """How much of what lies below the tile shows through: at rounded corners."""

    def apply(self, flat: np.ndarray, below: np.ndarray | None = None) -> None:
        values = flat.take(self.index).astype(np.uint16)
        values *= self.keep
        values += self.add
        if below is not None and self.under is not None:
            values += below * self.under
        values >>= 8
        flat[self.index] = values

    def over(self, below: np.ndarray) -> Blend:
        """The same where it is known for good what lies below."""
        return self if self.under is None else Blend(self.index, self.keep, self.add + below * self.under)

    def faded(self, alpha: float) -> Blend:
        """Less visible."""
        part = round(alpha * 256)
        keep = 256 - ((256 - self.keep.astype(np.uint32)) * part >> 8)
        return Blend(self.index, keep.astype(np.uint16), (self.add.astype(np.uint32) * part >> 8).astype(np.uint16))

    def joined(self, other: Blend) -> Blend:
        """Both in one pass: they must share no pixel, and know what is below."""
        return Blend(
            np.concatenate((self.index, other.index)),
            np.concatenate((self.keep, other.keep)),
            np.concatenate((self.add, other.add)),
        )


@dataclass(frozen=True, slots=True)
class Patch:
    """An RGBA image made ready for a canvas, to be laid at any even place."""

    luma: np.ndarray
    chroma: np.ndarray
    keep: np.ndarray
    add: np.ndarray
    stride: int

    def at(self, x: int, y: int) -> Blend:
        index = np.concatenate(
            (self.luma + (y * self.stride + x), self.chroma + (y // 2 * (self.stride // 2) + x // 2))
        )
        return Blend(index, self.keep, self.add)


class Canvas:
    """One picture in the making."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.flat = np.zeros(width * height * 3 // 2, np.uint8)
        luma, chroma = width * height, width * height // 4
        self.picture = Picture(
            self.flat[:luma].reshape(height, width),
            self.flat[luma : luma + chroma].reshape(height // 2, width // 2),
            self.flat[luma + chroma :].reshape(height // 2, width // 2),
        )

    def fill(self, color: YUV) -> None:
        for plane, value in zip(self.picture.planes, color, strict=True):
            plane[...] = value

    def copy(self, other: Canvas, rect: Rect | None = None) -> None:
        """All of the other, or a part of it."""
        if rect is None:
            self.flat[...] = other.flat
        else:
            self.paste(other.picture.cut(rect), rect)

    def paste(self, picture: Picture, rect: Rect, alpha: float = 1.0) -> None:
        """A picture of the rect's size onto it."""
        for target, source in zip(self.picture.cut(rect).planes, picture.planes, strict=True):
            if alpha >= 1:
                target[...] = source
            else:
                part = round(alpha * 256)
                target[...] = (target * np.uint16(256 - part) + source * np.uint16(part)) >> 8

    def to_frame(self) -> av.VideoFrame:
        """The canvas as it is, not copied, marked as the colours it has."""
        frame = self.picture.to_frame()
        frame.colorspace = frame.color_primaries = frame.color_trc = AVCOL_SMPTE170M
        frame.color_range = ColorRange.MPEG
        return frame

    def patch(self, image: np.ndarray) -> Patch:
        """Of an RGBA image (height, width, 4; uint8), which is to be laid where it is inside of the canvas as a whole."""
        image = image[: self.height, : self.width].astype(np.float32)
        # Colour has half the resolution: an odd last row or column is seen by half.
        image = np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)))
        alpha = image[..., 3] / 255
        y_plane, u_plane, v_plane = (plane * alpha for plane in to_yuv(image))
        halved = _halved(alpha)
        parts = [
            self._pixels(plane, *values)
            for plane, values in enumerate(((alpha, y_plane), (halved, _halved(u_plane)), (halved, _halved(v_plane))))
        ]
        keep, add = (np.concatenate([part[number] for part in parts]) for number in (1, 2))
        return Patch(parts[0][0], np.concatenate((parts[1][0], parts[2][0])), keep, add, self.width)

    def _pixels(self, plane: int, alpha: np.ndarray, color: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places, `keep` and `add` of what is not transparent."""
        rows, columns = np.nonzero(alpha > 1 / 512)
        keep = np.round(256 * (1 - alpha[rows, columns])).astype(np.uint16)
        return self._index(plane, rows, columns), keep, np.round(color[rows, columns] * 256).astype(np.uint16)

    def _index(self, plane: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Places of a plane's pixels in the flat buffer."""
        if plane == 0:
            return rows * self.width + columns
        return self.width * self.height * (3 + plane) // 4 + rows * (self.width // 2) + columns

    def edge(self, rect: Rect, radius: int, border: YUV, thickness: int) -> Blend | None:
        """Rounded corners, and a border inside the edge. None when there is nothing to do."""
        if radius <= 0 and thickness <= 0:
            return None
        parts = []
        for plane in range(3):
            step = 1 if plane == 0 else 2
            rows, columns, keep, lined, under = _edge_shape(rect.width, rect.height, step, radius, thickness)
            index = self._index(plane, rows + rect.y // step, columns + rect.x // step)
            parts.append((index, keep, lined * np.uint16(border[plane]), under))
        return Blend(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _halved(plane: np.ndarray) -> np.ndarray:
    return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4


@lru_cache(16)  # tiles of one picture have few sizes; a thick border around a large one is 10 MB
def _edge_shape(width: int, height: int, step: int, radius: int, thickness: int) -> tuple[np.ndarray, ...]:
    """Rows and columns of the pixels that corners and border touch; of 256, what is kept, border, and what is below."""
    rows, columns = _ring(height // step, width // step, -(-radius // step), -(-thickness // step))
    # The distance to the edge of a rounded box, negative inside, says how much of a pixel it covers.
    across = np.abs((columns + 0.5) * step - width / 2) - (width / 2 - radius)
    down = np.abs((rows + 0.5) * step - height / 2) - (height / 2 - radius)
    outside = np.hypot(np.maximum(across, 0), np.maximum(down, 0))
    distance = outside + np.minimum(np.maximum(across, down), 0) - radius
    inside = np.clip(0.5 - distance / step, 0, 1)
    lined = np.clip(0.5 + (distance + thickness) / step, 0, 1) * inside if thickness > 0 else np.zeros_like(inside)
    border = np.floor(256 * lined)
    keep = np.round(256 * (inside - lined))
    under = np.maximum(256 - np.maximum(np.round(256 * inside), keep + border), 0)
    touched = keep < 256
    return (rows[touched], columns[touched], *(part[touched].astype(np.uint16) for part in (keep, border, under)))


def _ring(height: int, width: int, corner: int, line: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels that corners and border may touch."""
    touched = np.zeros((height, width), bool)
    for rows in (slice(0, corner), slice(max(height - corner, 0), height)):
        for columns in (slice(0, corner), slice(max(width - corner, 0), width)):
            touched[rows, columns] = True
    if line:
        line += 1
        touched[:line] = touched[-line:] = touched[:, :line] = touched[:, -line:] = True
    found_rows, found_columns = np.nonzero(touched)
    return found_rows.astype(np.int32), found_columns.astype(np.int32)
