"""How a composition is asked for (reference section 2.3, and more), and what the egress is handed of it.

A layout is checked by `sfu.compose.layout`, the same code that the worker reads it with. Pictures come as base64 in the
body and are told by their first bytes; what they hold is looked at in the worker only.
"""

from __future__ import annotations

import base64
import binascii
import copy
import hashlib
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from media.errors import ParseError
from sfu.compose.layout import canvas_size, parse_layout
from tidegate.egress.requests import Composition, CompositionPatch, Look
from tidegate.http.fields import Body, DirPath, unsupported, without_controls, wrong
from tidegate.http.problem import Problem

MAX_IMAGE_BYTES = 1_000_000
MAX_IMAGES = 16
MAX_COMPOSITION_BODY = 4_000_000  # two pictures of the largest size in base64, and some
NO_TEMPLATES = "compositions are laid out by the server, not by a page"
NO_TRANSCRIPTION = "there is no transcription"
NO_URLS = "give pictures as imageBase64"

Color = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$", description="#rrggbb")]


def check_layout(value: dict[str, Any]) -> dict[str, Any]:
    try:
        parse_layout(value)
    except ParseError as error:
        path, _, message = str(error).partition(": ")
        raise wrong("" if path == "layout" else path, message) from None
    return value


Layout = Annotated[
    dict[str, Any],
    AfterValidator(check_layout),
    Field(
        description="{type: GRID|SPOTLIGHT|SIDEBAR, priority: SPEAKER|PIN, gridSize: 0..25}, or {boxes: [...]}: docs/layouts.md"
    ),
]


def read_image(text: str) -> bytes:
    """The bytes of a PNG, JPEG or WebP in base64, with or without `data:image/png;base64,` before it. ValueError."""
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        if not head.endswith(";base64"):
            raise ValueError("must be base64")
    if len(text) > MAX_IMAGE_BYTES * 4 // 3 + 4:
        raise ValueError(f"must not be larger than {MAX_IMAGE_BYTES} bytes")
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise ValueError("must be base64") from None
    suffix_of(data)
    return data


def suffix_of(data: bytes) -> str:
    """By the first bytes, whatever its sender calls it."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ".png"
    if data.startswith(b"\xff\xd8\xff"):
        return ".jpg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    raise ValueError("must be a PNG, JPEG or WebP picture")


def check_image(text: str) -> str:
    read_image(text)
    return text


Image = Annotated[str, AfterValidator(check_image), Field(description="PNG, JPEG or WebP in base64, at most 1 MB.")]
ImageName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. -]{0,63}$")]


class Background(Body):
    """An empty object: the theme's."""

    unsupported: ClassVar[dict[str, str]] = {"imageUrl": NO_URLS}
    color: Color | None = None
    image_base64: Image | None = None


class Watermark(Body):
    """A text or a picture in a corner. An empty object: none."""

    unsupported: ClassVar[dict[str, str]] = {"imageUrl": NO_URLS}
    text: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(without_controls)] | None = None
    image_base64: Image | None = None
    position: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = "bottom-right"


class LookConfig(Body):
    """What of a composition can change while it runs."""

    layout: Layout | None = None
    theme: Literal["DARK", "LIGHT", "DEFAULT"] | None = None
    background: Background | None = None
    watermark: Watermark | None = None
    show_names: bool | None = None
    images: dict[ImageName, Image] = Field(
        default_factory=dict, max_length=MAX_IMAGES, description="Pictures that boxes of the layout name."
    )


class CompositionConfig(LookConfig):
    """How a composition looks; reference section 2.3."""

    unsupported_values: ClassVar[dict[str, dict[str, str]]] = {"quality": {"ultra": "high is the largest"}}
    mode: Literal["video-and-audio", "audio"] = "video-and-audio"
    quality: Literal["low", "med", "high"] = "med"
    orientation: Literal["landscape", "portrait"] = "landscape"
    fps: Annotated[int, Field(ge=5, le=60, description="The server's, usually 30, where it is absent.")] | None = None

    @model_validator(mode="after")
    def check_images(self) -> CompositionConfig:
        missing = missing_image(self, {})
        if missing is not None:
            raise wrong("images", missing)
        return self


class RecordAlongside(Body):
    enabled: bool = False


class BroadcastConfig(CompositionConfig):
    recording: RecordAlongside = RecordAlongside()

    @field_validator("mode")
    @classmethod
    def check_mode(cls, value: str) -> str:
        if value == "audio":
            raise ValueError("platforms take no broadcast without a picture")
        return value


class LookPatch(LookConfig):
    """Fields that are absent stay as they are."""

    @model_validator(mode="before")
    @classmethod
    def refuse_fixed(cls, data: Any) -> Any:
        for name in ("mode", "quality", "orientation", "fps"):
            if isinstance(data, dict) and data.get(name) is not None:
                raise wrong(name, "cannot change while it runs")
        return data


