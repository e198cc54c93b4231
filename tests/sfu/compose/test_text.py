"""Names in every script, by their pictures."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import features

from sfu.compose import text

NAMES = {
    "latin": "Ana Žižek", "vietnamese": "Nguyễn Thị Hương", "greek": "Γιώργος", "cyrillic": "Олена Шевченко",
    "arabic": "محمد عبد الله", "persian": "پرویز گلچین", "urdu": "ٹیپو سلطان", "hebrew": "שירה לוי",
    "devanagari": "मोहन क्षत्रिय", "bengali": "রবীন্দ্রনাথ", "gurmukhi": "ਗੁਰਪ੍ਰੀਤ", "gujarati": "ગાંધી", "oriya": "ଓଡ଼ିଆ",
    "tamil": "தமிழ்", "telugu": "తెలుగు", "kannada": "ಕನ್ನಡ", "malayalam": "മലയാളം", "sinhala": "සිංහල", "thai": "สมชาย เข็มกลัด",
    "lao": "ລາວ", "burmese": "မြန်မာ", "khmer": "ភាសាខ្មែរ", "georgian": "ქართული", "armenian": "Հայերեն",
    "amharic": "ሰላም", "cherokee": "ᏣᎳᎩ", "inuktitut": "ᐃᓄᒃᑎᑐᑦ", "syriac": "ܣܘܪܝܝܐ", "dhivehi": "ދިވެހި", "tifinagh": "ⵜⵉⴼⵉⵏⴰⵖ",
    "nko": "ߒߞߏ", "adlam": "𞤀𞤣𞤤𞤢𞤥", "chinese": "王小明", "traditional": "龍鳳", "japanese": "さくら カタカナ", "korean": "김민준",
    "emoji": "👩🏽‍💻", "flag": "🇧🇷", "heart": "❤️", "fancy": "𝓕𝓪𝓷𝓬𝔂", "star": "★",
}  # fmt: skip


def ink(name: str, size: int = 40) -> np.ndarray:
    return text.render(name, size)[..., 3]


def trimmed(pixels: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(pixels > 60)
    return pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def test_shaping_is_there() -> None:
    assert features.check("raqm"), "Pillow without raqm shapes neither Arabic nor Devanagari"


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_every_script_has_its_letters(name: str) -> None:
    """No character is shown as the box or the mark for what a font lacks."""
    runs = text.layout_runs(text.clean(name))
    assert text.UNKNOWN not in "".join(run.text for run in runs)
    assert ink(name).max() > 200
    for run in runs:
        if run.font == text.EMOJI:
            continue
        face = text._face(run.font, 40)
        missing = face.getmask("\U0010ffff").getbbox(), bytes(face.getmask("\U0010ffff"))
        for character in run.text:
            if unicodedata.category(character)[0] in "LNS":
                mask = face.getmask(character)
                assert (mask.getbbox(), bytes(mask)) != missing, f"{character!r} in {run.font}"


def test_emoji_have_colours() -> None:
    image = text.render("🎉", 40)
    solid = image[image[..., 3] > 200][:, :3].astype(int)
    assert np.ptp(solid, axis=1).max() > 100


@pytest.mark.parametrize("parts", ["👩🏽‍💻", "🇧🇷", "❤️", "👍🏿", "👨‍👩‍👧"])
def test_emoji_of_several_parts_are_one_picture(parts: str) -> None:
    assert text.clusters(parts) == [parts]
    assert text.width_of(parts, 40) <= text.width_of("👍", 40) + 2


def test_arabic_letters_join() -> None:
    """Together they are narrower than side by side, and hang together."""
    joined, alone = trimmed(ink("سلمى")), [trimmed(ink(letter)) for letter in "سلمى"]
    assert joined.shape[1] < 0.85 * sum(letter.shape[1] for letter in alone)
    assert (joined.max(axis=0) > 60).all(), "no column without ink"


def test_arabic_goes_from_right_to_left() -> None:
    """Alef, a stroke, comes first: it stands at the right."""
    pixels = trimmed(ink("ابببب"))
    assert pixels[: pixels.shape[0] // 2, -6:].max() > 200
    assert pixels[: pixels.shape[0] // 3, : pixels.shape[1] // 2].max() < 60


def test_marks_after_hebrew_stand_at_its_left() -> None:
    """The dot of an exclamation mark is at the left end, with nothing above it in the middle."""
    pixels = trimmed(ink("אבג!"))
    mark = trimmed(ink("!"))
    left, right = (np.abs(part.astype(int) - mark[-10:]).mean() for part in (pixels[-10:, : mark.shape[1]], pixels[-10:, -mark.shape[1] :]))  # fmt: skip
    assert left < 20 < right


def test_devanagari_shapes_its_letters() -> None:
    """The vowel sign i is written after its consonant and stands before it; a conjunct is narrower than its parts."""
    consonant, both = trimmed(ink("क")), trimmed(ink("कि"))
    right = both[:, -consonant.shape[1] :].astype(int)
    assert np.abs(right[-20:, 4:-4] - consonant[-20:, 4:-4]).mean() < 60
    assert text.width_of("क्ष", 40) < text.width_of("क", 40) + text.width_of("ष", 40)


@pytest.mark.parametrize(
    ("logical", "levels"),
    [
        ("abc", "000"),
        ("אבג", "111"),
        ("ab אב", "00011"),
        ("אב ab", "11122"),
        ("אב 12", "11122"),
        ("ab (אב) 42", "0000110000"[:4] + "11" + "00" + "22"),
        ("ab (אב) cd", "0000110000"),
        ("اب 12-34", "111" + "22122"),
        ("אב 12-34", "111" + "22222"),
        ("אב $5", "11122"),
        ("אב! ab?", "1111221"),
        ("(אב)", "1111"),
        ("123", "000"),
        ("a אב, גד b", "0011111100"),
        ("!?", "00"),
    ],
)
def test_directions(logical: str, levels: str) -> None:
    assert "".join(map(str, text.bidi_levels(list(logical)))) == levels


def test_runs_stand_in_the_order_of_reading() -> None:
    assert [run.text for run in text.layout_runs("שלום John")] == ["John", "שלום "]
    assert [run.text for run in text.layout_runs("John שלום")] == ["John ", "שלום"]


@pytest.mark.parametrize(
    ("dirty", "cleaned"),
    [
        ("  a \t\n b  ", "a b"),
        ("a\x00\x07\x1bb", "ab"),
        ("\u202egnp.exe", "gnp.exe"),
        ("a\u200b\ufeffb", "ab"),
        ("e\u0301", "é"),
        ("\ud800x\ue000", "x"),
        ("", ""),
        ("x" * 1000, "x" * 500),
    ],
)
def test_controls_are_taken_out(dirty: str, cleaned: str) -> None:
    assert text.clean(dirty) == cleaned


@pytest.mark.parametrize(
    "name", ["An unusually long name " * 6, "王" * 128, "محمد " * 30, "👩🏽‍💻" * 40, "किकिकि" * 30]
)
def test_what_is_too_long_ends_with_an_ellipsis(name: str) -> None:
    image = text.render(name, 20, max_width=200)
    assert image.shape[1] <= 200
    fitted = text.fit(name, 20, 200)
    assert fitted.endswith(text.ELLIPSIS) and len(fitted) < len(name)
    assert text.clean(name).startswith(fitted[:-1])
    assert text.clusters(fitted[:-1]) == text.clusters(text.clean(name))[: len(text.clusters(fitted[:-1]))]
    assert text.width_of(fitted, 20) <= 200 < text.width_of(name[:500], 20)


def test_no_room_is_nothing() -> None:
    assert text.fit("Ana", 20, 3) == ""
    assert text.render("", 20).shape[1] == 0
    assert text.render("Ana", 20, max_width=2).shape[1] <= 2


def test_a_text_is_drawn_once() -> None:
    assert text.render("Ana once", 20) is text.render("Ana once", 20)
    with pytest.raises(ValueError, match="read-only"):
        text.render("Ana once", 20)[0, 0, 0] = 1


def test_what_no_font_has_is_one_mark() -> None:
    assert [run.text for run in text.layout_runs("a\U00012000")] == ["a" + text.UNKNOWN]


@given(st.text(max_size=40), st.integers(6, 40), st.integers(1, 300))
def test_every_text_can_be_drawn(words: str, size: int, room: int) -> None:
    image = text.render(words, size, max_width=room)
    assert image.shape[0] == round(size * text.LINE) and image.shape[1] <= room


@given(st.text(max_size=60))
def test_every_character_is_in_one_run(words: str) -> None:
    cleaned = text.clean(words)
    assert len(text.bidi_levels([piece[0] for piece in text.clusters(cleaned)])) == len(text.clusters(cleaned))
    assert "".join(text.clusters(cleaned)) == cleaned


def test_the_index_is_what_the_fonts_have() -> None:
    from fontTools.ttLib import TTFont

    folder = text.files("sfu.compose") / "fonts"
    for name in text._names():
        with (folder / name).open("rb") as file:
            codes = TTFont(file, lazy=True).getBestCmap()
        assert {code for code in range(0x20000) if text._has(name, code)} == {code for code in codes if code < 0x20000}


def test_licences_lie_beside_the_fonts() -> None:
    folder = text.files("sfu.compose") / "fonts"
    assert "SIL OPEN FONT LICENSE" in (folder / "OFL.txt").read_text()
    readme = (folder / "README.md").read_text()
    assert all(name in readme or name.startswith("NotoSans") for name in text._names())
