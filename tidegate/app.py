"""`tidegate serve` from start to end: the node, its HTTP server, signals, drain."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import ssl
import sys
import time
from urllib.parse import urlsplit

from aiohttp import web

from media.errors import ConfigError
from tidegate.config.model import Config
from tidegate.config.reload import CertificateFiles, Loader, Reloader
from tidegate.http.console_guard import is_loopback_name
from tidegate.observe import settle_garbage_collector
from tidegate.registry import Node

log = logging.getLogger(__name__)

LAST_WORDS = 0.25  # seconds for close frames and DTLS goodbyes to leave, once nobody is left to wait for
ALL_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # what to print for a host that no browser can open


def run(config: Config, loader: Loader | None = None) -> int:
    """The exit code. ConfigError, for one line and code 2, goes to the command line. `loader` reads `config` again."""
    try:
        import uvloop

        return uvloop.run(serve(config, loader))
    except ImportError:
        return asyncio.run(serve(config, loader))


async def serve(config: Config, loader: Loader | None = None) -> int:
    """Start, say where, wait for SIGTERM or SIGINT, end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if loader is not None:
        Reloader(config, loader).install(loop)
    certificate = CertificateFiles(config.http.tls_cert, config.http.tls_key) if config.http.is_tls else None
    async with Node(config) as node:
        runner = web.AppRunner(
            node.make_app(), access_log=None, handle_signals=False, shutdown_timeout=LAST_WORDS, handler_cancellation=True
        )
        await runner.setup()
        node.egress.plane.public_url = own_url(config, config.http.port)  # what the last node left may be told of at once
        tasks = [loop.create_task(node.run_tasks(), name="node")]
        if certificate is not None:
            tasks.append(loop.create_task(certificate.watch(), name="certificate"))
        try:
            port = await _open_http(runner, config, certificate.context if certificate is not None else None)
            settle_garbage_collector()
            node.egress.plane.public_url = own_url(config, port)
            _announce(node, port)
            waiter = loop.create_task(stop.wait(), name="signals")
            done, _ = await asyncio.wait([waiter, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {waiter}:
                task.result()  # a task of the node ended by itself: its error ends the server
            waiter.cancel()
            began = time.monotonic()
            log.info("shutting down: %d participants", node.media.conference.participants)
            await node.drain(config.drain_timeout)
            await runner.cleanup()
            log.info("ended after %.2f s", time.monotonic() - began)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await runner.cleanup()
    return 0


async def _open_http(runner: web.AppRunner, config: Config, tls: ssl.SSLContext | None) -> int:
    """Open the port, now that everything behind it is ready; returns it. ConfigError for one that cannot be had."""
    http = config.http
    try:
        site = web.TCPSite(runner, http.host, http.port, ssl_context=tls, backlog=512)
        await site.start()
    except socket.gaierror as error:
        raise ConfigError("http.host", f"{http.host}: {error.strerror}; choose another by --host") from None
    except OSError as error:
        words = {errno.EADDRINUSE: "is taken", errno.EACCES: "needs privileges", errno.EADDRNOTAVAIL: "is not ours"}
        if error.errno not in words:
            raise
        raise ConfigError(
            "http.port", f"{http.host} port {http.port} {words[error.errno]}; choose another by --http-port or --host"
        ) from None
    return runner.addresses[0][1]


def who_may_enter(config: Config) -> str:
    """The development door of tidegate/http/console_guard.py, in words."""
    if config.dev and not config.http.is_loopback:
        return "--dev: whoever reaches the first address can do everything, without signing in. Ctrl-C ends the server."
    if config.http.is_loopback and is_loopback_name(urlsplit(config.http.public_url).hostname or "localhost"):
        return "Open the first address in two tabs to meet yourself. Ctrl-C ends the server."
    return "At the first address, sign in with API key and secret; invite others by link. Ctrl-C ends the server."


def own_url(config: Config, port: int) -> str:
    """Where people reach us, as far as we know; no slash at the end."""
    scheme = "https" if config.http.is_tls else "http"
    host = ALL_ADDRESSES.get(config.http.host, f"[{config.http.host}]" if ":" in config.http.host else config.http.host)
    return config.http.public_url.rstrip("/") or f"{scheme}://{host}:{port}"


def _announce(node: Node, port: int) -> None:
    """For whoever started us: where to go, on standard output."""
    config = node.config
    url = own_url(config, port)
    lines = [
        f"Tidegate is ready after {time.monotonic() - node.started_at:.1f} s.",
        "",
        f"  Meetings   {url}/",
        f"  API docs   {url}/docs",
        f"  Media      UDP {node.media.port} on {', '.join(node.addresses)}",
        f"  API key    {node.key.api_key} (secret in {config.keys_path})" if not config.auth.api_key else f"  API key    {node.key.api_key}",
        "",
        who_may_enter(config),
    ]
    if config.log.format == "json":  # a machine that reads JSON lines wants no others
        log.info("ready: %s/, media on UDP %d", url, node.media.port)
    else:
        print("\n".join(lines), flush=True, file=sys.stdout)
