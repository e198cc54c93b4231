"""What an operator can configure: frozen dataclasses, one for each TOML table, composed with the planes' own.

The text under a field is its documentation: `generate.py` reads it into `config/tidegate.toml` and the reference.
Reading files, the environment and flags is `load.py`'s; checking values here says only what is wrong by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from media.errors import ConfigError
from sfu.config import SfuConfig
from sfu.io.signalling_config import SignallingConfig
from tidegate.config.egress import (
    BroadcastConfig,
    ComposeConfig,
    RecordingConfig,
    StorageConfig,
    WebhookConfig,
    WorkersConfig,
)
from tidegate.config.setting import setting

AUTO = "auto"  # rtc.announce_ips: ask the STUN server
LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Pages, REST, signalling, playback: one HTTP port."""

    host: str = setting("127.0.0.1", env="HOST")
    """Address to listen on. Beyond loopback, browsers give no camera or microphone without TLS: set tls_cert or public_url."""
    port: int = setting(8080, minimum=0, maximum=65535)
    """TCP port; 0 takes a free one."""
    public_url: str = setting("", env="PUBLIC_URL")
    """Where people reach this server (https://meet.example.org): the start of every URL we answer with. Empty: what the request came to."""
    trusted_proxies: tuple[str, ...] = setting((), env="TRUSTED_PROXY")
    """Addresses or networks (CIDR) of reverse proxies whose X-Forwarded-For, -Proto and -Host are believed."""
    allowed_hosts: tuple[str, ...] = ()
    """Host headers for which --dev opens the development door, beside loopback names and addresses: keeps DNS rebinding out."""
    tls_cert: str = setting("", env="TLS_CERT")
    """PEM file with the certificate and its chain; read again when it changes. Goes with tls_key."""
    tls_key: str = setting("", env="TLS_KEY")
    """PEM file with the certificate's private key."""

    @property
    def is_loopback(self) -> bool:
        """Nobody but this machine can reach it."""
        return self.host in LOOPBACK_HOSTS or (is_address(self.host) and ip_address(self.host).is_loopback)

    @property
    def is_tls(self) -> bool:
        return bool(self.tls_cert)


@dataclass(frozen=True, slots=True)
class RtcConfig:
    """WebRTC media: one port for everybody."""

    port: int = setting(7882, minimum=0, maximum=65535)
    """UDP port of all media; 0 takes a free one."""
    announce_ips: tuple[str, ...] = setting((), env="ANNOUNCE_IP")
    """Addresses told to browsers instead of the interfaces' own: the public ones behind NAT. "auto" asks stun_server. Empty: every up interface, and loopback while HTTP is bound to it."""
    stun_server: str = ""
    """host:port of a STUN server, asked once at the start for "auto"."""
    ice_servers: tuple[str, ...] = ()
    """stun:, turn: and turns: URLs handed to browsers whose network blocks UDP; to reach this server itself none is needed."""
    turn_secret: str = setting("", env="TURN_SECRET", secret=True)
    """coturn's static-auth-secret: browsers get a name and password of their own for turn: URLs, good for a day."""


@dataclass(frozen=True, slots=True)
class RtmpConfig:
    """RTMP in: comes with a later version. The port is named already, and not opened yet."""

    port: int = setting(1935, minimum=0, maximum=65535)
    """TCP port; 0 takes a free one."""


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """What outlives the process."""

    url: str = setting("", secret=True)
    """sqlite+aiosqlite:///path or postgresql+asyncpg://user:password@host/name. Empty: tidegate.db in data_dir."""


@dataclass(frozen=True, slots=True)
class AuthConfig:
    """Keys, tokens and sign-in."""

    api_key: str = setting("", env="API_KEY")
    """Key of the first project, instead of the one in data_dir/keys.toml. Goes with api_secret."""
    api_secret: str = setting("", env="API_SECRET", secret=True)
    """Its secret, at least 32 characters. Better in the environment than in a file; never a flag."""
    clock_leeway: float = setting(5.0, minimum=0)
    """Seconds by which a token's iat and exp may be off."""
    session_hours: float = 12.0
    """A sign-in on the console lasts this long."""
    page_token_hours: float = 2.0
    """Life of a token that the page gets for somebody signed in, or through the development door."""
    invite_hours: float = 24.0
    """An invite link that names no other time lasts this long."""
    invite_max_hours: float = 720.0
    """An invite link lasts no longer than this."""


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """Requests. Above a rate the answer is 429 with Retry-After; a rate of 0 is no limit."""

    requests_per_second: float = setting(200.0, minimum=0)
    """REST requests with one API key, on average."""
    request_burst: int = 1000
    """REST requests with one API key at once."""
    address_requests_per_second: float = setting(100.0, minimum=0)
    """Requests from one address, on average; trusted proxies' clients are told apart."""
    address_request_burst: int = 500
    """Requests from one address at once."""
    sign_ins_per_minute: float = 10.0
    """Attempts to sign in from one address."""
    max_body_bytes: int = 262144
    """Body of one request, uploads excepted."""
    idempotency_hours: float = 24.0
    """The answer to a POST with an Idempotency-Key is kept this long."""
    max_event_streams: int = 256
    """Readers of /v2/events in all."""
    max_event_streams_per_key: int = 64
    """Readers of /v2/events with one API key."""
    event_queue: int = 256
    """Events that one reader of /v2/events may have waiting; one further behind is disconnected."""


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    """People's data: how long what is stored stays. 0 keeps it for ever."""

    sessions_days: int = setting(90, minimum=0)
    """Sessions that ended, their participants and time logs."""


