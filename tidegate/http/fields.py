"""What all models of bodies and queries share: they validate, and `/openapi.json` is made from them.

Bodies are strict: "1" is no number, an unknown field is an error with its path. A null is the same as an absent field.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from tidegate.auth import MAX_ID_CHARS, is_identifier
from tidegate.http.problem import PATHED, UNSUPPORTED


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", strict=True)


class Body(Model):
    """`unsupported`: fields of the reference that we do not have, and what to say about each; `unsupported_values` the same
    of values of fields that we do have."""

    unsupported: ClassVar[dict[str, str]] = {}
    unsupported_values: ClassVar[dict[str, dict[str, str]]] = {}

    @model_validator(mode="before")
    @classmethod
    def refuse_unsupported(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name, why in cls.unsupported.items():
                if data.get(name) is not None:
                    raise unsupported(name, why)
            for name, values in cls.unsupported_values.items():
                if isinstance(data.get(name), str) and data[name] in values:
                    raise unsupported(name, f"{data[name]}: {values[data[name]]}")
            return {key: value for key, value in data.items() if value is not None and key not in cls.unsupported}
        return data


def unsupported(name: str, why: str) -> PydanticCustomError:
    """The error that is answered with 501. `name` is the field, below where it is raised."""
    return PydanticCustomError(UNSUPPORTED, "{field} is not supported: {why}", {"field": name, "why": why})


def wrong(path: str, message: str) -> PydanticCustomError:
    """A mistake at `path` below where it is raised: `boxes[2].x`."""
    return PydanticCustomError(PATHED, "{message}", {"field": path, "message": message})


class Query(Model):
    """Parameters come as text, so numbers are read from it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", strict=False)


def check_identifier(value: str) -> str:
    if not is_identifier(value):
        raise ValueError(f"1 to {MAX_ID_CHARS} visible characters, no spaces")
    return value


def without_controls(value: str) -> str:
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("must not contain NUL or half of a surrogate pair")
    return value


Identifier = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS)]
PageNumber = Annotated[int, Field(ge=1, le=1_000_000)]
PageSize = Annotated[int, Field(ge=1, le=100)]
Millis = Annotated[int, Field(ge=0, le=253_402_300_799_000)]  # the year 9999


class WithIdentifiers(Model):
    """Checks the form of every field that names something."""

    @field_validator("room_id", "custom_room_id", "participant_id", "session_id", "query", check_fields=False)
    @classmethod
    def check_identifiers(cls, value: Any) -> Any:
        return value if value is None else check_identifier(value)


class Paged(WithIdentifiers, Query):
    page: PageNumber = 1
    per_page: PageSize = 20


def check_web_address(value: str) -> str:
    """An http(s) URL without user and password. Checked for form now, resolved when it is used."""
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not value.isprintable() or " " in value:
        raise ValueError("must be an address of the form https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user or password")
    return value


WebAddress = Annotated[str, Field(max_length=512), AfterValidator(check_web_address)]


MAX_DIR_NAME = 128  # file systems take 255 bytes


def check_dir_path(value: str) -> str:
    """A folder below the storage's own, as one form of writing it: `a/b`."""
    parts = [part for part in value.split("/") if part]
    if any(set(part) <= {"."} for part in parts):
        raise ValueError("must not lead out of the storage")
    if any(len(part) > MAX_DIR_NAME for part in parts):
        raise ValueError(f"no folder's name may be longer than {MAX_DIR_NAME} characters")
    return "/".join(parts)


DirPath = Annotated[
    str,
    Field(max_length=256, pattern=r"^[A-Za-z0-9 ._=/-]*$", description="A folder in the storage."),
    AfterValidator(check_dir_path),
]
