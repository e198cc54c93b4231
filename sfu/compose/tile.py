"""One place of the picture and what it needs to be painted: the newest frame of its source, scaled once, its badge, its art."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import thread_time

import av
import numpy as np

from sfu.compose import art
from sfu.compose.arrange import Camera, Cell, Rect, Share
from sfu.compose.canvas import YUV, Picture, Scaler, yuv
from sfu.compose.layout import Fit
from sfu.compose.messages import SourceName

UPRIGHT = 0.5  # a picture of less than this part of its tile's shape is a phone held upright


@dataclass(slots=True, eq=False)
class Source:
    """A track. `version` grows with each frame."""

    track_id: str
    participant_id: str
    name: SourceName
    muted: bool = False
    frame: av.VideoFrame | None = None
    version: int = 0
    is_refused: bool = False
    """Its last frame could not be scaled; said once."""

    @property
    def is_live(self) -> bool:
        return self.frame is not None and not self.muted


@dataclass(frozen=True, slots=True)
class Style:
    """What all tiles of a scene have in common. `unit` is a pixel at 720."""

    theme: art.Theme
    unit: float
    show_names: bool


@dataclass(frozen=True, slots=True)
class Face:
    """What a tile shows beside its frame; a tile is painted anew when it changed."""

    name: str = ""
    muted: bool = False
    highlighted: bool = False


class Tile:
    """`revision` grows when anything but the frame changed. With an `image` it is a patch: drawn, and never scaled."""

    def __init__(
        self, cell: Cell, style: Style, face: Face, source: Source | None, warn: Callable[[str], None]
    ) -> None:
        self.cell, self.style, self.face, self.source = cell, style, face, source
        self.image: np.ndarray | None = None
        self.revision = 0
        self.scaling = 0.0
        """Seconds of CPU that pictures took, all in all."""
        self._warn = warn
        self._scaler = Scaler()
        self._picture: Picture | None = None
        self._pictured: tuple = ()
        self._art: tuple[tuple, av.VideoFrame] | None = None
        self._badge: tuple[tuple, np.ndarray | None] = ((), None)

    @property
    def key(self) -> tuple[str, str]:
        return self.cell.key

    @property
    def rect(self) -> Rect:
        return self.cell.rect

    @property
    def stamp(self) -> tuple[int, int]:
        """Changes when the tile must be painted again."""
        return self.revision, self.source.version if self.source is not None else 0

    def update(self, cell: Cell, style: Style, face: Face, source: Source | None) -> None:
        if (cell, style, face, source) != (self.cell, self.style, self.face, self.source):
            self.cell, self.style, self.face, self.source = cell, style, face, source
            self.revision += 1

    def border(self) -> tuple[YUV, int]:
        """Colour and thickness; 0 for none."""
        if self.face.highlighted:
            return yuv(self.style.theme.highlight), max(round(3 * self.style.unit), 2, self.cell.border_width)
        return yuv(art.rgb(self.cell.border_color)), self.cell.border_width

    def badge(self) -> np.ndarray | None:
        """RGBA; kept until what it says changes."""
        rect, face = self.rect, self.face
        is_named = self.style.show_names and self.cell.show_name
        is_share = isinstance(self.cell.show, Share)
        name, muted = face.name if is_named else "", face.muted and not is_share
        stamp = (name, muted, is_share, rect.width, rect.height, self.style.unit)
        if stamp != self._badge[0]:
            drawn = None
            if isinstance(self.cell.show, Camera | Share) and (name or muted):
                drawn = art.badge(
                    name,
                    muted=muted,
                    shares=is_share,
                    tile_width=rect.width,
                    tile_height=rect.height,
                    unit=self.style.unit,
                )
            self._badge = stamp, drawn
        return self._badge[1]

    def badge_place(self, rect: Rect) -> tuple[int, int]:
        """Where in a rect the badge's upper left corner stands."""
        inset, drawn = art.badge_inset(self.rect.height, self.style.unit), self.badge()
        assert drawn is not None
        return rect.x + inset, rect.bottom - inset - drawn.shape[0]

    def picture(self, width: int, height: int) -> Picture:
        """The newest frame, or the placeholder, in that size. Scaled once."""
        source = self.source
        stamp = (*self.stamp, width, height)
        if self._picture is None or self._pictured != stamp:
            began = thread_time()
            picture = None
            if source is not None and source.frame is not None and source.is_live:
                picture = self._filmed(source, source.frame, width, height)
            self._picture = picture or self._drawn(width, height)
            self._pictured = stamp
            self.scaling += thread_time() - began
        return self._picture

    def _filmed(self, source: Source, frame: av.VideoFrame, width: int, height: int) -> Picture | None:
        try:
            return self._scaler.scale(frame, width, height, self._fit(frame), yuv(self.style.theme.tile))
        except (av.FFmpegError, ValueError, MemoryError) as error:
            if not source.is_refused:
                source.is_refused = True
                self._warn(f"track {source.track_id}: a picture cannot be shown ({type(error).__name__})")
            return None

    def _fit(self, frame: av.VideoFrame) -> Fit:
        if self.cell.fit != "auto":
            return self.cell.fit
        width, height = (frame.height, frame.width) if frame.rotation % 180 else (frame.width, frame.height)
        return "contain" if width * self.rect.height < UPRIGHT * height * self.rect.width else "cover"

    def _drawn(self, width: int, height: int) -> Picture:
        """Initials; plain where there is nobody, or where a screen has not come yet. Drawn in the tile's own size only."""
        tile_color = self.style.theme.tile
        if not isinstance(self.cell.show, Camera):
            return Picture.blank(width, height, yuv(tile_color))
        rect = self.rect
        stamp = (self.cell.show.participant_id, self.face.name, rect.width, rect.height, tile_color)
        if self._art is None or self._art[0] != stamp:
            drawn = art.placeholder(*stamp)
            self._art = stamp, av.VideoFrame.from_ndarray(np.ascontiguousarray(drawn[..., :3]), format="rgb24")
        return Scaler().scale(self._art[1], width, height, "cover", yuv(tile_color))
