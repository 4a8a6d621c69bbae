"""Parts of a file to the addresses that the platform gave for them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx

from lorry.delivery.ports import Progress
from lorry.errors import PlatformError, RequestRefused, SourceChanged
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.faults import sentence_of

_BLOCK = 1024 * 1024

#: Parts under way at once. The official command line allows 256; four fill a line and keep memory flat.
_AT_ONCE = 4

#: Seconds before each further attempt; five attempts in all, as the official command line does (2.3).
_PAUSES = (1.0, 2.0, 4.0, 8.0)

#: Seconds that one part may wait for a block to go, as the official command line does (2.3).
_PART_LIMITS = httpx.Timeout(30 * 60, connect=5)


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a file; `number` counts from 1, `md5` is the digest of its bytes."""

    number: int
    offset: int
    size: int
    md5: bytes


class Sent:
    """Bytes that are there, of all bytes of an upload; what is told only ever grows.

    Args:
        total: Bytes in all.
        progress: Told after every block.
    """

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total
        self._progress = progress
        self._there = 0

    def add(self, count: int) -> None:
        """Count bytes and tell of them."""
        self._there += count
        self._progress(self._there, self._total)


class PartSender:
    """Sends the parts of one file.

    Args:
        connection: Whose storage client is used; it knows no key.
        name: The file's name at the platform, for messages.
        path: Where it lies.
        sent: The count of bytes.
        arrived: Told of each part that is there, by its number and the storage's tag.
        pauses: Seconds before each further attempt.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        path: Path,
        sent: Sent,
        arrived: Callable[[int, str], None],
        pauses: Sequence[float] = _PAUSES,
    ) -> None:
        self._at = connection
        self._name = name
        self._path = path
        self._sent = sent
        self._arrived = arrived
        self._pauses = pauses
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def send(self, parts: Sequence[tuple[Part, Mapping[str, Any]]]) -> dict[int, str]:
        """Send parts, a few at once.

        Args:
            parts: Each part with the platform's row for it (`url`, `headers`).

        Returns:
            The storage's tag of each part, by number.

        Raises:
            PlatformError: A part could not be brought there in five attempts.
            SourceChanged: The file got shorter meanwhile.
        """
        tasks = [asyncio.create_task(self._one(part, row)) for part, row in parts]
        try:
            tags = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return {part.number: tag for (part, _), tag in zip(parts, tags, strict=True)}

    async def _one(self, part: Part, row: Mapping[str, Any]) -> str:
        url = self._at.read("give addresses for the parts", lambda: str(row["url"]))
        self._require_safe(url)
        # The storage itself compares what arrives with this (RFC 1864) and refuses what differs.
        digest = base64.b64encode(part.md5).decode()
        headers = {"Content-MD5": digest, **(row.get("headers") or {}), "Content-Length": str(part.size)}
        count = _Once(self._sent)
        async with self._gate:
            tag = await self._persistently(part, url, headers, count)
            self._arrived(part.number, tag)
        return tag

    async def _persistently(self, part: Part, url: str, headers: dict[str, str], count: _Once) -> str:
        for pause in self._pauses:
            try:
                return await self._put(part, url, headers, count)
            except PlatformError as error:
                if not error.retryable:
                    raise
            await asyncio.sleep(pause)
        return await self._put(part, url, headers, count)

    async def _put(self, part: Part, url: str, headers: dict[str, str], count: _Once) -> str:
        doing = f"store part {part.number} of {self._name}"
        faults = self._at.faults.of(url)
        passed = hashlib.md5(usedforsecurity=False)
        with faults.translated(doing), self._opened() as stream:
            blocks = self._blocks(stream, part, count, passed.update)
            answer = await self._at.storage.put(url, headers=headers, content=blocks, timeout=_PART_LIMITS)
        if passed.digest() != part.md5:
            raise SourceChanged(
                f"{self._path} changed while it was sent: part {part.number} is not what it was before.",
                evidence={"path": str(self._path), "part": part.number},
            )
        if 400 <= answer.status_code < 500 and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            said = sentence_of(answer)[:200]
            raise RequestRefused(
                f"{faults.address} refused to {doing} (status {answer.status_code}): {said}",
                fix="Run the same command again: the upload begins anew with fresh addresses.",
                evidence={"status": answer.status_code, "part": part.number, "file": self._name},
            )
        if answer.status_code != httpx.codes.OK:
            raise faults.refusal(answer, doing)
        tag = str(answer.headers.get("etag", "")).strip().strip('"')
        if not tag:
            raise faults.unreadable("it has no ETag", doing)
        return tag

    def _opened(self) -> BinaryIO:
        """Open the file here and not in a thread: whoever is called off meanwhile could not close it."""
        try:
            return self._path.open("rb")
        except OSError as error:
            why = error.strerror or str(error)
            raise SourceChanged(
                f"{self._path} can't be read any more: {why}.", evidence={"path": str(self._path)}
            ) from error

    async def _blocks(
        self, stream: BinaryIO, part: Part, count: _Once, passed: Callable[[bytes], None]
    ) -> AsyncIterator[bytes]:
        count.begin()
        left = part.size
        stream.seek(part.offset)
        while left:
            block = await asyncio.to_thread(stream.read, min(_BLOCK, left))
            if not block:
                raise SourceChanged(
                    f"{self._path} got shorter while it was sent: part {part.number} lacks {left} bytes.",
                    evidence={"path": str(self._path), "part": part.number, "missing": left},
                )
            passed(block)
            yield block
            left -= len(block)
            count.passed(len(block))

    def _require_safe(self, url: str) -> None:
        """Weights leave this machine encrypted, or to the very server that we were told to use."""
        to, base = urlsplit(url), urlsplit(self._at.faults.address)
        if to.scheme == "https" or (to.scheme == base.scheme == "http" and to.hostname == base.hostname):
            return
        raise RequestRefused(
            f"{self._at.faults.address} wants {self._name} sent in the clear to {to.scheme}://{to.netloc}, "
            "so nothing was sent.",
            fix="Check the platform's address; uploads go to https addresses only.",
            evidence={"scheme": to.scheme, "host": to.hostname},
        )


class _Once:
    """Counts each byte of a part once, however often it is sent."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent
        self._most = 0
        self._now = 0

    def begin(self) -> None:
        """Begin an attempt."""
        self._now = 0

    def passed(self, count: int) -> None:
        """Count bytes of this attempt."""
        self._now += count
        if self._now > self._most:
            self._sent.add(self._now - self._most)
            self._most = self._now
