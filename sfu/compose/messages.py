"""What a node and a media worker say to each other about a meeting's compositions and recordings: plain data, no codec.

The node imports this module (and `layout.py`) of the package and nothing else of it. Times are seconds; `at` is Unix time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from media.codecs import Codec, Kind

Mode = Literal["video-and-audio", "audio"]
SourceName = Literal["mic", "webcam", "screen", "screenAudio"]
FileFormat = Literal["mp4", "webm", "mp3"]

# What a pipeline is to make


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """One encode for all outputs. Bit rates in bits a second; 0: by the picture's size."""

    video: str = "libx264"  # or h264_nvenc; WebM takes libvpx whatever stands here
    preset: str = "superfast"
    video_bps: int = 0
    audio_bps: int = 128_000
    keyframe_seconds: float = 2.0  # platforms refuse more than 4


@dataclass(frozen=True, slots=True)
class Scene:
    """What a composition looks like. Changed while it runs, as a whole."""

    layout: dict[str, Any] = field(default_factory=lambda: {"type": "GRID"})
    """`{type: GRID|SPOTLIGHT|SIDEBAR, priority: SPEAKER|PIN, gridSize}` or `{boxes: [...]}`: what `layout.parse_layout` takes."""
    theme: Literal["DARK", "LIGHT"] = "DARK"
    background_color: str | None = None  # "#rrggbb"; None: the theme's
    background_image: str | None = None  # path of a file in the pipeline's directory
    watermark_text: str | None = None
    watermark_image: str | None = None
    watermark_position: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = "bottom-right"
    show_names: bool = True


@dataclass(frozen=True, slots=True)
class CompositionSpec:
    """A picture and a mix of many. `flv`: an FLV stream leaves on the descriptor that the worker was given for it."""

    id: str
    directory: str
    """Where files go; made by the node. A recording is `recording.mp4` or `.webm`."""
    width: int
    height: int
    fps: int = 30
    mode: Mode = "video-and-audio"
    scene: Scene = field(default_factory=Scene)
    file_format: Literal["mp4", "webm"] | None = None  # None: no file
    flv: bool = False
    encoder: EncoderSpec = field(default_factory=EncoderSpec)
    playout_delay: float = 0.4
    """How long after its capture a frame is shown: what comes later, by loss and retransmission, is lost."""


@dataclass(frozen=True, slots=True)
class TrackFileSpec:
    """Tracks into files without transcoding. `continuous`: one file with silence and black while muted (a participant's
    recording); else a file for each run of the track."""

    id: str
    directory: str
    file_format: FileFormat = "webm"
    continuous: bool = True
    video: bool = True
    audio: bool = True
    playout_delay: float = 1.0


@dataclass(frozen=True, slots=True)
class MergeInput:
    """A finished file; `channel` 0 left, 1 right for a stereo merge. `offset` is where it begins in the result; for
    `concat` how long nothing is heard or seen before it."""

    path: str
    offset: float = 0.0
    channel: int = 0


@dataclass(frozen=True, slots=True)
class MergeSpec:
    """Finished files into one: `stereo` speech left and right; `grid` side by side; `concat` one after the other."""

    id: str
    directory: str
    task: Literal["stereo", "grid", "concat"]
    inputs: tuple[MergeInput, ...]
    file_format: FileFormat = "mp4"


@dataclass(frozen=True, slots=True)
class FinalizeSpec:
    """Fragmented files, as a killed worker left them, into fast-start ones (of the same names)."""

    id: str
    directory: str
    names: tuple[str, ...]


# Node -> worker, while it runs


@dataclass(frozen=True, slots=True)
class SourceAdded:
    """Packets with this SSRC are a track of that participant. `codecs` by their payload types in these packets."""

    track_id: str
    participant_id: str
    source: SourceName
    kind: Kind
    ssrc: int
    codecs: tuple[Codec, ...]
    muted: bool = False
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class SourceRemoved:
    track_id: str


@dataclass(frozen=True, slots=True)
class SourceMuted:
    track_id: str
    muted: bool


@dataclass(frozen=True, slots=True)
class PersonJoined:
    """Somebody who is seen: present in the meeting. Told again when the name changed."""

    participant_id: str
    name: str


@dataclass(frozen=True, slots=True)
class PersonLeft:
    participant_id: str


@dataclass(frozen=True, slots=True)
class SpeakersChanged:
    """Who speaks (None: nobody), and everybody who has spoken, latest first."""

    active: str | None
    order: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PinsChanged:
    """Participants whose camera, screen share, or both are pinned."""

    cameras: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SceneChanged:
    scene: Scene


@dataclass(frozen=True, slots=True)
class Stop:
    """End well: last frames out, files finalised, `Done` said."""


# Worker -> node


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file that was made. `name` is relative to the pipeline's directory; `start` is Unix time of its first frame."""

    name: str
    start: float
    duration: float
    size: int
    width: int | None = None
    height: int | None = None
    kind: Literal["audio", "video", "audio-video"] = "audio-video"
    track_id: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The first bytes are out. `at` is Unix time of the first frame: media time zero."""

    at: float


@dataclass(frozen=True, slots=True)
class FileOpened:
    name: str
    at: float


@dataclass(frozen=True, slots=True)
class FileFailed:
    """Nothing can be written to it any more; other outputs go on. What is in it stays, and `Done` names it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Each second. Shares are of one core, since the last one; `lag` is how far the encoder is behind the clock."""

    media_time: float
    frames: int = 0
    dropped: int = 0
    lag: float = 0.0
    bytes_written: int = 0
    shares: dict[str, float] = field(default_factory=dict)
    """decode, scale, blend, encode, audio, mux."""
    shown: tuple[str, ...] = ()
    """Participants in the picture, for whoever looks."""


@dataclass(frozen=True, slots=True)
class PicturesWanted:
    """The video tracks that are in the picture, or about to be; told whenever they change. Others need not be sent."""

    track_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Warned:
    """Something costs this source, and it only: garbage, a codec we do not decode."""

    text: str
    track_id: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    files: tuple[FileInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The pipeline cannot go on. `text` is for people and holds no secret."""

    text: str
    files: tuple[FileInfo, ...] = ()


SPECS = (CompositionSpec, TrackFileSpec, MergeSpec, FinalizeSpec)
CONTROLS = (
    SourceAdded,
    SourceRemoved,
    SourceMuted,
    PersonJoined,
    PersonLeft,
    SpeakersChanged,
    PinsChanged,
    SceneChanged,
    Stop,
)
REPORTS = (Started, FileOpened, FileFailed, Progress, PicturesWanted, Warned, Done, Failed)
