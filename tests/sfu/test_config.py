"""The limits of the meeting plane: sane, documented, and below what they must fit into."""

from __future__ import annotations

import ast
import inspect
import itertools
from dataclasses import FrozenInstanceError, fields

import pytest

from sfu import config
from sfu.config import SfuConfig


def test_every_field_is_documented():
    (cls,) = [node for node in ast.parse(inspect.getsource(config)).body if isinstance(node, ast.ClassDef)]
    body = cls.body
    documented = {
        field.target.id
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value.value, str)
    }
    assert documented == {field.name for field in fields(SfuConfig)}


def test_every_limit_and_time_is_positive():
    assert all(getattr(SfuConfig(), field.name) > 0 for field in fields(SfuConfig))


def test_limits_fit_into_each_other():
    limits = SfuConfig()
    assert limits.max_handshakes_per_address <= limits.max_handshakes <= limits.max_sessions
    assert limits.nack_retries * 0.033 < limits.history_seconds, "asked for only while it can be answered"
    assert limits.history_packets < 1 << 15, "or numbers of a lap ago look new"


def test_it_does_not_change_under_a_running_node():
    with pytest.raises(FrozenInstanceError):
        SfuConfig().max_rooms = 1  # type: ignore[misc]
