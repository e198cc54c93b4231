from __future__ import annotations

import random
from collections import Counter

import pytest

from media.ids import (
    BASE36,
    BASE62,
    ICE_CHARS,
    ROOM_ID,
    document_id,
    inner_id,
    participant_code,
    random_text,
    room_code,
)


@pytest.fixture
def random_bytes():
    return random.Random(5).randbytes


@pytest.mark.parametrize("alphabet", [BASE36, BASE62, ICE_CHARS, "ab", "a"])
@pytest.mark.parametrize("length", [0, 1, 12, 100])
def test_text_has_its_length_and_alphabet(random_bytes, alphabet: str, length: int):
    text = random_text(alphabet, length, random_bytes)
    assert len(text) == length
    assert set(text) <= set(alphabet)


@pytest.mark.parametrize("alphabet", [BASE36, BASE62, ICE_CHARS])
def test_every_character_is_as_likely(random_bytes, alphabet: str):
    counts = Counter(random_text(alphabet, 50_000, random_bytes))
    expected = 50_000 / len(alphabet)
    assert set(counts) == set(alphabet)
    assert all(0.8 * expected < count < 1.2 * expected for count in counts.values())


def test_bytes_that_would_favour_the_first_letters_are_thrown_away():
    supply = iter([b"\xff" * 4, b"\x00\x01\xff\xff", b"\x02\x03\x04\x05"])
    assert random_text(BASE36, 2, lambda n: next(supply)) == "01"


@pytest.mark.parametrize("prefix", ["RM_", "PA_", "TR_"])
def test_inner_ids(random_bytes, prefix: str):
    name = inner_id(prefix, random_bytes)
    assert name.startswith(prefix) and len(name) == 15 and set(name[3:]) <= set(BASE62)
    assert inner_id(prefix, random_bytes) != name


def test_document_ids_are_24_hex_digits(random_bytes):
    assert len(document_id(random_bytes)) == 24
    assert set(document_id(random_bytes)) <= set("0123456789abcdef")


def test_room_codes_are_room_ids(random_bytes):
    codes = {room_code(random_bytes) for _ in range(100)}
    assert len(codes) == 100
    assert all(ROOM_ID.match(code) for code in codes)


@pytest.mark.parametrize(
    "text", ["", "abcd-efgh", "ABCD-efgh-ijkl", "abcd-efgh-ijkl-", " abcd-efgh-ijkl", "abcd_efgh_ijkl"]
)
def test_what_is_no_room_id(text: str):
    assert not ROOM_ID.match(text)


def test_participant_codes(random_bytes):
    code = participant_code(random_bytes)
    assert len(code) == 8 and set(code) <= set(BASE36)
