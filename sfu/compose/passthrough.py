"""Files of encoded media as they came: WebM, fragmented MP4, and MP3 (which alone is encoded anew). One file, one time line.

When files begin and end, and where black and silence belong, is decided by `continuous.py` and `runs.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from sfu.compose.blank import SILENCE, SILENCE_SAMPLES, opus_samples
from sfu.compose.decode import CHANNELS, SAMPLE_RATE, AudioDecoder
from sfu.compose.encoder import Nowhere
from sfu.compose.messages import FileFormat
from sfu.compose.outputs import MP4_OPTIONS, WEBM_OPTIONS, FileWriter
from sfu.compose.source import AccessUnit

VIDEO_TICKS = 90_000
MIN_FRAME = 90  # ticks: WebM counts milliseconds, and two pictures never share one
LAST_FRAME = 3000  # ticks that a picture lasts when nobody knows
TOLERANCE = SILENCE_SAMPLES  # sound goes on where the last packet ended; further away it is moved there
MAX_FILES = 5000  # of one recording: bounds what somebody makes who changes the codec, or the mute, with each picture
AUDIO_BPS = 128_000  # of MP3; what comes as Opus has its own
CONTAINERS = {"VP8": ("webm",), "VP9": ("webm", "mp4"), "AV1": ("webm", "mp4"), "H264": ("mp4",)}
"""Containers that take a codec without a player's doubts, the best first."""
LIKENESS = {"VP8": "libvpx", "VP9": "libvpx-vp9"}  # encoders that give streams their parameters
FROM_FIRST = {"H264": "h264", "AV1": "av1"}  # their parameters are in the first packet, PyAV finds them there


@dataclass(frozen=True, slots=True)
class Form:
    """What a file's pictures are."""

    codec: str
    width: int
    height: int


def suffix_for(form: Form | None, wanted: FileFormat) -> str:
    """The wanted container where it takes the codec, else one that does."""
    allowed = CONTAINERS[form.codec] if form is not None else ("webm", "mp4", "mp3")
    return wanted if wanted in allowed else allowed[0]


class MediaFile:
    """Packets at Unix times, from `zero` on. An error ends it and stays in `error`: nothing here raises."""

    def __init__(self, path: Path, zero: float, form: Form | None, *, audio: bool) -> None:
        self.path = path
        self.zero = zero
        self.form = form
        self.frames = 0
        self._writer = FileWriter(path)
        self._failure: str | None = None
        self._closed = False
        self._audio_end = 0  # samples
        self._held: av.Packet | None = None  # the last picture: how long it lasts is known by the next
        self._video: av.VideoStream | None = None
        self._audio: av.AudioStream | None = None
        self._begin(form, audio=audio)

    def _begin(self, form: Form | None, *, audio: bool) -> None:
        webm = self.path.suffix == ".webm"
        self._container = av.open(
            self._writer, "w", format="webm" if webm else "mp4", options=WEBM_OPTIONS if webm else MP4_OPTIONS
        )
        if form is not None:
            self._video = self._add_video(form)
        if audio:
            self._audio = self._add_audio()

    def _add_video(self, form: Form) -> av.VideoStream:
        size = {"width": form.width, "height": form.height}
        if form.codec in FROM_FIRST:
            return self._container.add_mux_stream(FROM_FIRST[form.codec], time_base=Fraction(1, VIDEO_TICKS), **size)
        scratch = av.open(Nowhere(), "w", format="matroska")
        likeness = scratch.add_stream(LIKENESS[form.codec], rate=30, pix_fmt="yuv420p", **size)
        stream = self._container.add_stream_from_template(likeness, opaque=True)
        stream.time_base = Fraction(1, VIDEO_TICKS)
        return stream

    def _add_audio(self) -> av.AudioStream:
        scratch = av.open(Nowhere(), "w", format="matroska")
        likeness = scratch.add_stream("libopus", rate=SAMPLE_RATE)
        likeness.codec_context.layout = "stereo"
        likeness.codec_context.format = "flt"
        likeness.codec_context.bit_rate = AUDIO_BPS  # told to nobody, but FFmpeg wants one
        scratch.start_encoding()
        return self._container.add_stream_from_template(likeness, opaque=True)

    @property
    def bytes_written(self) -> int:
        return self._writer.written

    @property
    def error(self) -> str | None:
        """Why nothing is written any more, in words without paths."""
        if self._writer.error is not None:
            return self._writer.error.strerror or "it cannot be written"
        return self._failure

    def write_video(self, data: bytes, at: float, *, keyframe: bool) -> None:
        """A picture captured at `at`; it never goes back behind the last one."""
        if self._video is None or self._closed:
            return
        pts = max(0, round((at - self.zero) * VIDEO_TICKS))
        if self._held is not None:
            pts = max(pts, self._held.pts + MIN_FRAME)
            self._let_go(pts)
        packet = av.Packet(data)
        packet.pts = packet.dts = pts
        packet.time_base = Fraction(1, VIDEO_TICKS)
        packet.is_keyframe = keyframe
        packet.stream = self._video
        self._held = packet

    def _let_go(self, end: int) -> None:
        packet, self._held = self._held, None
        if packet is not None:
            packet.duration = max(MIN_FRAME, end - packet.pts)
            self.frames += 1
            self._mux(packet)

    def write_audio(self, unit: AccessUnit) -> None:
        """Sound captured at `unit.at`: what is missing before it is silence, what overlaps what is there goes."""
        samples = opus_samples(unit.data)
        if not samples or self._closed or self._starts(unit.at) <= self._audio_end - TOLERANCE:
            return
        self.fill_audio(unit.at)
        self._write_sound(unit.data, samples)

    def _starts(self, at: float) -> int:
        return round((at - self.zero) * SAMPLE_RATE)

    def fill_audio(self, until: float) -> None:
        """Silence up to Unix time `until`, as whole packets."""
        if self._closed:
            return
        while self._starts(until) - self._audio_end >= SILENCE_SAMPLES and self.error is None:
            self._write_sound(SILENCE, SILENCE_SAMPLES)

    def _write_sound(self, data: bytes, samples: int) -> None:
        if self._audio is None:
            return
        packet = av.Packet(data)
        packet.pts = packet.dts = self._audio_end
        packet.duration = samples
        packet.time_base = Fraction(1, SAMPLE_RATE)
        packet.is_keyframe = True
        packet.stream = self._audio
        self._audio_end += samples
        self._mux(packet)

    def _mux(self, packet: av.Packet) -> None:
        if self.error is not None:
            return
        try:
            self._container.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            self._failure = type(error).__name__

    def finish(self, end: float | None = None) -> None:
        """End the file at Unix time `end`, its last picture and silence reaching up to there; None: where its media ends."""
        if self._closed:
            return
        if end is not None and self._audio is not None:
            self.fill_audio(end)
        if self._held is not None:
            last = self._held.pts + LAST_FRAME
            self._let_go(last if end is None else max(round((end - self.zero) * VIDEO_TICKS), self._held.pts + 1))
        self.close()

    def close(self) -> None:
        """Let go of the file; what is on disk can be played."""
        if not self._closed:
            self._closed = True
            try:
                self._container.close()
            except (av.FFmpegError, ValueError) as error:
                self._failure = self._failure or type(error).__name__
            self._writer.close()


