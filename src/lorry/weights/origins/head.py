"""The beginning of a file far away: one ranged request, a second one only where the header is longer.

Source of the ranges and of what the Hub says with them: LoRA formats dossier, section 3.1. A FLUX LoRA's
header has 134,552 bytes, so 256 kB leave it at one request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lorry.errors import InternalError
from lorry.model.report import Finding
from lorry.weights.catalogue import StructureFault, fault, finding
from lorry.weights.files.document import LARGEST_READ
from lorry.weights.files.header import read_header
from lorry.weights.files.listing import Entry
from lorry.weights.files.magic import recognise
from lorry.weights.origins.refusals import refused
from lorry.weights.origins.web import Answer, Web

#: Bytes of the first request.
HEAD_BYTES = 262_144
#: Bytes of an index of shards or a configuration, which are read whole (the same as in checkpoint/index.py).
JSON_BYTES = 32_000_000

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_EMPTY = re.compile(r"bytes \*/0")
_SIZES = ("DATA_TRUNCATED", "DATA_TRAILING")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class HeadSource:
    """The beginning of a file far away, in memory.

    What lies behind it is never fetched: whoever asks for it did not look at `reach`, which is our fault.
    """

    name: str
    content: bytes
    size: int

    @property
    def reach(self) -> int:
        """Bytes that were fetched."""
        return len(self.content)

    def read(self, offset: int, count: int) -> bytes:
        """Read a slice of what was fetched."""
        end = min(offset + count, self.size)
        if end > self.reach:
            message = (
                f"Bytes {offset:,} to {end:,} of {self.name} were asked for, and {self.reach:,} are here."
            )
            raise InternalError(message, evidence={"file": self.name, "end": end, "reach": self.reach})
        return self.content[offset:end]

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Copy a slice of what was fetched."""
        piece = self.read(offset, len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


@dataclass(frozen=True, slots=True)
class AloneListing:
    """What lies around a file at an address: nothing that anybody could ask for."""

    name: str
    entries: tuple[Entry, ...]

    def text(self, path: str) -> str:  # noqa: ARG002 - the port's
        """Nothing can be read."""
        return ""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a file, and what the server said about it.

    Attributes:
        source: The bytes.
        url: Where they came from at last; good for a while only.
        revision: The Hub's commit.
        digest: SHA-256 of the whole file, hex, where the Hub tells it.
        etag: The server's mark of this version.
    """

    source: HeadSource
    url: str
    revision: str | None = None
    digest: str | None = None
    etag: str | None = None


def read_head(web: Web, url: str, name: str, subject: str) -> Head:
    """Fetch the beginning of a file, as much as its header needs.

    Args:
        web: The client.
        url: Where the file is.
        name: The file's name.
        subject: What the user named, for messages.

    Raises:
        StructureFault: Any REMOTE_ finding; FILE_CHANGED when it was exchanged between two requests.
    """
    head = _part(web, url, name, subject, 0, HEAD_BYTES)
    needed = _needed(head.source)
    if needed > head.source.reach:
        rest = _part(web, head.url, name, subject, head.source.reach, needed)
        if (rest.source.size, rest.etag) != (head.source.size, head.etag):
            raise fault("FILE_CHANGED", f"{name} was exchanged at its address while it was read.")
        whole = HeadSource(name, head.source.content + rest.source.content, head.source.size)
        head = replace(head, source=whole)
    return head


def size_findings(head: Head, subject: str) -> tuple[Finding, ...]:
    """Compare the size that the server tells with where the file's own header says that it ends.

    Args:
        head: The beginning of the file.
        subject: What the user named.

    Returns:
        Nothing where the two agree or the header can't tell; else REMOTE_SIZE and all that is wrong besides.
    """
    if recognise(head.source) is not None:
        return ()
    try:
        read_header(head.source)
    except StructureFault as broken:
        if any(found.code in _SIZES for found in broken.findings):
            return tuple(_of_remote(found, subject) for found in broken.findings)
    return ()


def _of_remote(found: Finding, subject: str) -> Finding:
    if found.code not in _SIZES:
        return found
    expected, there = found.evidence["expected"], found.evidence["found"]
    word = f"{expected - there:,} are missing" if there < expected else f"{there - expected:,} are too many"
    message = f"{subject} has {there:,} bytes at its address, and its header needs {expected:,}: {word}."
    return finding("REMOTE_SIZE", message, subject=subject, expected=expected, found=there)


def _needed(source: HeadSource) -> int:
    """Tell how many bytes the header takes; 0 where there is none, or an absurd one."""
    if source.size <= source.reach:
        return 0
    if source.name.endswith(".json"):
        return source.size if source.size <= JSON_BYTES else 0
    if recognise(source) is not None:
        return 0
    length = int.from_bytes(source.content[:8], "little")
    return 8 + length if length <= LARGEST_READ and 8 + length <= source.size else 0


def _part(web: Web, url: str, name: str, subject: str, begin: int, end: int) -> Head:
    """Fetch a range; a server that ignores ranges is read up to its end."""
    with web.ask(url, {"range": f"bytes={begin}-{end - 1}"}) as answer:
        headers = answer.headers
        if answer.status == 416 and _EMPTY.fullmatch(headers.get("content-range", "")):
            content, size = b"", 0
        elif answer.status == 206:
            content, size = _ranged(answer, subject, begin, end)
        elif answer.status == 200:
            content, size = _plain(answer, subject, begin, end)
        else:
            raise StructureFault(
                refused(
                    answer.status, headers, subject, hub=web.hub, token=bool(web.hub and web.access.hub_token)
                )
            )
        _judge_told(headers, size, subject)
        return Head(
            HeadSource(name, content, size),
            answer.url,
            headers.get("x-repo-commit"),
            digest_of(headers),
            headers.get("etag"),
        )


def _ranged(answer: Answer, subject: str, begin: int, end: int) -> tuple[bytes, int]:
    told = answer.headers.get("content-range", "")
    found = _RANGE.fullmatch(told)
    first, last, size = (int(number) for number in found.groups()) if found else (-1, -1, -1)
    if found is None or first != begin or last != min(end, size) - 1 or answer.encoded:
        message = (
            f"The server sent another part of {subject} than was asked for (Content-Range {told[:80]!r})."
        )
        raise fault("REMOTE_REFUSED", message, subject=subject, asked=[begin, end - 1], answered=told[:80])
    content = answer.read(last + 1 - first)
    if len(content) < last + 1 - first:
        message = f"The server broke off after {len(content):,} of {last + 1 - first:,} bytes of {subject}."
        raise fault("REMOTE_UNREACHABLE", message, subject=subject, found=len(content))
    return content, size


def _plain(answer: Answer, subject: str, begin: int, end: int) -> tuple[bytes, int]:
    if answer.encoded:
        message = f"The server sent {subject} in an encoding that was not asked for."
        raise fault("REMOTE_REFUSED", message, subject=subject)
    length = answer.headers.get("content-length", "")
    content = answer.read(end)
    if length.isdecimal() and len(length) <= 18:
        size = int(length)
    elif len(content) < end:
        size = len(content)
    else:
        message = f"The server does not say how large {subject} is, so nothing tells whether it is whole."
        raise fault("REMOTE_REFUSED", message, subject=subject)
    return content[begin:], size


def _judge_told(headers: Mapping[str, str], size: int, subject: str) -> None:
    told = headers.get("x-linked-size", "")
    if told.isdecimal() and len(told) <= 18 and int(told) != size:
        message = f"The Hub lists {subject} with {int(told):,} bytes, and its store sends {size:,}."
        raise fault("REMOTE_SIZE", message, subject=subject, expected=int(told), found=size)


def digest_of(headers: Mapping[str, str]) -> str | None:
    """Read the SHA-256 that the Hub tells for a file that it keeps in LFS or Xet.

    Args:
        headers: Headers of the answer, names in lower case.
    """
    mark = headers.get("x-linked-etag", "").removeprefix("W/").strip('"').lower()
    return mark if _SHA256.fullmatch(mark) else None
