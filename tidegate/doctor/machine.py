"""Checks of what every call needs: folders, ports, addresses, certificate, clock, limits."""

from __future__ import annotations

import ctypes
import errno
import http.client
import os
import resource
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from media.errors import ConfigError
from tidegate.config.model import Config
from tidegate.doctor.findings import Finding, Status

LOW_FILES = 4096  # a socket for each browser, and the store's files
LOW_RECEIVE_BUFFER = 1 << 20  # a burst of keyframes from 50 publishers
CERTIFICATE_DAYS = 14
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)  # no clock of a running server is before this program was written
RUNNING_TIMEOUT = 1.0  # a server on this machine answers at once
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized
TIMEX_BYTES = 256  # struct timex has 208 on 64-bit machines


def check_python(config: Config) -> Iterator[Finding]:
    yield Finding("ok", "Python", f"{sys.version.split()[0]} at {sys.executable}")  # an old one would not have come here


def check_data_dir(config: Config) -> Iterator[Finding]:
    from tidegate import keysfile

    path = config.data_dir.absolute()
    if not path.exists():
        yield Finding("ok", "data directory", f"{path} is made at the first start")
        return
    if not path.is_dir() or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("fail", "data directory", f"{path} is not a folder that this user can write", "give another --data-dir, or chown it")
        return
    yield Finding("ok", "data directory", str(path))
    try:
        credentials = keysfile.find(config)
    except ConfigError as error:
        yield Finding("fail", "first key", str(error), f"chmod 600 {config.keys_path}, or remove it to have a new one made")
        return
    yield Finding("ok", "first key", credentials.api_key if credentials else "made at the first start")


def check_ports(config: Config) -> Iterator[Finding]:
    wanted = (
        ("HTTP", "http.port", "--http-port", socket.SOCK_STREAM, config.http.host, config.http.port),
        ("media", "rtc.port", "--rtc-port", socket.SOCK_DGRAM, "0.0.0.0", config.rtc.port),
        ("RTMP", "rtmp.port", "--rtmp-port", socket.SOCK_STREAM, config.http.host, config.rtmp.port),
    )
    is_running = False
    for subject, path, flag, kind, host, port in wanted:
        transport = "TCP" if kind == socket.SOCK_STREAM else "UDP"
        words = f"{transport} {host}:{port}"
        try:
            _try_bind(kind, host, port)
        except OSError as error:
            advice = f"give another {flag} (or {path} in the TOML)"
            if error.errno == errno.EADDRINUSE and subject == "HTTP":
                is_running = _is_running(config)
            if error.errno == errno.EADDRINUSE and is_running and subject != "RTMP":
                yield Finding("ok", f"{subject} port", f"{words} is in use: a Tidegate runs here")
                continue
            if error.errno == errno.EADDRINUSE:
                advice = f"see who has it: ss -{'lt' if kind == socket.SOCK_STREAM else 'lu'}np 'sport = :{port}'; or {advice}"
            elif error.errno == errno.EACCES:
                advice = f"ports below 1024 need CAP_NET_BIND_SERVICE; or {advice}"
            status: Status = "note" if subject == "RTMP" else "fail"  # nothing opens it yet
            yield Finding(status, f"{subject} port", f"{words}: {error.strerror or error}", advice)
        else:
            yield Finding("ok", f"{subject} port", f"{words} is free")


