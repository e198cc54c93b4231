"""From what a caller asks for to what a worker draws, and the pictures that go with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sfu.compose.messages import Scene
from sfu.meeting.permissions import Source
from tidegate.egress.requests import Chosen, Look
from tidegate.egress.seat import Choice

SOURCE_OF_KIND = {
    "audio": Source.MIC,
    "video": Source.WEBCAM,
    "screen_audio": Source.SCREEN_AUDIO,
    "screen_video": Source.SCREEN,
}


def scene_of(look: Look) -> Scene:
    return Scene(
        layout=look.layout,
        theme=look.theme,
        background_color=look.background_color,
        background_image=look.background_image,
        watermark_text=look.watermark_text,
        watermark_image=look.watermark_image,
        watermark_position=look.watermark_position,
        show_names=look.show_names,
    )


def patched(scene: Scene, changes: Mapping[str, Any]) -> Scene:
    """`changes` are fields of Look; its pictures are not part of a scene."""
    return replace(scene, **{name: value for name, value in changes.items() if name != "images"})


def write_pictures(directories: list[Path], images: Mapping[str, bytes]) -> None:
    """Names are ours, made of their content. Blocking."""
    for directory in directories:
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in images.items():
            (directory / name).write_bytes(data)


def chosen_sources(chosen: tuple[Chosen, ...]) -> Choice:
    """For a composite recording of some participants."""
    wanted = {
        one.participant_id: frozenset(SOURCE_OF_KIND[kind] for kind in one.kinds) or frozenset(Source) for one in chosen
    }
    return lambda participant_id, source: source in wanted.get(participant_id, ())


def one_participant(participant_id: str, kind: str | None) -> Choice:
    """Microphone and camera; with a kind, that track."""
    sources = {SOURCE_OF_KIND[kind]} if kind is not None else {Source.MIC, Source.WEBCAM}
    return lambda whose, source: whose == participant_id and source in sources
