"""Who is shown where, now: people, their pictures and the scene in, one composed picture a frame out.

Geometry is `arrange.py`'s, movement `transition.py`'s, pixels are `painter.py`'s. Pictures are yuv420p, BT.601, limited
range, and marked so: what WebRTC sends.
"""

from __future__ import annotations

from pathlib import Path
from time import thread_time

import av
import numpy as np

from media.errors import ParseError, UsageError
from sfu.compose import art
from sfu.compose.arrange import Camera, Cast, Cell, Rect, Share, arrange
from sfu.compose.canvas import Scaler, yuv
from sfu.compose.layout import Layout, ShowImage, ShowText, is_color, parse_layout
from sfu.compose.messages import Scene, SourceName
from sfu.compose.painter import Painter
from sfu.compose.tile import Face, Source, Style, Tile
from sfu.compose.transition import Placed, Transition

MAX_WARNINGS = 20  # kept until somebody takes them
WATERMARK = ("watermark", "")
MARGIN = 1 / 45  # around a watermark, by the shorter side


class Stage:
    """Driven by what happens in the meeting, at times of the composition's own clock; `render` may be called at any pace.

    `scene.layout` must parse (ParseError). Images are looked for in `directory`; what cannot be read is a warning.
    """

    def __init__(self, width: int, height: int, fps: int, scene: Scene, *, directory: Path | None = None) -> None:
        if width % 2 or height % 2 or min(width, height) < 16:
            raise UsageError("a canvas has an even width and height, and 16 pixels at least")
        self.width, self.height, self.fps = width, height, fps
        self.seconds = {"scale": 0.0, "blend": 0.0}
        """CPU that `render` took since the beginning: scaling, and everything else."""
        self._directory = directory
        self._painter = Painter(width, height)
        self._people: dict[str, str] = {}
        self._sources: dict[str, Source] = {}
        self._active: str | None = None
        self._order: tuple[str, ...] = ()
        self._pins: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._cells: tuple[Cell, ...] = ()
        self._tiles: dict[tuple[str, str], Tile] = {}
        self._leaving: dict[tuple[str, str], Tile] = {}
        self._watermark: Tile | None = None
        self._drawn: dict[str, tuple] = {}  # what background and watermark were made of: an image may take half a second
        self._target: list[Placed] | None = None
        self._current: list[Placed] = []
        self._transition: Transition | None = None
        self._warnings: list[str] = []
        self._is_dirty = self._is_repainted = True
        self._layout = Layout()
        self._style = Style(art.THEMES["DARK"], 1.0, True)
        self._images: dict[str, np.ndarray] = {}
        self.set_scene(scene, 0.0)

    # What happens

    def set_scene(self, scene: Scene, at: float) -> None:
        """ParseError when its layout or colour is wrong: then nothing has changed."""
        layout = parse_layout(scene.layout)
        if scene.background_color is not None and not is_color(scene.background_color):
            raise ParseError("background_color: must be a colour like #1a2b3c")
        self._layout = layout
        self._style = Style(art.THEMES[scene.theme], min(self.width, self.height) / 720, scene.show_names)
        self._images.clear()
        color = self._layout.background_color or scene.background_color
        background = (
            art.rgb(color) if color else self._style.theme.background,
            self._layout.background_image or scene.background_image,
        )
        if self._drawn.get("background") != background:
            self._set_background(*background)
        watermark = scene.watermark_image, scene.watermark_text, scene.watermark_position
        if self._drawn.get("watermark") != watermark:
            self._watermark = self._make_watermark(scene)
        self._drawn = {"background": background, "watermark": watermark}
        self._is_dirty = self._is_repainted = True

    def person_joined(self, participant_id: str, name: str, at: float) -> None:
        """Again when the name changed."""
        self._people[participant_id] = name
        self._is_dirty = True

    def person_left(self, participant_id: str, at: float) -> None:
        self._people.pop(participant_id, None)
        self._is_dirty = True

    def source_added(
        self, track_id: str, participant_id: str, source: SourceName, at: float, *, muted: bool = False
    ) -> None:
        """Sound counts too: who has no microphone, or a muted one, is marked so."""
        self._sources[track_id] = Source(track_id, participant_id, source, muted)
        self._is_dirty = True

    def source_removed(self, track_id: str, at: float) -> None:
        self._sources.pop(track_id, None)
        self._is_dirty = True

    def source_muted(self, track_id: str, muted: bool, at: float) -> None:
        source = self._sources.get(track_id)
        if source is not None and source.muted != muted:
            source.muted, source.frame = muted, None  # an old picture must not flash up when the camera is on again
            source.version += 1
            self._is_dirty = True

    def set_speakers(self, active: str | None, order: tuple[str, ...], at: float) -> None:
        """Who speaks, and everybody who has spoken, latest first."""
        self._active, self._order = active, order
        self._is_dirty = True

    def set_pins(self, cameras: tuple[str, ...], shares: tuple[str, ...], at: float) -> None:
        self._pins = cameras, shares
        self._is_dirty = True

    def set_frame(self, track_id: str, frame: av.VideoFrame | None) -> None:
        """The newest decoded picture of a track; kept until the next. None: it has none, the placeholder is shown."""
        source = self._sources.get(track_id)
        if source is not None:
            source.frame = frame
            source.version += 1

    # What comes of it

    def render(self, at: float) -> av.VideoFrame:
        """The picture at that time, without pts. Its pixels are overwritten at the second `render` after this one."""
        began = thread_time()
        self._settle()
        seen = {placed.key for placed in self._current}
        self._leaving = {key: tile for key, tile in self._leaving.items() if key in seen}
        scaled = self._scaling()
        target = [Placed(tile.key, tile.rect) for tile in self._tiles.values()]
        if target != self._target:
            # Nobody saw what was before the first picture.
            self._transition = Transition(self._current, target, at) if self._target is not None else None
            self._target = target
        if self._transition is not None and self._transition.is_over(at):
            self._transition = None
        if self._transition is None:
            self._current = target
            if self._is_repainted:
                self._painter.set_tiles([*self._tiles.values(), *([self._watermark] if self._watermark else [])])
                self._is_repainted = False
            frame = self._painter.still()
        else:
            self._current = self._transition.at(at)
            everybody = self._leaving | self._tiles
            placed = [(everybody[one.key], one.rect, one.alpha) for one in self._current if one.key in everybody]
            if self._watermark:
                placed.append((self._watermark, self._watermark.rect, 1.0))
            frame = self._painter.moving(placed)
        scaled = self._scaling() - scaled
        self.seconds["scale"] += scaled
        self.seconds["blend"] += thread_time() - began - scaled
        return frame

    def wanted_tracks(self) -> frozenset[str]:
        """Video tracks that are in the picture, or about to be: others need not be decoded."""
        self._settle()
        return frozenset(tile.source.track_id for tile in self._tiles.values() if tile.source and not tile.source.muted)

    def shown(self) -> tuple[str, ...]:
        """Participants in the picture, by their places."""
        self._settle()
        ids = (cell.show.participant_id for cell in self._cells if isinstance(cell.show, Camera | Share))
        return tuple(dict.fromkeys(ids))

    def take_warnings(self) -> list[str]:
        """What could not be shown, in words; emptied by the call."""
        warnings, self._warnings = self._warnings, []
        return warnings

    # Inside

    def _scaling(self) -> float:
        return sum(tile.scaling for tile in (*self._tiles.values(), *self._leaving.values()))

    def _warn(self, text: str) -> None:
        if len(self._warnings) < MAX_WARNINGS:
            self._warnings.append(text)

    def _video(self, participant_id: str, name: SourceName) -> Source | None:
        """The newest track of that kind that is on."""
        for source in reversed(self._sources.values()):
            if source.participant_id == participant_id and source.name == name and not source.muted:
                return source
        return None

    def _settle(self) -> None:
        """Places and faces after what happened."""
        if not self._is_dirty:
            return
        self._is_dirty = False
        active = (self._active,) if self._active is not None else ()
        live = [source for source in self._sources.values() if not source.muted]
        screens = dict.fromkeys(source.participant_id for source in reversed(live) if source.name == "screen")
        cast = Cast(
            people=tuple(self._people),
            cameras=frozenset(source.participant_id for source in live if source.name == "webcam"),
            shares=tuple(who for who in screens if who in self._people),
            speakers=tuple(dict.fromkeys(active + self._order)),
            pinned_cameras=self._pins[0],
            pinned_shares=self._pins[1],
        )
        self._cells = arrange(self._layout, cast, self.width, self.height, self._cells)
        heard = {source.participant_id for source in live if source.name == "mic"}
        is_alone = sum(isinstance(cell.show, Camera) for cell in self._cells) == 1
        tiles = {cell.key: self._tile(cell, heard, is_alone) for cell in self._cells}
        self._leaving |= {key: tile for key, tile in self._tiles.items() if key not in tiles}
        for key in tiles:
            self._leaving.pop(key, None)
        if [(key, tile.rect) for key, tile in tiles.items()] != [(key, tile.rect) for key, tile in self._tiles.items()]:
            self._is_repainted = True
        self._tiles = tiles

    def _tile(self, cell: Cell, heard: set[str], is_alone: bool) -> Tile:
        """The tile that was there for the same person, or a new one, as it has to look now."""
        face, source = Face(), None
        if isinstance(cell.show, Camera | Share):
            who, is_camera = cell.show.participant_id, isinstance(cell.show, Camera)
            is_lit = cell.highlight and not is_alone and who == self._active
            face = Face(self._people.get(who, ""), who not in heard, is_lit)
            source = self._video(who, "webcam" if is_camera else "screen")
        tile = self._tiles.get(cell.key) or self._leaving.get(cell.key)
        if tile is None:
            tile = Tile(cell, self._style, face, source, self._warn)
        else:
            tile.update(cell, self._style, face, source)
        tile.image = self._image(cell)
        return tile

    def _image(self, cell: Cell) -> np.ndarray | None:
        """What a cell shows that is drawn: made once for each scene."""
        if not isinstance(cell.show, ShowText | ShowImage):
            return None
        stamp = repr((cell.show, cell.rect, cell.fit, cell.radius))
        if stamp not in self._images:
            width, height = cell.rect.width, cell.rect.height
            if isinstance(cell.show, ShowText):
                drawn = art.text_box(cell.show, width, height, cell.radius, min(self.width, self.height))
            else:
                try:
                    loaded = art.load_image(self._directory, cell.show.name)
                    drawn = art.fitted_image(
                        loaded, width, height, "cover" if cell.fit == "cover" else "contain", cell.radius
                    )
                except ValueError as error:
                    self._warn(str(error))
                    drawn = np.zeros((height, width, 4), np.uint8)
            self._images[stamp] = drawn
        return self._images[stamp]

    def _set_background(self, color: art.RGB, image: str | None) -> None:
        canvas = self._painter.background
        canvas.fill(yuv(color))
        if image is None:
            return
        try:
            fitted = art.fitted_image(art.load_image(self._directory, image), self.width, self.height, "cover")
        except ValueError as error:
            self._warn(str(error))
            return
        alpha = fitted[..., 3:].astype(np.float32) / 255
        mixed = (fitted[..., :3] * alpha + np.array(color, np.float32) * (1 - alpha)).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(mixed, format="rgb24")
        whole = Rect(0, 0, self.width, self.height)
        canvas.paste(Scaler().scale(frame, self.width, self.height, "cover", yuv(color)), whole)

    def _make_watermark(self, scene: Scene) -> Tile | None:
        drawn = None
        if scene.watermark_image is not None:
            try:
                loaded = art.load_image(self._directory, scene.watermark_image)
                drawn = art.watermark_image(loaded, self.width, self.height)
            except ValueError as error:
                self._warn(str(error))
        if drawn is None and scene.watermark_text:
            drawn = art.watermark_text(scene.watermark_text, self.width, min(self.width, self.height))
        if drawn is None:
            return None
        margin = round(min(self.width, self.height) * MARGIN)
        high, wide = drawn.shape[:2]
        x = margin if scene.watermark_position.endswith("left") else self.width - margin - wide
        y = margin if scene.watermark_position.startswith("top") else self.height - margin - high
        rect = Rect(max(x, 0) // 2 * 2, max(y, 0) // 2 * 2, (wide + 1) // 2 * 2, (high + 1) // 2 * 2)
        tile = Tile(Cell(rect, None, key=WATERMARK), self._style, Face(), None, self._warn)
        tile.image = drawn
        return tile
