"""What leaves a meeting: media workers, compositions, recordings and their storage, broadcasts, webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from media.errors import ConfigError
from tidegate.config.setting import setting


@dataclass(frozen=True, slots=True)
class WorkersConfig:
    """Child processes that touch codecs: one for each running pipeline."""

    max_pipelines: int = setting(32, minimum=0)
    """Pipelines at once. One more is refused with 429."""
    cpu_budget: float = setting(0.0, minimum=0)
    """Cores that pipelines may be estimated to take together. 0: as many as the machine has, less half a core for the node."""
    nice: int = setting(10, minimum=0, maximum=19)
    """Added to the workers' niceness: calls come first."""
    spare: int = setting(1, minimum=0, maximum=8)
    """Workers that wait with their libraries loaded, some 50 MB each: a pipeline starts at once also on a busy machine."""
    stop_timeout: float = setting(30.0, minimum=1)
    """Seconds from the request to stop until SIGTERM: finalising a long file takes some. SIGKILL follows 5 s later."""
    heartbeat_timeout: float = setting(15.0, minimum=2)
    """A worker that says nothing for so many seconds is killed."""
    max_restarts: int = setting(3, minimum=0)
    """A pipeline whose worker dies is begun again so often within ten minutes; its recording goes on in another file."""


@dataclass(frozen=True, slots=True)
class ComposeConfig:
    """Pictures and sound composed from a meeting."""

    fps: int = setting(30, minimum=5, maximum=60)
    """Frames a second; 25 and 30 are usual."""
    encoder: Literal["libx264", "h264_nvenc"] = "libx264"
    """H.264 encoder. h264_nvenc needs an NVIDIA card and an FFmpeg that knows it."""
    preset: str = "superfast"
    """x264's preset: slower ones look better at the same rate and take more CPU."""
    video_kbps: int = setting(0, minimum=0, maximum=50_000)
    """Video bit rate; 0: by the picture's size (1.2, 2.5 and 4.5 Mbit/s for low, med and high)."""
    audio_kbps: int = setting(128, minimum=16, maximum=512)
    """Audio bit rate."""
    playout_delay: float = setting(0.4, minimum=0.05, maximum=5)
    """Seconds from capture to the composed picture; what loss and retransmission delay for longer is left out."""
    empty_timeout: float = setting(60.0, minimum=0)
    """Seconds after which the compositions of a room with nobody in it end."""
    max_hours: float = setting(24.0, minimum=0.01)
    """A composition or recording ends by itself after so long."""


@dataclass(frozen=True, slots=True)
class RecordingConfig:
    """Recordings: limits, download links, retention."""

    url_hours: float = setting(168.0, minimum=0.01)
    """A fileUrl in an answer or webhook can be opened so long; asking again gives a fresh one."""
    keep_days: int = setting(0, minimum=0)
    """Files older than this are deleted; 0 keeps them for ever."""
    min_free_mb: int = setting(500, minimum=0)
    """With less free disk than this, recordings are ended and none begins."""


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """Where finished files go. Empty url: data_dir/recordings on this disk."""

    url: str = ""
    """s3://bucket/prefix for any S3-compatible store, file:///path for another folder."""
    endpoint: str = ""
    """Address of an S3-compatible store that is not Amazon's: https://minio.example.org."""
    region: str = "us-east-1"
    """Its region."""
    access_key_id: str = setting("", env="S3_ACCESS_KEY_ID")
    """Empty: what the environment and the machine's role say."""
    secret_access_key: str = setting("", env="S3_SECRET_ACCESS_KEY", secret=True)
    """Goes with access_key_id."""
    allow_http: bool = False
    """Speak plain http to `endpoint`."""

    def validate(self) -> None:
        if self.url and urlsplit(self.url).scheme not in ("s3", "file"):
            raise ConfigError("storage.url", f"{self.url!r} is not of the form s3://bucket/prefix or file:///path")
        if bool(self.access_key_id) != bool(self.secret_access_key):
            missing = "storage.secret_access_key" if self.access_key_id else "storage.access_key_id"
            raise ConfigError(missing, "storage.access_key_id and storage.secret_access_key go together; one is missing")


@dataclass(frozen=True, slots=True)
class BroadcastConfig:
    """RTMP out."""

    max_targets: int = setting(10, minimum=1)
    """Targets of one broadcast."""
    connect_timeout: float = setting(10.0, minimum=1)
    """Seconds for connecting and being allowed to publish."""
    stall_timeout: float = setting(10.0, minimum=1)
    """A target that takes nothing for so many seconds is connected anew."""
    retry_min: float = setting(1.0, minimum=0.1)
    """Seconds before the first new attempt; doubled each time."""
    retry_max: float = setting(30.0, minimum=1)
    """The longest pause between attempts."""
    give_up_after: float = setting(3600.0, minimum=0)
    """Seconds without a connection after which a target is given up; 0: never. A refused key is given up at once."""


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """Webhooks: how they are delivered, and where all of them go."""

    url: str = ""
    """Every event of every project goes here too: the account's webhook. Rooms and calls name their own."""
    events: tuple[str, ...] = ("*",)
    """Names or patterns of the events that `url` gets."""
    timeout: float = setting(10.0, minimum=0.1)
    """Seconds that a receiver has to answer."""
    give_up_hours: float = setting(72.0, minimum=0.001)
    """Attempts go on so long, with growing pauses; then the delivery is dead and waits for "send again"."""
    concurrency: int = setting(16, minimum=1)
    """Deliveries under way at once."""
    keep_days: int = setting(30, minimum=0)
    """Events and the log of their deliveries are kept so long; 0 for ever."""

    def validate(self) -> None:
        if self.url and urlsplit(self.url).scheme not in ("http", "https"):
            raise ConfigError("webhooks.url", f"{self.url!r} is not of the form https://host/path")
