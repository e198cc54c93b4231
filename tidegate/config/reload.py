"""What changes while the server runs: certificates that were renewed, and SIGHUP for the configuration.

A new certificate is loaded into the same SSL context, so connections from then on get it and open ones live on. Of the
configuration, only what `RELOADABLE` names takes effect at once; for the rest the log says that it waits for a restart.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
from collections.abc import Callable

from media.errors import ConfigError
from tidegate import logs
from tidegate.config.model import Config
from tidegate.config.schema import SETTINGS, value_of

CERTIFICATE_POLL = 5.0  # seconds; renewals happen every few weeks, two stat calls cost nothing
RELOADABLE = ("log.format", "log.level")

log = logging.getLogger(__name__)

Loader = Callable[[], Config]


def make_tls_context(cert: str, key: str) -> ssl.SSLContext:
    """A server's context; ConfigError that names the file at fault."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, cert, key)
    return context


def _load(context: ssl.SSLContext, cert: str, key: str) -> None:
    for path, file in (("http.tls_cert", cert), ("http.tls_key", key)):
        try:
            with open(file, "rb"):
                pass
        except OSError as error:
            raise ConfigError(path, f"{file} cannot be read: {error.strerror}") from None
    try:
        # An encrypted key must not stop the server at a prompt for its password.
        context.load_cert_chain(cert, key, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError("http.tls_key", f"{key} is not the key of the certificate in {cert}") from None
        raise ConfigError("http.tls_cert", f"{cert} and {key} are not a PEM certificate and an unencrypted PEM key") from None


class CertificateFiles:
    """The TLS context of `http.tls_cert` and `http.tls_key`, kept current."""

    def __init__(self, cert: str, key: str) -> None:
        self._cert, self._key = cert, key
        self.context = make_tls_context(cert, key)
        self._seen = self._state()

    def refresh(self) -> bool:
        """Load the files again if they changed; True when a new certificate is in use.

        A pair that is half replaced, or broken, leaves the old one in use and is tried again at the next call.
        """
        state = self._state()
        if state == self._seen or state is None:
            return False
        try:
            make_tls_context(self._cert, self._key)  # on the side first: a failed load would spoil the one in use
            _load(self.context, self._cert, self._key)
        except ConfigError as error:
            log.warning("the changed certificate is not used yet: %s", error)
            return False
        self._seen = state
        log.info("certificate read again: %s", self._cert)
        return True

    async def watch(self, interval: float = CERTIFICATE_POLL) -> None:
        """Refresh for ever; the caller owns and cancels the task."""
        while True:
            await asyncio.sleep(interval)
            self.refresh()

    def _state(self) -> tuple[tuple[int, int, int], ...] | None:
        """What tells a changed pair: also a file that was moved into place with an old time."""
        try:
            stats = [os.stat(file) for file in (self._cert, self._key)]
        except OSError:  # just being replaced
            return None
        return tuple((stat.st_mtime_ns, stat.st_ino, stat.st_size) for stat in stats)


def changed_paths(old: Config, new: Config) -> list[str]:
    """Dotted paths at which two configurations differ."""
    return [path for path in SETTINGS if value_of(old, path) != value_of(new, path)]


class Reloader:
    """Reads the configuration again at SIGHUP. An error in it is logged and changes nothing."""

    def __init__(self, config: Config, loader: Loader, *listeners: Callable[[Config], None]) -> None:
        """`listeners` are told of each new configuration, after logging took it on."""
        self.config = config
        self._loader = loader
        self._listeners = listeners

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    def reload(self) -> list[str]:
        """Paths that took effect."""
        try:
            new = self._loader()
        except ConfigError as error:
            log.error("configuration not read again: %s", error)
            return []
        changed = changed_paths(self.config, new)
        applied = [path for path in changed if path in RELOADABLE]
        waiting = [path for path in changed if path not in RELOADABLE]
        self.config = new
        if applied:
            logs.configure(new.log)
        for listener in self._listeners:
            listener(new)
        log.info("configuration read again: %s", ", ".join(applied) or "nothing to apply")
        if waiting:
            log.warning("these wait for a restart: %s", ", ".join(waiting))
        return applied
