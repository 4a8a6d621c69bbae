"""Fetch a whole file into a private folder, in pieces, and never more than was announced."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path

from lorry.weights.catalogue import StructureFault, fault
from lorry.weights.origins.archive import private_folder, writing
from lorry.weights.origins.head import digest_of
from lorry.weights.origins.refusals import refused
from lorry.weights.origins.web import Web, download_seconds

#: Bytes of a file that is fetched: the largest adapters have some 2 GB, an archive of several steps a few
#: times that.
FETCHED_AT_MOST = 20 << 30


def download(web: Web, url: str, name: str, subject: str, stack: ExitStack) -> Path:
    """Fetch a file.

    Args:
        web: The client.
        url: Where the file is.
        name: What to call it; it never becomes a path.
        subject: What the user named, for messages.
        stack: Removes the file.

    Returns:
        The file, under a name of ours.

    Raises:
        StructureFault: Any REMOTE_ finding.
        DiskFull: There is no room for it.
    """
    target = private_folder(stack) / "fetched"
    save(web, url, target, name, subject)
    return target


def save(web: Web, url: str, target: Path, name: str, subject: str) -> None:
    """Fetch a file to a place of ours.

    Args:
        web: The client.
        url: Where the file is.
        target: The new file.
        name: What to call it.
        subject: What the user named, for messages.

    Raises:
        StructureFault: Any REMOTE_ finding.
        DiskFull: There is no room for it.
    """
    digest = hashlib.sha256()
    with web.ask(url, {}, seconds=download_seconds(0)) as answer:
        if answer.status != 200:
            token = bool(web.hub and web.access.hub_token)
            raise StructureFault(refused(answer.status, answer.headers, subject, hub=web.hub, token=token))
        if answer.encoded:
            message = f"The server sent {subject} in an encoding that was not asked for."
            raise fault("REMOTE_REFUSED", message, subject=subject)
        told = answer.headers.get("content-length", "")
        expected = int(told) if told.isdecimal() and len(told) <= 18 else None
        if expected is not None and expected > FETCHED_AT_MOST:
            raise _too_large(name, expected, subject)
        done = 0
        with writing(target, expected or 0) as write:
            for piece in answer.pieces:
                done += len(piece)
                if done > FETCHED_AT_MOST:
                    raise _too_large(name, done, subject)
                web.gate.extend(download_seconds(done))
                digest.update(piece)
                write(piece)
    promised = digest_of(answer.headers)
    if promised is not None and promised != digest.hexdigest():
        message = f"What the server sent for {subject} is not what the Hub lists: its SHA-256 differs."
        raise fault("REMOTE_REFUSED", message, subject=subject, expected=promised, found=digest.hexdigest())
    if expected is not None and done != expected:
        message = f"The server broke off after {done:,} of {expected:,} bytes of {subject}."
        raise fault("REMOTE_UNREACHABLE", message, subject=subject, found=done, expected=expected)


def _too_large(name: str, size: int, subject: str) -> StructureFault:
    message = f"{name} has {size:,} bytes or more; {FETCHED_AT_MOST:,} are fetched at most."
    return fault("REMOTE_REFUSED", message, subject=subject, found=size, limit=FETCHED_AT_MOST)