def _try_bind(kind: int, host: str, port: int) -> None:
    found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)
    family, kind_, protocol, _, address = found[0]
    with socket.socket(family, kind_, protocol) as probe:
        if kind == socket.SOCK_STREAM:
            # As the server: a port in TIME_WAIT is not taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _is_running(config: Config) -> bool:
    """Whether it is a Tidegate that answers at the HTTP port."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.http.host, config.http.host)
    # Not to trust it, only to ask who it is: its certificate is for another name.
    connection: http.client.HTTPConnection
    if config.http.is_tls:
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, config.http.port, timeout=RUNNING_TIMEOUT, context=tls)
    else:
        connection = http.client.HTTPConnection(host, config.http.port, timeout=RUNNING_TIMEOUT)
    try:
        connection.request("GET", "/healthz")
        return (connection.getresponse().getheader("Server") or "").strip() == "tidegate"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def check_addresses(config: Config) -> Iterator[Finding]:
    if config.rtc.announce_ips:
        yield Finding("ok", "addresses", "browsers are told " + ", ".join(config.rtc.announce_ips))
        return
    from sfu.io.addresses import local_addresses

    addresses = local_addresses(loopback=False)
    yield Finding("ok", "addresses", "browsers are told " + (", ".join(addresses) or "loopback only"))
    if config.http.is_loopback:
        yield Finding("note", "reach", "HTTP is bound to loopback: only this machine can join", "--host 0.0.0.0 opens it, TLS before that")
    elif not any(ip_address(address).is_global for address in addresses):
        advice = f"from the internet: give --announce-ip with the public address, and forward UDP {config.rtc.port} to this machine"
        yield Finding("note", "reach", "no interface has a public address", advice)
    if config.needs_secure_origin:
        yield Finding(
            "note",
            "browsers",
            "they refuse camera and microphone without https",
            "give --tls-cert and --tls-key, or a reverse proxy with TLS and --public-url https://…",
        )


def check_tls(config: Config) -> Iterator[Finding]:
    if not config.http.is_tls:
        return
    from tidegate.config.reload import make_tls_context

    try:
        make_tls_context(config.http.tls_cert, config.http.tls_key)
    except ConfigError as error:
        yield Finding("fail", "certificate", str(error), "give --tls-cert the chain and --tls-key its key, both PEM")
        return
    left = certificate_days_left(Path(config.http.tls_cert), time.time())
    words = f"{config.http.tls_cert}: {left:.0f} days left"
    if left < 0:
        yield Finding("fail", "certificate", "has expired: " + words, "renew it; a running server reads it again by itself")
    elif left < CERTIFICATE_DAYS:
        yield Finding("note", "certificate", words, "renew it; a running server reads it again by itself")
    else:
        yield Finding("ok", "certificate", words)


def certificate_days_left(path: Path, wall: float) -> float:
    """Days until the first certificate of a PEM file expires; negative when it has."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return (certificate.not_valid_after_utc.timestamp() - wall) / 86400


def check_clock(config: Config) -> Iterator[Finding]:
    now = datetime.now(UTC)
    words = now.isoformat(timespec="seconds")
    advice = "turn on time synchronisation (systemd-timesyncd, chrony): tokens carry times"
    if now < EARLIEST:
        yield Finding("fail", "clock", f"{words} cannot be", advice)
    elif _is_clock_unsynchronized():
        yield Finding("note", "clock", f"{words}; the kernel calls it not synchronised", advice)
    else:
        yield Finding("ok", "clock", words)


def _is_clock_unsynchronized() -> bool:
    """Linux tells; elsewhere nothing is said."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except AttributeError:
        return False
    return bool(adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)) == TIME_ERROR)


def check_limits(config: Config) -> Iterator[Finding]:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files != resource.RLIM_INFINITY and files < LOW_FILES:
        yield Finding("note", "open files", f"at most {files}", "ulimit -n 65536, or LimitNOFILE=65536 in the systemd unit")
    else:
        yield Finding("ok", "open files", "no limit" if files == resource.RLIM_INFINITY else f"at most {files}")
    try:
        size = int(Path("/proc/sys/net/core/rmem_max").read_text())
    except (OSError, ValueError):
        return
    if size < LOW_RECEIVE_BUFFER:
        advice = "sysctl -w net.core.rmem_max=4194304: bursts from many publishers are dropped otherwise"
        yield Finding("note", "UDP receive buffer", f"at most {size} bytes", advice)
    else:
        yield Finding("ok", "UDP receive buffer", f"at most {size} bytes")
