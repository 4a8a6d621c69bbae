"""What a place answered: whether it is a result, read no further than that takes."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from lorry.errors import AnswerUnusable
from lorry.generation.ports import AnswerCut, Reply

#: Up to here an answer is read whole and checked before it is passed on, bytes.
SMALL = 64 * 1024
#: A larger answer is none that was asked for: 16 pictures of 1920 x 1920 as PNG are some 120 MB in base64.
LARGEST = 256 * 1024 * 1024
#: Of an error's body, as much as is read.
_ERROR_BYTES = 64 * 1024

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def read_whole(reply: Reply, length: int | None = None, most: int = LARGEST) -> bytes:
    """Read an answer to its end.

    Args:
        reply: The answer.
        length: Bytes, as its head says. Then nobody asks for more, which would be one more way to the thread
            of the client and back; the connection is used again all the same (tests/upstream).
        most: Bytes at most.

    Raises:
        AnswerCut: It breaks off.
        AnswerUnusable: It is larger.
    """
    pieces: list[bytes] = []
    size = 0
    while size != length and (piece := await reply.read()) is not None:
        size += len(piece)
        if size > most:
            raise AnswerUnusable(
                f"The platform's answer is larger than {most / 2**20:.0f} MiB.", evidence={"most": most}
            )
        pieces.append(bytes(piece))
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def read_error(reply: Reply) -> bytes:
    """Read the body of an answer that is no success, or its beginning.

    Args:
        reply: The answer.
    """
    body = b""
    try:
        while (piece := await reply.read()) is not None:
            body += piece
            if len(body) >= _ERROR_BYTES:
                break
    except AnswerCut:
        pass  # the status says enough
    return body[:_ERROR_BYTES]


def length_of(reply: Reply) -> int | None:
    """Give the length of a body as its head says it, bytes; `None` when it does not."""
    said = reply.header("content-length")
    return int(said) if said is not None and said.isdecimal() else None


def object_of(body: bytes) -> dict[str, msgspec.Raw]:
    """Read an answer as a JSON object, its fields as they came.

    Raises:
        AnswerUnusable: It is none.
    """
    try:
        return _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnswerUnusable(
            f"The platform's answer is no JSON object ({error}).", evidence={"begins": _beginning(body)}
        ) from error


def require_object_begins(head: bytes, kind: str | None) -> None:
    """Accept the beginning of a large answer.

    Args:
        head: Its first bytes.
        kind: Its content type.

    Raises:
        AnswerUnusable: It is no JSON object, whatever follows.
    """
    plain = (kind or "application/json").partition(";")[0].strip().lower()
    if plain.endswith("json") and head.lstrip()[:1] == b"{":
        return
    raise AnswerUnusable(
        f"The platform's answer is {plain} and no JSON object.", evidence={"begins": _beginning(head)}
    )


def _beginning(body: bytes) -> str:
    """Give what an answer begins with, as evidence: no more than tells a web page from a result."""
    return body[:60].decode("utf-8", "replace")


class Usage(msgspec.Struct):
    """Tokens of an answer in words."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


def usage_of(fields: dict[str, Any]) -> tuple[int, int]:
    """Give the tokens that an answer in words says it read and wrote."""
    try:
        used = msgspec.json.decode(fields["usage"], type=Usage | None)
    except (KeyError, msgspec.DecodeError):
        return 0, 0
    return (used.prompt_tokens, used.completion_tokens) if used else (0, 0)


class Budget:
    """Bytes that may be in memory at once; who needs more waits, first come, first served.

    A single answer larger than all of it passes when it is alone.

    Args:
        most: Bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._used = 0
        self._turn = asyncio.Condition()

    async def take(self, size: int) -> None:
        """Wait until there is room, and take it."""
        if self._fits(size):
            self._used += size
            return
        async with self._turn:
            await self._turn.wait_for(lambda: self._fits(size))
            self._used += size

    async def take_within(self, size: int, seconds: float) -> int:
        """Wait for room, but no longer than that; give what was taken.

        Who waited long enough goes without: others may hold theirs for callers that read slowly.
        """
        try:
            await asyncio.wait_for(self.take(size), seconds)
        except TimeoutError:
            return 0
        return size

    def _fits(self, size: int) -> bool:
        return self._used == 0 or self._used + size <= self._most

    async def give_back(self, size: int) -> None:
        """Give room back."""
        self._used -= size
        async with self._turn:
            self._turn.notify_all()
