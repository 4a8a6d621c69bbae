"""Files as the platform is told of them: parts and hashes (Together API dossier 2.3).

A file's hash is the MD5 of its bytes, or, of several parts, the MD5 over the parts' MD5s and their number, as
object stores name a multi-part object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorry.delivery.ports import UploadFile
from lorry.errors import SourceNotFound
from lorry.platforms.together.parts import Part

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file as the platform is told of it."""

    name: str
    path: Path
    size: int
    hash: str
    parts: tuple[Part, ...]

    @property
    def announced(self) -> dict[str, Any]:
        """What the platform is told when an upload begins."""
        return {"path": self.name, "hash": self.hash, "numParts": len(self.parts)}


def plan(file: UploadFile, part_size: int) -> PlannedFile:
    """Read a file once and say how it is uploaded.

    Args:
        file: The file.
        part_size: Bytes of one part.

    Raises:
        SourceNotFound: It can't be read, or is empty.
    """
    digests: list[bytes] = []
    parts: list[Part] = []
    size = 0
    try:
        with file.path.open("rb") as stream:
            while (taken := _digest_of_part(stream, part_size))[1]:
                digests.append(taken[0])
                parts.append(Part(len(parts) + 1, size, taken[1], taken[0]))
                size += taken[1]
    except OSError as error:
        raise SourceNotFound(
            f"{file.path} can't be read: {error.strerror or error}.", evidence={"path": str(file.path)}
        ) from error
    if not parts:
        raise SourceNotFound(f"{file.path} is empty.", evidence={"path": str(file.path)})
    return PlannedFile(file.name, file.path, size, _hash(digests), tuple(parts))


def _digest_of_part(stream: Any, part_size: int) -> tuple[bytes, int]:
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    while size < part_size and (block := stream.read(min(_BLOCK, part_size - size))):
        digest.update(block)
        size += len(block)
    return digest.digest(), size


def _hash(digests: Sequence[bytes]) -> str:
    if len(digests) == 1:
        return digests[0].hex()
    joined = hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()
    return f"{joined}-{len(digests)}"
