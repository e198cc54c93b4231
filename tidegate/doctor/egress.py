"""Checks of what leaves a meeting: codecs, a media worker that works, room on the disk, the storage, links, webhooks.

Codecs are looked at in child processes: the node never loads them. What fails here keeps recordings or webhooks from working and
calls go on, so all of it is `note`.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from media.errors import ConfigError, PeerError
from sfu.compose.messages import CompositionSpec, EncoderSpec, Failed, Started
from tidegate.app import own_url
from tidegate.config.egress import WorkersConfig
from tidegate.config.model import Config
from tidegate.doctor.findings import Finding
from tidegate.outgoing import OutgoingGuard, OutgoingRefused, split_url
from tidegate.storage import StorageError, make_storage
from tidegate.storage.disk import folder_of
from tidegate.storage.guard import MEGABYTE, free_bytes
from tidegate.workers.budget import composition_cost, default_cores
from tidegate.workers.supervisor import Exit, Supervisor, available_cores

HOUR_BYTES = 1_200_000_000  # of a recording at 1280x720: 2.5 Mbit/s and sound
PATIENCE = 30.0  # seconds that a worker gets to start and record one: much, on a busy machine
STORAGE_PATIENCE = 60.0  # seconds; a store that does not answer is tried again meanwhile
USUAL = (1280, 720, 30, 4)  # of a composition, for what a machine can carry: size, rate, people
ENCODERS = ("libx264", "libvpx", "libopus", "aac")
DECODERS = ("vp8", "vp9", "libdav1d", "h264", "opus")
CODEC_PROBE = (
    "import av,json,sys\n"
    "out={}\n"
    "for name in sys.argv[1:]:\n"
    "    mode,_,codec=name.partition(':')\n"
    "    try: av.codec.Codec(codec,mode); out[name]=True\n"
    "    except Exception: out[name]=False\n"
    "print(json.dumps([av.__version__,out]))"
)


def check_codecs(config: Config) -> Iterator[Finding]:
    encoders = dict.fromkeys((*ENCODERS, config.compose.encoder))
    wanted = [*(f"w:{name}" for name in encoders), *(f"r:{name}" for name in DECODERS)]
    try:
        run = subprocess.run([sys.executable, "-c", CODEC_PROBE, *wanted], capture_output=True, text=True, timeout=60)
        version, found = json.loads(run.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        yield Finding("fail", "codecs", "PyAV cannot be loaded", f"{sys.executable} -m pip install --force-reinstall av")
        return
    missing = [("encoder " if name.startswith("w:") else "decoder ") + name[2:] for name, is_there in found.items() if not is_there]
    if missing:
        advice = "install PyAV's own wheel (pip install --only-binary av av): calls work, recording will not"
        yield Finding("note", "codecs", f"PyAV {version} lacks {', '.join(missing)}", advice)
    else:
        yield Finding("ok", "codecs", f"PyAV {version} with {', '.join(encoders)}; {ssl.OPENSSL_VERSION}")


def check_disk(config: Config) -> Iterator[Finding]:
    """Recordings are written below the data directory, wherever they go afterwards."""
    folders = [config.data_dir.absolute()]
    if config.storage.url.startswith("file:"):
        folders.append(folder_of(config.storage.url))
    free, folder = min((free_bytes(folder), folder) for folder in folders)
    reserve = config.recording.min_free_mb * MEGABYTE
    words = f"{free / 1e9:.1f} GB free at {folder}"
    if free < reserve:
        advice = f"nothing is recorded below recording.min_free_mb ({config.recording.min_free_mb}): free some, or give another --data-dir"
        yield Finding("note", "disk", words, advice)
    elif (hours := (free - reserve) / HOUR_BYTES) < 2:
        advice = f"room for about {hours:.1f} hours of one recording at 1280x720: free some, or give another --data-dir"
        yield Finding("note", "disk", words, advice)
    else:
        yield Finding("ok", "disk", words)


# A worker


def check_workers(config: Config) -> Iterator[Finding]:
    """A second of an empty room, recorded by a real worker with the configured encoder."""
    if config.workers.max_pipelines == 0:
        yield Finding("ok", "media workers", "switched off (workers.max_pipelines is 0): nothing is recorded or broadcast")
        return
    try:
        error = asyncio.run(_record(config))
    except OSError as refused:
        error = f"no process can be started ({refused.strerror})"
    if error:
        advice = "see codecs above, compose.encoder and compose.preset; `tidegate serve --log-level debug` shows what a worker says"
        yield Finding("note", "media workers", f"a test recording failed: {error}", advice)
        return
    cores = config.workers.cpu_budget or default_cores(available_cores())
    at_once = cores / composition_cost(*USUAL)
    words = f"a test recording with {config.compose.encoder} works; {cores:.1f} cores for pipelines"
    if at_once < 1:
        advice = "a composition of four people at 1280x720 wants more: it is let in alone, and leaves pictures out when it is behind"
        yield Finding("note", "media workers", words, advice)
    else:
        yield Finding("ok", "media workers", f"{words}: about {int(at_once)} compositions of four people at 1280x720")


async def _record(config: Config) -> str:
    """What went wrong, in words; empty when a file came out."""
    compose = config.compose
    reports: asyncio.Queue[Any] = asyncio.Queue()
    workers = WorkersConfig(spare=0, nice=config.workers.nice, stop_timeout=PATIENCE)
    with tempfile.TemporaryDirectory(prefix="tidegate-doctor-") as directory:
        encoder = EncoderSpec(compose.encoder, compose.preset, compose.video_kbps * 1000, compose.audio_kbps * 1000)
        spec = CompositionSpec("doctor", directory, 640, 360, compose.fps, file_format="mp4", encoder=encoder)
        async with Supervisor(workers) as supervisor:
            try:
                worker = await supervisor.start(
                    spec, kind="doctor", cost=0.0, on_report=reports.put_nowait, on_exit=reports.put_nowait
                )
            except PeerError as error:
                return error.reason
            try:
                async with asyncio.timeout(PATIENCE):
                    while not isinstance(report := await reports.get(), Started):
                        if isinstance(report, Failed):
                            return report.text
                        if isinstance(report, Exit):
                            return report.text or "the worker ended before it began"
                    worker.stop()
                    exit = await worker.wait()
            except TimeoutError:
                worker.kill()
                return f"nothing came out of it within {PATIENCE:.0f} s"
        return exit.text if exit.reason != "done" else "" if _holds_a_file(Path(directory)) else "the worker made no file"


def _holds_a_file(directory: Path) -> bool:
    return any(path.suffix == ".mp4" and path.stat().st_size for path in directory.iterdir())


# Where it goes


def check_storage(config: Config) -> Iterator[Finding]:
    """A small file there and away again: reading alone would not tell whether we may write."""
    if not config.storage.url.startswith("s3:"):
        yield from _check_folder(config)
        return
    url = config.storage.url
    try:
        asyncio.run(_try_storage(config))
    except ConfigError as error:
        yield Finding("fail", "storage", f"{url}: {error}", "the server does not start with it")
    except (StorageError, TimeoutError) as error:
        words = str(error) or f"does not answer within {STORAGE_PATIENCE:.0f} s"
        advice = "check storage.endpoint, storage.region, the bucket, and that the key may put, get and delete; files wait on this disk"
        yield Finding("note", "storage", f"{url}: {words}", advice)
    else:
        yield Finding("ok", "storage", f"{url} takes files and gives them up again")


async def _try_storage(config: Config) -> None:
    storage = make_storage(config.storage, config.data_dir)
    name = f"tidegate-doctor-{secrets.token_hex(8)}.txt"
    with tempfile.TemporaryDirectory(prefix="tidegate-doctor-") as directory:
        local = Path(directory, name)
        await asyncio.to_thread(local.write_text, "`tidegate doctor` was here and should have taken this away again.\n")
        async with asyncio.timeout(STORAGE_PATIENCE):
            await storage.put_file(local, name)
            await storage.url(name, 60.0)
            await storage.delete(name)


def _check_folder(config: Config) -> Iterator[Finding]:
    try:
        folder = folder_of(config.storage.url) if config.storage.url else config.data_dir.absolute() / "recordings"
    except ConfigError as error:
        yield Finding("fail", "storage", str(error), "name an absolute folder")
        return
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        yield Finding("ok", "storage", f"{folder}" + ("" if there == folder else ", made with the first file"))
    else:
        yield Finding("note", "storage", f"{there} is not a folder that this user can write", "chown it, or give another storage.url")


# What the outside is told


def check_links(config: Config) -> Iterator[Finding]:
    """`fileUrl` in webhooks begins with our own address as we know it: no request says how its reader reaches us."""
    url = own_url(config, config.http.port)
    advice = "give --public-url, where people and receivers of webhooks reach this server"
    if config.http.public_url:
        yield Finding("ok", "links", f"those in webhooks begin with {url}")
    elif not config.http.is_loopback:
        yield Finding("note", "links", f"those in webhooks begin with {url}, which others may not reach", advice)
    elif config.webhooks.url:
        yield Finding("note", "links", f"those in webhooks begin with {url}: only this machine can open them", advice)


def check_webhooks(config: Config) -> Iterator[Finding]:
    """Whether `webhooks.url` would be connected to. Nothing is sent."""
    if not config.webhooks.url:
        return
    guard = OutgoingGuard(config.outgoing)
    try:
        host, port, scheme = split_url(config.webhooks.url)
        addresses = asyncio.run(guard.resolve(host, port, scheme))
    except OutgoingRefused as refused:
        yield Finding("note", "webhooks", f"webhooks.url: {refused}", "an https address that is public, or its network in outgoing.allow")
    except OSError as error:
        yield Finding("note", "webhooks", f"webhooks.url: the name {host} has no address ({error.strerror or error})", "check it, and the resolver")
    else:
        yield Finding("ok", "webhooks", f"go to {host} ({', '.join(address.host for address in addresses)})")
