"""Files to the platform in parts: the routes that only the official command line uses.

How it works (Together API dossier 2.3):

1. Read each file once and take its hash: the MD5 of its bytes, or, of several parts, the MD5 over the
   parts' MD5s and their number, as object stores name a multi-part object.
2. `upload/create` names the files; the answer has an address for each part, or says that the content is
   stored already.
3. Put each part to its address, without our key. Only this is repeated: putting the same part again is free.
4. `upload/complete` makes one immutable revision of all files; sent once.

What `create` answered and the tags of the parts that are there are kept (`kept.py`), so that a process that
was killed is followed by one that sends the missing parts only. Addresses run out: when a kept one is
refused, the upload begins anew.

A part is streamed from disk in small blocks and a few parts go at once, so memory stays flat whatever the
size of the file.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorry.delivery.ports import Progress, UploadFile
from lorry.errors import RequestRefused, SourceNotFound
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.kept import Begun, Kept, upload_key
from lorry.platforms.together.parts import Part, PartSender, Sent

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file as the platform is told of it."""

    name: str
    path: Path
    size: int
    hash: str
    parts: tuple[Part, ...]


class Upload:
    """One upload of files to one model.

    Args:
        connection: Where to.
        project: Id of the project.
        model: Id of the model record.
        part_size: Bytes of one part.
        kept: Remembers how far it came.
    """

    def __init__(self, connection: Connection, project: str, model: str, part_size: int, kept: Kept) -> None:
        self._at = connection
        self._kept = kept
        self._base = f"/v2/projects/{project}/models/upload"
        self._model = model
        self._part_size = part_size

    async def run(self, files: Sequence[UploadFile], progress: Progress) -> str:
        """Bring the files there.

        Args:
            files: What to upload.
            progress: Told how many bytes are there, and of how many.

        Returns:
            The id of the new revision.

        Raises:
            SourceNotFound: A file can't be read.
            SourceChanged: A file got shorter while it was sent.
            PlatformError: The platform refused or failed.
        """
        if not files:
            raise RequestRefused("There is nothing to upload: no file was named.")
        planned = [await asyncio.to_thread(plan, file, self._part_size) for file in files]
        hashes = {file.name: file.hash for file in planned}
        key = upload_key(self._at.faults.address, self._model, hashes)
        begun = await asyncio.to_thread(self._kept.load, key)
        if begun is not None and _fits(begun, planned):
            try:
                return await self._bring(key, begun, planned, progress)
            except RequestRefused:  # its addresses have run out, or the platform has given it up
                await asyncio.to_thread(self._kept.forget, key)
        fresh = Begun(await self._post("create", {"files": [_announced(file) for file in planned]}))
        return await self._bring(key, fresh, planned, progress)

    async def _bring(self, key: str, begun: Begun, planned: Sequence[PlannedFile], progress: Progress) -> str:
        """Send what is not there yet, and make the revision."""
        doing = "begin the upload"
        addresses = self._at.read(doing, lambda: {str(row["path"]): row for row in begun.answer["files"]})
        if set(addresses) != {file.name for file in planned}:
            raise self._at.faults.unreadable(f"it speaks of other files: {sorted(addresses)}", doing)
        sent = Sent(sum(file.size for file in planned), progress)
        done = []
        for file in planned:
            there = begun.tags.setdefault(file.name, {})

            def keep(number: int, tag: str, there: dict[int, str] = there) -> None:
                there[number] = tag
                self._kept.save(key, begun)

            done.append(await self._file(file, addresses[file.name], sent, dict(there), keep))
        finished = await self._post("complete", {"files": done})
        revision = self._at.read("end the upload", lambda: finished["revisionId"])
        if not revision:
            raise self._at.faults.unreadable("it names no revision", "end the upload")
        await asyncio.to_thread(self._kept.forget, key)
        return str(revision)

    async def _file(
        self,
        file: PlannedFile,
        row: Mapping[str, Any],
        sent: Sent,
        there: Mapping[int, str],
        keep: Callable[[int, str], None],
    ) -> dict[str, Any]:
        if row.get("skipUpload"):
            sent.add(file.size)
            return {"path": file.name, "hash": file.hash, "skipUpload": True}
        doing = f"take the file {file.name}"
        addresses = self._at.read(doing, lambda: {int(part["partNumber"]): part for part in row["parts"]})
        if set(addresses) != {part.number for part in file.parts}:
            why = f"it has addresses for the parts {sorted(addresses)} of {len(file.parts)}"
            raise self._at.faults.unreadable(why, doing)
        sent.add(sum(part.size for part in file.parts if part.number in there))
        sender = PartSender(self._at, file.name, file.path, sent, keep)
        missing = [(part, addresses[part.number]) for part in file.parts if part.number not in there]
        tags = {**there, **await sender.send(missing)}
        details = {
            "uploadId": row.get("uploadId", ""),
            "parts": [{"partNumber": number, "hash": tag} for number, tag in sorted(tags.items())],
        }
        return {"path": file.name, "hash": file.hash, "uploadDetails": details}

    async def _post(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        doing = "begin the upload" if verb == "create" else "end the upload"
        with self._at.faults.translated(doing):
            answer = await self._at.client.post(
                f"{self._base}/{verb}", cast_to=object, body={"objectId": self._model, **body}
            )
        if not isinstance(answer, dict):
            raise self._at.faults.unreadable("it is no JSON object", doing)
        return answer


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
                parts.append(Part(len(parts) + 1, size, taken[1]))
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


def _fits(begun: Begun, planned: Sequence[PlannedFile]) -> bool:
    """Tell whether a kept upload speaks of these files and of their parts."""
    try:
        rows = {str(row["path"]): row for row in begun.answer["files"]}
        return set(rows) == {file.name for file in planned} and all(
            rows[file.name].get("skipUpload") or len(rows[file.name]["parts"]) == len(file.parts)
            for file in planned
        )
    except (LookupError, TypeError, AttributeError):
        return False


def _announced(file: PlannedFile) -> dict[str, Any]:
    return {"path": file.name, "hash": file.hash, "numParts": len(file.parts)}