@dataclass(frozen=True, slots=True)
class OutgoingConfig:
    """The guard of requests that we make for others: webhooks, RTMP targets."""

    allow: tuple[str, ...] = ()
    """Networks (CIDR) allowed although loopback, link-local or private; plain http is allowed for them too."""


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Logs go to standard error."""

    format: Literal["text", "json"] = "text"
    """text for people, json for machines: one object a line."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged: error means the operator must act, warning that a peer misbehaves."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything. Top-level keys first, then a table for each subsystem."""

    data_dir: Path = Path("tidegate-data")
    """Folder of the store, the first key and recorded media; made when absent, readable by its owner only."""
    drain_timeout: float = setting(5.0, minimum=0)
    """Seconds from SIGTERM to the end, while participants are told and leave."""
    dev: bool = False
    """Open the development door (pages get their tokens by themselves) on any binding. Never on a network you do not trust."""
    http: HttpConfig = field(default_factory=HttpConfig)
    rtc: RtcConfig = field(default_factory=RtcConfig)
    rtmp: RtmpConfig = field(default_factory=RtmpConfig)
    sfu: SfuConfig = field(default_factory=SfuConfig)
    signalling: SignallingConfig = field(default_factory=SignallingConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    auth: AuthConfig = field(default_factory=AuthConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    outgoing: OutgoingConfig = field(default_factory=OutgoingConfig)
    log: LogConfig = field(default_factory=LogConfig)
    workers: WorkersConfig = field(default_factory=WorkersConfig)
    compose: ComposeConfig = field(default_factory=ComposeConfig)
    recording: RecordingConfig = field(default_factory=RecordingConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    broadcast: BroadcastConfig = field(default_factory=BroadcastConfig)
    webhooks: WebhookConfig = field(default_factory=WebhookConfig)

    @property
    def store_url(self) -> str:
        """`store.url`, or the SQLite file in the data directory."""
        return self.store.url or f"sqlite+aiosqlite:///{self.data_dir.absolute() / 'tidegate.db'}"

    @property
    def keys_path(self) -> Path:
        """Where the first project's key and secret are kept."""
        return self.data_dir / "keys.toml"

    @property
    def needs_secure_origin(self) -> bool:
        """Bound beyond loopback with neither TLS nor a public https URL: browsers refuse camera and microphone."""
        return not (self.http.is_loopback or self.http.is_tls or self.http.public_url.startswith("https://"))

    def validate(self) -> None:
        """ConfigError for what single values cannot tell: forms of addresses, and values that go together."""
        _check_http(self.http)
        for address in self.rtc.announce_ips:
            if address != AUTO and not is_address(address):
                raise ConfigError("rtc.announce_ips", f"{address!r} is neither an IP address nor {AUTO!r}")
        if AUTO in self.rtc.announce_ips and not self.rtc.stun_server:
            raise ConfigError("rtc.stun_server", 'rtc.announce_ips is "auto", so name a STUN server (host:port) to ask')
        if self.rtc.stun_server:
            split_host_port("rtc.stun_server", self.rtc.stun_server)
        for url in self.rtc.ice_servers:
            if not url.startswith(("stun:", "stuns:", "turn:", "turns:")):
                raise ConfigError("rtc.ice_servers", f"{url!r} does not start with stun:, stuns:, turn: or turns:")
        for network in self.outgoing.allow:
            check_network("outgoing.allow", network)
        if bool(self.auth.api_key) != bool(self.auth.api_secret):
            missing = "auth.api_secret" if self.auth.api_key else "auth.api_key"
            raise ConfigError(missing, "auth.api_key and auth.api_secret go together; one is missing")
        if self.auth.api_secret and len(self.auth.api_secret) < 32:
            raise ConfigError("auth.api_secret", "at least 32 characters, else tokens could be guessed")
        if self.store.url and not self.store.url.startswith(("sqlite+aiosqlite:", "postgresql+asyncpg:")):
            raise ConfigError("store.url", "starts with sqlite+aiosqlite:///path or postgresql+asyncpg://user@host/name")
        self.storage.validate()
        self.webhooks.validate()
        if self.http.port and self.http.port == self.rtmp.port:
            raise ConfigError("rtmp.port", f"{self.rtmp.port} is http.port already")


def _check_http(http: HttpConfig) -> None:
    if not http.host:
        raise ConfigError("http.host", "name an address, 0.0.0.0 for all of IPv4 or :: for all")
    for network in http.trusted_proxies:
        check_network("http.trusted_proxies", network)
    if bool(http.tls_cert) != bool(http.tls_key):
        missing = "http.tls_key" if http.tls_cert else "http.tls_cert"
        raise ConfigError(missing, "http.tls_cert and http.tls_key go together; one is missing")
    if http.public_url:
        parts = urlsplit(http.public_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("http.public_url", f"{http.public_url!r} is not of the form https://host[:port]")
        if parts.query or parts.fragment or parts.username:
            raise ConfigError("http.public_url", "has no user, query or fragment")


def is_address(text: str) -> bool:
    """Whether `text` is an IPv4 or IPv6 address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def check_network(path: str, text: str) -> None:
    """ConfigError unless `text` is an address or a network in CIDR form."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        raise ConfigError(path, f"{text!r} is not an address or network (10.0.0.0/8)") from None


def split_host_port(path: str, text: str) -> tuple[str, int]:
    """`host:port` or `[ipv6]:port`; ConfigError otherwise."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(path, f"{text!r} is not of the form host:port")
    return host.strip("[]"), int(port)
