"""What is drawn: placeholders, badges, text boxes, images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfu.compose import art
from sfu.compose.layout import ShowText
from sfu.compose.text import ZWNJ
from tests.support.pictures import is_near

TILE = (39, 43, 50)


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Ana Žižek", "AŽ"),
        ("ana", "A"),
        ("Jean-Luc van der Berg", "JB"),
        ("王小明", "王"),
        ("محمد الله", "ما"),
        ("  (x)  ", "X"),
        ("🎉", "🎉"),
        ("🎉 Zoë", "Z"),
        ("", ""),
        ("\u202e\x00", ""),
        ("e\u0301va o\u0308zil", "ÉÖ"),
    ],
)
def test_initials(name: str, letters: str) -> None:
    assert art.initials(name).replace(ZWNJ, "") == letters


def test_a_person_keeps_a_colour() -> None:
    assert art.person_color("ana") == art.person_color("ana")
    assert len({art.person_color(f"p{number}") for number in range(200)}) == len(art.PEOPLE_COLORS)


@pytest.mark.parametrize("color", art.PEOPLE_COLORS)
def test_white_reads_on_every_colour(color: art.RGB) -> None:
    """WCAG 2.2, 1.4.3: 3 to 1 for large letters."""

    def luminance(rgb: tuple[int, ...]) -> float:
        parts = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in rgb]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    assert 1.05 / (luminance(color) + 0.05) >= 4.5


@pytest.mark.parametrize("name", ["Ana Žižek", "محمد", "王小明", "🎉", ""])
def test_a_placeholder_is_a_circle_with_something_in_it(name: str) -> None:
    image = art.placeholder("ana", name, 400, 226, TILE)
    assert image.shape == (226, 400, 4)
    assert is_near(image[2, 2, :3], TILE, 0) and is_near(image[-2, -2, :3], TILE, 0)
    size = 226 * 0.44
    assert is_near(image[113, round(200 - size / 2) + 4, :3], art.person_color("ana"), 4)
    middle = image[113 - 40 : 113 + 40, 200 - 40 : 200 + 40, :3].astype(int)
    assert (np.abs(middle - art.person_color("ana")).max(axis=-1) > 80).sum() > 100


@pytest.mark.parametrize("size", [(2, 2), (10, 10), (4, 200), (1280, 2)])
def test_small_placeholders_are_drawn_too(size: tuple[int, int]) -> None:
    assert art.placeholder("ana", "Ana", *size, TILE).shape == (size[1], size[0], 4)


def badge(name: str = "Ana", muted: bool = False, shares: bool = False, width: int = 400, height: int = 226):
    return art.badge(name, muted=muted, shares=shares, tile_width=width, tile_height=height, unit=1.0)


def test_a_badge_tells_name_and_mute() -> None:
    named, muted = badge(), badge(muted=True)
    assert named is not None and muted is not None
    assert muted.shape[1] > named.shape[1] and muted.shape[0] == named.shape[0]
    red = (muted[..., 0].astype(int) - muted[..., 2] > 60) & (muted[..., 3] > 100)
    assert red.sum() > 20
    assert not ((named[..., 0].astype(int) - named[..., 2] > 60) & (named[..., 3] > 100)).any()
    assert (named[..., :3].min(axis=-1) > 200).sum() > 30, "white letters"


def test_a_badge_without_anything_to_say_is_none() -> None:
    assert badge("") is None
    assert badge("", muted=True) is not None
    assert badge("\x00", muted=False) is None


@pytest.mark.parametrize("width", [40, 60, 100, 238, 400, 1280])
def test_a_badge_is_inside_its_tile(width: int) -> None:
    height = width * 9 // 16
    made = badge("A very long name that will never fit anywhere at all", True, False, width, height)
    if made is not None:
        assert made.shape[1] <= width - 2 * art.badge_inset(height, 1.0) + 1
        assert made.shape[0] <= height * 0.6


def test_a_text_box_breaks_lines_between_words() -> None:
    one = art.text_box(ShowText("word", 0.1), 400, 300, 0, 720)
    many = art.text_box(ShowText("word " * 20, 0.1), 400, 300, 0, 720)
    assert one.shape == many.shape == (300, 400, 4)

    def rows(image: np.ndarray) -> int:
        return int((image[..., 3].max(axis=1) > 100).sum())

    assert rows(many) > 3 * rows(one)


@pytest.mark.parametrize("align", ["left", "center", "right"])
def test_a_text_box_aligns(align: str) -> None:
    image = art.text_box(ShowText("word", 0.05, align=align), 600, 100, 0, 720)  # type: ignore[arg-type]
    columns = np.nonzero(image[..., 3].max(axis=0) > 100)[0]
    middle = (columns.min() + columns.max()) / 2
    assert {"left": middle < 150, "center": 290 < middle < 310, "right": middle > 450}[align]


@pytest.mark.parametrize("words", ["x", "long " * 100, "a\n\nb\nc\nd\ne", "w" * 500])
@pytest.mark.parametrize("size", [(2, 2), (30, 10), (1280, 20), (10, 720)])
def test_text_boxes_of_every_size(words: str, size: tuple[int, int]) -> None:
    for background in (None, "#ff0000"):
        made = art.text_box(ShowText(words, 0.1, background=background), *size, 4, 720)
        assert made.shape == (size[1], size[0], 4)


# Images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "pipeline"
    inside.mkdir()
    Image.new("RGB", (40, 20), (200, 40, 60)).save(inside / "red.png")
    Image.new("RGB", (40, 20), (200, 40, 60)).save(tmp_path / "secret.png")
    (inside / "broken.png").write_bytes((inside / "red.png").read_bytes()[:60])
    Image.new("RGB", (40, 20)).save(inside / "other.gif")
    (inside / "text.png").write_text("not an image")
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    return inside


def test_an_image_is_read(folder: Path) -> None:
    assert art.load_image(folder, "red.png").size == (40, 20)


@pytest.mark.parametrize(
    "name", ["../secret.png", "link.png", "gone.png", "broken.png", "text.png", "other.gif", ".", "/etc/passwd"]
)
def test_what_is_no_image_of_ours_is_refused_in_words(folder: Path, name: str) -> None:
    with pytest.raises(ValueError) as caught:
        art.load_image(folder, name)
    assert str(folder) not in str(caught.value)


def test_too_large_an_image_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(art, "MAX_IMAGE_PIXELS", 799)
    with pytest.raises(ValueError, match="million pixels"):
        art.load_image(folder, "red.png")


def test_images_fit_as_asked(folder: Path) -> None:
    image = art.load_image(folder, "red.png")
    covered = art.fitted_image(image, 100, 100, "cover")
    contained = art.fitted_image(image, 100, 100, "contain")
    assert (covered[..., 3] == 255).all()
    assert contained[10, 50, 3] == 0 and contained[50, 50, 3] == 255
    rounded = art.fitted_image(image, 100, 100, "cover", 50)
    assert rounded[1, 1, 3] == 0 and rounded[50, 50, 3] == 255


def test_a_watermark_is_small(folder: Path) -> None:
    assert art.watermark_image(Image.new("RGBA", (4000, 4000)), 1280, 720).shape == (90, 90, 4)
    assert art.watermark_image(art.load_image(folder, "red.png"), 1280, 720).shape == (20, 40, 4)
    assert art.watermark_text("Tidegate " * 50, 1280, 720).shape[1] <= 642