class ChangeComposition(Body):
    config: LookPatch


# autoStartConfig of a room

NO_UPLOAD = "an address can be uploaded to once, and a room has many sessions"


class AutoStartCompositionConfig(CompositionConfig):
    @model_validator(mode="after")
    def refuse_images(self) -> AutoStartCompositionConfig:
        given = {
            "background.imageBase64": self.background and self.background.image_base64,
            "watermark.imageBase64": self.watermark and self.watermark.image_base64,
            "images": self.images,
        }
        for path, value in given.items():
            if value:
                raise unsupported(path, "a room keeps no pictures: PATCH the recording once it runs")
        return self


class AutoStart(Body):
    unsupported: ClassVar[dict[str, str]] = {
        "templateUrl": NO_TEMPLATES,
        "transcription": NO_TRANSCRIPTION,
        "preSignedUrl": NO_UPLOAD,
        "preSignedURL": NO_UPLOAD,
    }
    config: AutoStartCompositionConfig | None = None
    aws_dir_path: DirPath | None = None
    bucket_dir_path: DirPath | None = None


class AutoStartConfig(Body):
    """What begins by itself with each session."""

    unsupported: ClassVar[dict[str, str]] = {"composite": "composite recordings do not start by themselves"}
    recording: AutoStart | None = None
    hls: AutoStart | None = None


# What the egress is handed


def missing_image(config: LookConfig, known: dict[str, str]) -> str | None:
    """In words, the first picture that the layout names and that is neither among `images` nor known from before."""
    if config.layout is None:
        return None
    for name in sorted(parse_layout(config.layout).image_names):
        if name not in config.images and name not in known:
            return f"the layout names {name}, which is not among them"
    return None


def compose(config: CompositionConfig | None) -> Composition:
    """`config` None: everything as the server has it."""
    config = config or CompositionConfig()
    changes, shown = _look(config, {})
    width, height = canvas_size(config.quality, config.orientation)
    plain = {"mode": config.mode, "quality": config.quality, "orientation": config.orientation}
    if config.fps is not None:
        plain["fps"] = config.fps
    shown = {"layout": Look().layout, "theme": "DARK"} | shown | plain
    look = Look(**changes)
    return Composition(width, height, config.fps, config.mode, look, shown)


def compose_kept(config: dict[str, Any] | None) -> Composition:
    """Of a config that a room keeps (`autoStartConfig.recording.config`): it was checked when it came."""
    return compose(CompositionConfig.model_validate(config or {}))


def patch(config: LookPatch, kept: dict[str, Any]) -> CompositionPatch:
    """`kept` is the config of the row that changes: pictures given earlier are known by their names."""
    known = kept.get("images", {})
    missing = missing_image(config, known)
    if missing is not None:
        raise Problem(400, missing, name="INVALID_REQUEST", errors=[("config.images", missing)])
    changes, shown = _look(config, known)
    return CompositionPatch(changes, shown)


def _look(config: LookConfig, known: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of `Look` that `config` sets, and what is shown of it."""
    images: dict[str, bytes] = {}

    def keep(text: str) -> str:
        data = read_image(text)
        name = hashlib.sha256(data).hexdigest()[:16] + suffix_of(data)
        images[name] = data
        return name

    changes: dict[str, Any] = {}
    shown: dict[str, Any] = {}
    files = known | {name: keep(text) for name, text in config.images.items()}
    if files:
        shown["images"] = files
    if config.layout is not None:
        changes["layout"] = _with_files(config.layout, files)
        shown["layout"] = config.layout
    if config.theme is not None:
        changes["theme"] = shown["theme"] = "LIGHT" if config.theme == "LIGHT" else "DARK"
    if config.background is not None:
        image = config.background.image_base64
        changes["background_color"] = config.background.color
        changes["background_image"] = keep(image) if image else None
        shown["background"] = {"color": config.background.color, "image": changes["background_image"]}
    if config.watermark is not None:
        image = config.watermark.image_base64
        changes["watermark_text"] = config.watermark.text
        changes["watermark_image"] = keep(image) if image else None
        changes["watermark_position"] = config.watermark.position
        shown["watermark"] = {
            "text": config.watermark.text,
            "image": changes["watermark_image"],
            "position": config.watermark.position,
        }
    if config.show_names is not None:
        changes["show_names"] = shown["showNames"] = config.show_names
    if images:
        changes["images"] = images
    return changes, shown


def _with_files(layout: dict[str, Any], files: dict[str, str]) -> dict[str, Any]:
    """The layout with our file names in place of the caller's."""
    layout = copy.deepcopy(layout)
    for holder in layout.get("boxes", []):
        if "image" in holder:
            holder["image"]["name"] = files[holder["image"]["name"]]
    if layout.get("background", {}).get("image") is not None:
        layout["background"]["image"] = files[layout["background"]["image"]]
    return layout
