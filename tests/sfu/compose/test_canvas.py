"""Pixels: what goes in comes out where it should, in the colours it had."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from sfu.compose.arrange import Rect
from sfu.compose.canvas import Canvas, Picture, Scaler, yuv
from tests.support.pictures import is_near, plain, to_rgb

BACKING = yuv((0, 0, 0))
RED, BLUE, GREEN = (200, 40, 60), (30, 60, 180), (40, 160, 70)


def scaled(frame: av.VideoFrame, width: int, height: int, fit: str = "cover") -> np.ndarray:
    picture = Scaler().scale(frame, width, height, fit, BACKING)  # type: ignore[arg-type]
    assert picture.size == (width, height)
    assert [plane.shape for plane in picture.planes[1:]] == [(height // 2, width // 2)] * 2
    return to_rgb(picture.to_frame())


def halves(left: tuple[int, int, int], right: tuple[int, int, int], width: int, height: int) -> av.VideoFrame:
    array = np.empty((height, width, 3), np.uint8)
    array[:, : width // 2], array[:, width // 2 :] = left, right
    return av.VideoFrame.from_ndarray(array, "rgb24").reformat(
        format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG"
    )


FORMATS = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "nv12", "gbrp", "rgb24", "yuva420p"]


@pytest.mark.parametrize("fit", ["cover", "contain"])
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_keeps_its_colour(format: str, fit: str) -> None:
    frame = plain(RED, 640, 480, format)
    if format == "yuvj420p":
        frame = plain(RED, 640, 480, "rgb24").reformat(
            format="yuvj420p", dst_colorspace="ITU601", dst_color_range="JPEG"
        )
    assert is_near(scaled(frame, 320, 180, fit)[90, 160], RED)


@pytest.mark.parametrize(
    "size", [(1, 1), (2, 2), (3, 5), (641, 361), (4096, 2160), (16, 2000), (2000, 16), (1, 720), (1280, 1)]
)
@pytest.mark.parametrize("fit", ["cover", "contain"])
def test_every_size_is_scaled(size: tuple[int, int], fit: str) -> None:
    pixels = scaled(plain(RED, *size), 406, 228, fit)
    assert any(is_near(pixels[y, x], RED) for x, y in ((203, 114), (202, 113), (202, 114)))
    if fit == "cover":
        assert is_near(pixels[2, 2], RED) and is_near(pixels[-2, -2], RED)


def test_grey_pictures_are_grey() -> None:
    grey = av.VideoFrame.from_ndarray(np.full((361, 641), 128, np.uint8), "gray")
    pixel = scaled(grey, 320, 180)[90, 160]
    assert int(pixel.max()) - int(pixel.min()) <= 2


def test_a_marked_matrix_is_converted() -> None:
    """HD encoders mark BT.709: the same red must come out as from BT.601."""
    frame = plain(RED, 640, 360, "rgb24").reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
    frame.colorspace, frame.color_range = 1, 1
    assert is_near(scaled(frame, 320, 180)[90, 160], RED)
    frame.colorspace = 2  # unmarked: taken for BT.601, which gives another red
    assert not is_near(scaled(frame, 320, 180)[90, 160], RED)


def test_a_marked_range_is_converted() -> None:
    frame = plain(RED, 640, 360, "rgb24").reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="JPEG")
    frame.color_range = 2
    assert is_near(scaled(frame, 320, 180)[90, 160], RED)


def test_covering_cuts_both_sides_and_keeps_the_middle() -> None:
    frame = halves(RED, BLUE, 800, 200)
    pixels = scaled(frame, 200, 200)
    assert is_near(pixels[100, 90], RED) and is_near(pixels[100, 110], BLUE)
    assert is_near(pixels[100, 3], RED) and is_near(pixels[100, 196], BLUE)


def test_containing_shows_all_and_fills_the_rest() -> None:
    pixels = scaled(halves(RED, BLUE, 800, 200), 200, 200, "contain")
    assert is_near(pixels[100, 3], RED) and is_near(pixels[100, 196], BLUE)
    assert is_near(pixels[60, 100], (0, 0, 0)) and is_near(pixels[140, 100], (0, 0, 0))
    assert is_near(pixels[78, 50], RED) and is_near(pixels[122, 50], RED)


def test_a_turned_picture_is_put_upright(tmp_path: Path) -> None:
    upright, path = halves(RED, BLUE, 320, 160), tmp_path / "turned.mp4"
    with av.open(str(tmp_path / "plain.mp4"), "w") as container:
        stream = container.add_stream("libx264", 25)
        stream.width, stream.height, stream.pix_fmt = 320, 160, "yuv420p"
        container.mux(stream.encode(upright))
        container.mux(stream.encode(None))
    turn = ["ffmpeg", "-v", "error", "-i", tmp_path / "plain.mp4", "-c", "copy", "-metadata:s:v", "rotate=90", path]
    subprocess.run(turn, check=True)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert frame.rotation % 360, "the file must carry its rotation"
    shown = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True,
        check=True,
    ).stdout
    wanted = np.frombuffer(shown, np.uint8).reshape(320, 160, 3)
    pixels = scaled(frame, 160, 320)
    for y in (60, 260):
        assert is_near(pixels[y, 80], tuple(int(part) for part in wanted[y, 80]), 16)
    assert not is_near(pixels[60, 80], pixels[260, 80], 60)


def test_too_large_a_picture_is_refused() -> None:
    class Huge:
        width, height = 60_000, 60_000

    with pytest.raises(ValueError, match="60000x60000"):
        Scaler().scale(Huge(), 320, 180, "cover", BACKING)  # type: ignore[arg-type]


# Canvases


def canvas(color: tuple[int, int, int] = BLUE) -> Canvas:
    made = Canvas(64, 48)
    made.fill(yuv(color))
    return made


def test_a_canvas_is_marked_and_not_copied() -> None:
    made = canvas()
    frame = made.to_frame()
    assert (frame.format.name, frame.width, frame.height) == ("yuv420p", 64, 48)
    assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (6, 1, 6, 6)
    assert is_near(to_rgb(frame)[10, 10], BLUE)
    made.fill(yuv(RED))
    assert is_near(to_rgb(frame)[10, 10], RED)


def test_pasting_stays_inside_its_place() -> None:
    made = canvas()
    made.paste(Picture.blank(16, 8, yuv(RED)), Rect(10, 20, 16, 8))
    pixels = to_rgb(made.to_frame())
    assert is_near(pixels[20:28, 10:26], RED)
    pixels[20:28, 10:26] = BLUE
    assert is_near(pixels, BLUE)


def test_pasting_with_half_the_visibility_mixes() -> None:
    made = canvas((0, 0, 0))
    made.paste(Picture.blank(64, 48, yuv((200, 200, 200))), Rect(0, 0, 64, 48), 0.5)
    assert is_near(to_rgb(made.to_frame())[5, 5], (100, 100, 100), 3)


def test_a_patch_is_laid_by_its_transparency() -> None:
    image = np.zeros((8, 12, 4), np.uint8)
    image[:, :4] = (*RED, 255)
    image[:, 4:8] = (*RED, 128)
    made = canvas()
    made.patch(image).at(20, 10).apply(made.flat)
    pixels = to_rgb(made.to_frame())
    middle = tuple((one + other) // 2 for one, other in zip(RED, BLUE, strict=True))
    assert is_near(pixels[10:18, 20:24], RED, 4)
    assert is_near(pixels[10:18, 24:28], middle, 4)  # type: ignore[arg-type]
    assert is_near(pixels[10:18, 28:32], BLUE)
    made.fill(yuv(BLUE))
    made.patch(image).at(0, 0).faded(0.0).apply(made.flat)
    assert is_near(to_rgb(made.to_frame()), BLUE)


def test_a_patch_larger_than_the_canvas_is_cut() -> None:
    made = canvas()
    made.patch(np.full((101, 103, 4), 255, np.uint8)).at(0, 0).apply(made.flat)
    assert is_near(to_rgb(made.to_frame()), (255, 255, 255))


def test_corners_show_what_is_below_and_borders_are_inside() -> None:
    made, rect = canvas(), Rect(8, 8, 40, 32)
    edge = made.edge(rect, 10, yuv(GREEN), 4)
    assert edge is not None
    below = made.flat.take(edge.index)
    made.paste(Picture.blank(40, 32, yuv(RED)), rect)
    edge.apply(made.flat, below)
    pixels = to_rgb(made.to_frame())
    for y, x in ((8, 8), (8, 47), (39, 8), (39, 47)):
        assert is_near(pixels[y, x], BLUE, 6)
    for y, x in ((9, 28), (38, 28), (24, 9), (24, 46)):
        assert is_near(pixels[y, x], GREEN, 6)
    assert is_near(pixels[16:32, 16:40], RED)
    outside = pixels.copy()
    outside[8:40, 8:48] = BLUE
    assert is_near(outside, BLUE)


def test_a_known_ground_gives_the_same_corners() -> None:
    made, rect = canvas(), Rect(8, 8, 40, 32)
    edge = made.edge(rect, 12, yuv(GREEN), 0)
    assert edge is not None
    still = edge.over(made.flat.take(edge.index))
    for _ in range(2):  # a second time, upon what is there already
        made.paste(Picture.blank(40, 32, yuv(RED)), rect)
        still.apply(made.flat)
    other = canvas()
    below = other.flat.take(edge.index)
    other.paste(Picture.blank(40, 32, yuv(RED)), rect)
    edge.apply(other.flat, below)
    assert np.array_equal(made.flat, other.flat)


def test_no_corner_and_no_border_cost_nothing() -> None:
    assert canvas().edge(Rect(0, 0, 20, 20), 0, BACKING, 0) is None


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), RED, GREEN, BLUE])
def test_colours_come_back(color: tuple[int, int, int]) -> None:
    assert is_near(to_rgb(canvas(color).to_frame())[0, 0], color, 3)
