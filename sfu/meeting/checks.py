"""Limits on what people call themselves and attach to themselves."""

from __future__ import annotations

import json
from typing import Any, Final

from sfu.config import SfuConfig
from sfu.meeting.participant import JoinRequest
from sfu.meeting.refusals import Refusal

MAX_PARTICIPANT_ID = 64  # characters, docs/signalling.md 4004
MAX_ATTRIBUTES = 64  # keys; all are sent with each update


class Unchanged:
    """The type of UNCHANGED: metadata may be any JSON value, None too, so absence needs a value of its own."""


UNCHANGED: Final = Unchanged()


def check_participant_id(participant_id: str) -> None:
    if not 0 < len(participant_id) <= MAX_PARTICIPANT_ID or any(c.isspace() or not c.isprintable() for c in participant_id):
        raise Refusal.INVALID_PARTICIPANT_ID(f"1 to {MAX_PARTICIPANT_ID} characters, no whitespace")


def check_join(request: JoinRequest, participant_id: str, config: SfuConfig) -> None:
    check_participant_id(participant_id)
    check_profile(request.display_name, request.meta_data, request.attributes, config)


def check_profile(display_name: str | None, meta_data: Any, attributes: dict[str, str], config: SfuConfig) -> None:
    if display_name is not None:
        check_name("displayName", display_name, config)
    if meta_data is not UNCHANGED:
        _check_size("metaData", meta_data, config)
    if len(attributes) > MAX_ATTRIBUTES:
        raise Refusal.TOO_MUCH(f"attributes: at most {MAX_ATTRIBUTES} keys")
    _check_size("attributes", attributes, config)


def check_name(path: str, name: str, config: SfuConfig) -> None:
    if len(name) > config.max_display_name:
        raise Refusal.TOO_MUCH(f"{path}: at most {config.max_display_name} characters")


def _check_size(path: str, value: Any, config: SfuConfig) -> None:
    """The size is that of its JSON, escaped or not, whichever the receiver may see."""
    if value is None or value == {}:
        return
    if len(json.dumps(value)) > config.max_metadata_bytes:
        raise Refusal.TOO_MUCH(f"{path}: at most {config.max_metadata_bytes} bytes of JSON")
