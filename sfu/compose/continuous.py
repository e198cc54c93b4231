"""A participant's recording: one file that goes on whatever happens, black and silent where there is nothing to record.

A change of size goes on in the same file, a change of codec opens the next. Nothing is decoded or encoded, but one black
keyframe for each codec and size.
"""

from __future__ import annotations

from media.codecs import Kind
from sfu.compose.blank import DEFAULT_SIZE, ENCODERS, black_keyframe, is_possible, picture_size
from sfu.compose.messages import TrackFileSpec
from sfu.compose.passthrough import FileSet, Form, MediaFile
from sfu.compose.source import AccessUnit, Source

OPENING = 1.2  # seconds that a file waits for all it is to hold: the first bytes are to be there within two
BLACK_INTERVAL = 2.0  # seconds between black keyframes: a player can go to any place among them
FROZEN = 5.0  # seconds without a picture after which black is the better one
AUDIO_MARGIN = 0.2  # beyond the playout delay; what comes later than silence was written there is lost
MAX_EARLY = 1000  # units that wait for the file to open; it opens when there are more
PREFERRED = ("mic", "webcam")
STEM = "participant"


class Slot:
    """The sources of one kind: the one that is recorded, and those that are not now."""

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}
        self.active: Source | None = None

    def add(self, source: Source) -> None:
        source.set_shown(False)
        self.sources[source.info.track_id] = source
        self._choose()

    def remove(self, track_id: str) -> bool:
        """Whether it was the one that is recorded."""
        source = self.sources.pop(track_id, None)
        if source is None or source is not self.active:
            return False
        self.active = None
        self._choose()
        return True

    def _choose(self) -> None:
        if self.active is not None or not self.sources:
            return
        best = min(self.sources.values(), key=lambda source: source.info.source not in PREFERRED)
        best.set_shown(True)
        self.active = best


class ContinuousFiles:
    """Times are Unix seconds (`wall`) but `now`."""

    def __init__(self, spec: TrackFileSpec, files: FileSet) -> None:
        self._spec = spec
        self._files = files
        kinds = [kind for kind, wanted in ((Kind.AUDIO, spec.audio), (Kind.VIDEO, spec.video)) if wanted]
        if spec.file_format == "mp3":
            kinds = [Kind.AUDIO]
        self._slots = {kind: Slot() for kind in kinds}
        self._file: MediaFile | None = None
        self._known: float | None = None  # when the first source was told: the recording's beginning
        self._early: list[AccessUnit] = []
        self._form: Form | None = None  # of the last picture
        self._dark: float | None = None  # when black is due; None while pictures come
        self._awake_at = 0.0  # `now` when pictures were last begun to be waited for

    def add(self, source: Source, *, now: float, wall: float) -> None:
        slot = self._slots.get(source.info.kind)
        if slot is None:
            source.set_shown(False)
            return
        self._known = wall if self._known is None else self._known
        slot.add(source)
        self._awake_at = now

    def remove(self, track_id: str, *, now: float, wall: float) -> None:
        for kind, slot in self._slots.items():
            if slot.remove(track_id) and kind is Kind.VIDEO:
                self._darken(wall)

    def set_muted(self, track_id: str, muted: bool, *, now: float, wall: float) -> None:
        self._awake_at = now
        slot = self._slots.get(Kind.VIDEO)
        if muted and slot is not None and slot.active is not None and slot.active.info.track_id == track_id:
            self._darken(wall)

    def _darken(self, wall: float) -> None:
        if self._dark is None:
            self._dark = wall

    @property
    def begins(self) -> float | None:
        return self._known

    def step(self, *, now: float, wall: float, end: float | None = None) -> None:
        """Write what came and what is missing; nothing from `end` on."""
        units: list[AccessUnit] = []
        for slot in self._slots.values():
            for source in slot.sources.values():
                while (unit := source.next_unit(now=now)) is not None:
                    units.append(unit)
        units = sorted((unit for unit in units if end is None or unit.at < end), key=lambda unit: unit.at)
        if self._file is None:
            self._early += units
            if self._known is None or not self._is_ready(self._known, wall, ending=end is not None):
                return
            units, self._early = self._early, []
            self._open(self._known, next((unit for unit in units if unit.codec.kind is Kind.VIDEO), None))
        for unit in units:
            self._write(unit)
        self._fill(now, wall if end is None else min(wall, end))

    def _is_ready(self, known: float, wall: float, *, ending: bool) -> bool:
        if ending or wall - known >= OPENING or len(self._early) > MAX_EARLY:
            return True
        there = {unit.codec.kind for unit in self._early}
        return all(
            kind in there or (slot.active is not None and slot.active.muted) for kind, slot in self._slots.items()
        )

    def _open(self, zero: float, first: AccessUnit | None) -> None:
        form = None
        if Kind.VIDEO in self._slots:
            form = self._form_of(first) if first is not None else None
            form = form or self._expected_form()
        self._form = form
        self._file = self._files.open(STEM, zero, form, audio=Kind.AUDIO in self._slots)
        if form is not None and first is None:
            self._darken(zero)
        elif first is not None and first.at - zero < OPENING:
            first.at = zero  # the first picture stands from the beginning on, instead of a flash of black

    def _form_of(self, unit: AccessUnit) -> Form | None:
        size = picture_size(unit) if unit.keyframe else None
        return Form(unit.codec.name, *size) if size is not None else None

    def _expected_form(self) -> Form:
        """Of a camera that is not seen yet: as it is told, else what is usual."""
        source = self._slots[Kind.VIDEO].active
        usual = "H264" if self._spec.file_format == "mp4" else "VP8"
        if source is None:
            return Form(usual, *DEFAULT_SIZE)
        name = next((codec.name for codec in source.info.codecs if codec.name in ENCODERS), usual)
        size = source.info.width or DEFAULT_SIZE[0], source.info.height or DEFAULT_SIZE[1]
        return Form(name, *(size if is_possible(*size) else DEFAULT_SIZE))

    def _write(self, unit: AccessUnit) -> None:
        assert self._file is not None
        if unit.codec.kind is Kind.AUDIO:
            self._file.write_audio(unit)
            return
        if unit.keyframe:
            form = self._form_of(unit)
            if form is None:
                return  # nobody could show it
            if self._form is not None and form.codec != self._form.codec:
                if self._files.is_full:
                    return
                self._go_on(unit.at, form)
            self._form = form
        elif self._form is None or unit.codec.name != self._form.codec:
            return
        self._dark = None
        self._file.write_video(unit.data, unit.at, keyframe=unit.keyframe)

    def _go_on(self, at: float, form: Form) -> None:
        """In the next file."""
        assert self._file is not None
        self._file.finish(at)
        self._file = self._files.open(STEM, at, form, audio=Kind.AUDIO in self._slots)

    def _fill(self, now: float, wall: float) -> None:
        assert self._file is not None
        if Kind.AUDIO in self._slots:
            self._file.fill_audio(wall - self._spec.playout_delay - AUDIO_MARGIN)
        slot = self._slots.get(Kind.VIDEO)
        if slot is None or self._form is None:
            return
        if self._dark is None and slot.active is not None:
            last = max(slot.active.last_unit_at or 0.0, self._awake_at)
            if now - last > FROZEN:
                slot.active.skip_to_keyframe()
                self._darken(wall)
        while self._dark is not None and self._dark <= wall:
            form = self._form
            data = black_keyframe(form.codec, form.width, form.height)
            self._file.write_video(data, self._dark, keyframe=True)
            self._dark += BLACK_INTERVAL

    def finish(self, end: float) -> None:
        if self._file is not None:
            self._file.finish(end)
            self._file = None
