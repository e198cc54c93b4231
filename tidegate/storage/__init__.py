"""Where finished files go: this disk or an S3-compatible store. `make_storage` chooses by configuration."""

from __future__ import annotations

from pathlib import Path

from tidegate.config.egress import StorageConfig
from tidegate.storage.ports import DiskFull, Storage, StorageError, Stored, UploadRefused
from tidegate.storage.presigned import put_presigned

__all__ = ["DiskFull", "Storage", "StorageError", "Stored", "UploadRefused", "make_storage", "put_presigned"]


def make_storage(config: StorageConfig, data_dir: Path) -> Storage:
    """The storage that is configured. Nothing is connected to yet; ConfigError for what cannot be."""
    if config.url.startswith("s3:"):
        from tidegate.storage.s3 import ObjectStorage  # loads slowly: only who uses it pays

        return ObjectStorage.open(config)
    from tidegate.storage.disk import DiskStorage, folder_of

    return DiskStorage(folder_of(config.url) if config.url else data_dir / "recordings")
