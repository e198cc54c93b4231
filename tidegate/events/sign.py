"""Signatures of webhooks, two side by side: the reference's RSA one, and Standard Webhooks (standardwebhooks.com).

The RSA key is one for the server, kept beside the API key in the data directory. The Standard Webhooks secrets belong to projects
and their endpoints; a project's secret that was rotated signs too for a day.
"""

from __future__ import annotations

import base64
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from standardwebhooks import Webhook

from media.errors import ConfigError
from media.ids import RandomBytes
from tidegate.store.idempotency import Settings

KEY_FILE = "webhook-key.pem"
KEY_BITS = 2048  # as the reference's; signing takes under a millisecond
SECRET_BYTES = 32  # Standard Webhooks: 24 to 64
SETTING = "webhookSecret"
OVERLAP_MS = 86_400_000  # a rotated secret signs so long beside the new one


class RsaSigner:
    """`videosdk-signature`: base64 of RSA-SHA256 (PKCS #1 v1.5) over the body as it is sent."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self.public_pem: str = (
            key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def sign(self, body: bytes) -> str:
        return base64.b64encode(self._key.sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()

    @classmethod
    def load_or_create(cls, data_dir: Path) -> RsaSigner:
        """The key of the data directory (0600), made at the first start: a tenth of a second, so call it in a thread."""
        path = data_dir / KEY_FILE
        try:
            return cls(_read(path))
        except FileNotFoundError:
            key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
            _write(path, key)
            return cls(_read(path))


def _read(path: Path) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise ConfigError(str(path), "is not a private key; restore it, or remove it to have a new one made") from None
    if mode & 0o077:
        raise ConfigError(str(path), f"holds a key that others can read (mode {mode:04o}): chmod 600 it")
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigError(str(path), "is not an RSA key; restore it, or remove it to have a new one made")
    return key


def _write(path: Path, key: rsa.RSAPrivateKey) -> None:
    """Whole or not at all, and never over one that somebody else wrote in between."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        # A name of its own (0600): under one made of the process's id, which in containers is always the same, a start that was
        # killed would leave what stops the next.
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
            os.link(file.name, path)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}") from None


def new_secret(random_bytes: RandomBytes) -> str:
    return "whsec_" + base64.b64encode(random_bytes(SECRET_BYTES)).decode()


def standard_headers(message_id: str, at: float, body: bytes, secrets: list[str]) -> dict[str, str]:
    """Standard Webhooks: several signatures while a secret is being rotated."""
    moment = datetime.fromtimestamp(int(at), UTC)
    signatures = [Webhook(secret).sign(message_id, moment, body.decode()) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": " ".join(signatures),
    }


class ProjectSecrets:
    """The Standard Webhooks secret of each project, for addresses that rooms, calls and the configuration name."""

    def __init__(self, settings: Settings, random_bytes: RandomBytes) -> None:
        self._settings = settings
        self._random_bytes = random_bytes

    async def current(self, project_id: str) -> str:
        """Made when it is first asked for."""
        return (await self._value(project_id))["secret"]

    async def signing(self, project_id: str, now_ms: int) -> list[str]:
        """What signs now: the secret, and the one before it for a day."""
        value = await self._value(project_id)
        previous = value.get("previous")
        return [value["secret"], *([previous] if previous and value["previousUntil"] > now_ms else [])]

    async def rotate(self, project_id: str, now_ms: int) -> str:
        """A new secret."""
        old = await self._value(project_id)
        value = {
            "secret": new_secret(self._random_bytes),
            "previous": old["secret"],
            "previousUntil": now_ms + OVERLAP_MS,
        }
        await self._settings.set(project_id, SETTING, value)
        return value["secret"]

    async def _value(self, project_id: str) -> dict[str, Any]:
        known = await self._settings.get(project_id, SETTING)
        return known or await self._settings.once(project_id, SETTING, {"secret": new_secret(self._random_bytes)})
