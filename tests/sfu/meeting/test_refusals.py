"""The codes are those of the page."""

import re
from pathlib import Path

from sfu.meeting.participant import CloseReason
from sfu.meeting.refusals import Refusal

PAGE = (Path(__file__).parents[3] / "docs" / "signalling.md").read_text()


def test_each_code_stands_in_the_page_and_each_of_the_page_here():
    table = PAGE.split("## Error codes")[1]
    found = {}
    for codes, names in re.findall(r"^\| ([\d, ]+) \| ([A-Z_, ]+) \|", table, re.MULTILINE):
        found.update(zip(names.split(", "), map(int, codes.split(", ")), strict=True))
    assert found == {refusal.name: refusal.value for refusal in Refusal}


def test_each_leave_reason_stands_in_the_page():
    text = PAGE.split("## Leave reasons")[1].split("##")[0]
    found = {name: int(code) for code, name in re.findall(r"(\d{4})\s([A-Z_]+)", text)}
    assert found == {reason.name: reason.code for reason in CloseReason}


def test_calling_one_makes_the_error():
    error = Refusal.TOO_MUCH("slower")
    assert (error.code, error.name, error.reason) == (4091, "TOO_MUCH", "slower")
