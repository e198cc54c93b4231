"""Who is shown where, now: people, their pictures and the scene in, one composed picture a frame out.

Geometry is `arrange.py`'s, pixels are `canvas.py`'s. Pictures are yuv420p, BT.601, limited range, as WebRTC sends them.
"""

from __future__ import annotations

from pathlib import Path

import av

from sfu.compose.messages import Scene, SourceName


class Stage:
    """Driven by what happens in the meeting, at times of the composition's own clock; `render` may be called at any pace.

    `scene.layout` must parse (ParseError). Images are looked for in `directory`; what cannot be read is a warning.
    """

    def __init__(self, width: int, height: int, fps: int, scene: Scene, *, directory: Path | None = None) -> None: ...

    def set_scene(self, scene: Scene, at: float) -> None:
        """ParseError when its layout is wrong: then nothing has changed."""

    def person_joined(self, participant_id: str, name: str, at: float) -> None:
        """Again when the name changed."""

    def person_left(self, participant_id: str, at: float) -> None: ...

    def source_added(
        self, track_id: str, participant_id: str, source: SourceName, at: float, *, muted: bool = False
    ) -> None:
        """Sound counts too: who has no microphone, or a muted one, is marked so."""

    def source_removed(self, track_id: str, at: float) -> None: ...

    def source_muted(self, track_id: str, muted: bool, at: float) -> None: ...

    def set_speakers(self, active: str | None, order: tuple[str, ...], at: float) -> None:
        """Who speaks, and everybody who has spoken, latest first."""

    def set_pins(self, cameras: tuple[str, ...], shares: tuple[str, ...], at: float) -> None: ...

    def set_frame(self, track_id: str, frame: av.VideoFrame | None) -> None:
        """The newest decoded picture of a track; kept until the next. None: it has none, the placeholder is shown."""

    def render(self, at: float) -> av.VideoFrame:
        """The picture at that time, without pts. Its pixels are overwritten at the second `render` after this one."""

    def wanted_tracks(self) -> frozenset[str]:
        """Video tracks that are in the picture, or about to be: others need not be decoded."""

    def shown(self) -> tuple[str, ...]:
        """Participants in the picture, by their places."""

    def sizes(self) -> dict[str, tuple[int, int]]:
        """How large each wanted track is shown."""

    def take_warnings(self) -> list[str]:
        """What could not be shown, in words; emptied by the call."""