class Mp3File(MediaFile):
    """Sound only, decoded and encoded anew: MP3 holds nothing else."""

    def _begin(self, form: Form | None, *, audio: bool) -> None:
        self._decoder = AudioDecoder()
        self._container = av.open(self._writer, "w", format="mp3", options={"write_xing": "0"})
        self._audio = self._container.add_stream("libmp3lame", rate=SAMPLE_RATE)
        self._audio.codec_context.layout = "stereo"
        self._audio.codec_context.format = "fltp"
        self._audio.codec_context.bit_rate = AUDIO_BPS
        self._resampler = av.AudioResampler("fltp", "stereo", SAMPLE_RATE, frame_size=1152)

    def write_audio(self, unit: AccessUnit) -> None:
        if self._closed or self._starts(unit.at) <= self._audio_end - TOLERANCE:
            return
        parts = self._decoder.decode(unit)
        self.fill_audio(unit.at)
        for samples in parts:
            self._encode(samples)

    def _write_sound(self, data: bytes, samples: int) -> None:
        self._encode(np.zeros((samples, CHANNELS), np.float32))

    def _encode(self, samples: np.ndarray) -> None:
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "flt", "stereo")
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = Fraction(1, SAMPLE_RATE)
        frame.pts = self._audio_end
        self._audio_end += len(samples)
        for block in self._resampler.resample(frame):
            for packet in self._audio.encode(block):
                self._mux(packet)

    def finish(self, end: float | None = None) -> None:
        if self._closed:
            return
        if end is not None:
            self.fill_audio(end)
        for block in (*self._resampler.resample(None), None):
            for packet in self._audio.encode(block):
                self._mux(packet)
        self.close()


@dataclass(slots=True)
class Opened:
    file: MediaFile
    track_id: str | None


class FileSet:
    """The files of one recording. `opened` is told each name and its beginning."""

    def __init__(self, directory: Path, wanted: FileFormat, opened: Callable[[str, float], None]) -> None:
        self.all: list[Opened] = []
        self._directory = directory
        self._wanted: FileFormat = wanted
        self._opened = opened

    def open(
        self,
        stem: str,
        zero: float,
        form: Form | None,
        *,
        audio: bool,
        track_id: str | None = None,
        number: bool = False,
    ) -> MediaFile:
        """A new file `stem.suffix`, or `stem-2.suffix` where there is one already; with `number` from `stem-1` on."""
        suffix = suffix_for(form, self._wanted)
        path = self._free_path(stem, suffix, number=number)
        file = (Mp3File if suffix == "mp3" else MediaFile)(path, zero, form, audio=audio)
        self.all.append(Opened(file, track_id))
        self._opened(path.name, zero)
        return file

    @property
    def is_full(self) -> bool:
        """No more files: what would open one is not recorded."""
        return len(self.all) >= MAX_FILES

    def _free_path(self, stem: str, suffix: str, *, number: bool) -> Path:
        """Of any container: the parts of a recording count on together, those of a run before a restart too."""
        taken = {path.stem for path in self._directory.glob(f"{stem}*")}
        count = 1
        while (name := stem if count == 1 and not number else f"{stem}-{count}") in taken:
            count += 1
        return self._directory / f"{name}.{suffix}"

    @property
    def bytes_written(self) -> int:
        return sum(opened.file.bytes_written for opened in self.all)

    @property
    def frames(self) -> int:
        return sum(opened.file.frames for opened in self.all)

    @property
    def error(self) -> str | None:
        return next((opened.file.error for opened in self.all if opened.file.error is not None), None)

    def close(self) -> None:
        for opened in self.all:
            opened.file.close()
