"""Where the gateway keeps results, and the secret with which it signs, built from settings."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from lorry.errors import NotWritable
from lorry.generation.ports import Blobs
from lorry.settings import Settings


def blobs_of(settings: Settings) -> Blobs:
    """Open where pictures are kept: a bucket, or files in the home."""
    if settings.results_url is not None:
        from lorry.store.bucket import BucketBlobs

        return BucketBlobs(settings.results_url)
    from lorry.store.blobs import DiskBlobs

    return DiskBlobs(settings.home / "generated")


def secret_of(settings: Settings) -> bytes:
    """Give the secret that signs addresses and messages: as set, else one that this home makes for itself."""
    if settings.server_secret is not None:
        return settings.server_secret.encode()
    path: Path = settings.home / "server.secret"
    try:
        with (
            contextlib.suppress(FileExistsError),
            open(  # noqa: PTH123 - with its rights from the start
                os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
            ) as file,
        ):
            file.write(secrets.token_hex(32))
        return path.read_bytes().strip()
    except OSError as error:
        raise NotWritable(f"{path} can't be made: {error.strerror}.", evidence={"path": str(path)}) from error
