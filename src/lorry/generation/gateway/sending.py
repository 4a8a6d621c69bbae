"""Kept results on their way to whoever asked, or comes back for them."""

from __future__ import annotations

from lorry.errors import GenerationNotFound
from lorry.generation.gateway.rendering import Addresses, body_of
from lorry.generation.gateway.replies import Budget
from lorry.generation.gateway.results import Result
from lorry.generation.gateway.sink import Headers, Request, Sink
from lorry.generation.gateway.telling import accepted_body
from lorry.generation.ports import Blobs
from lorry.model.kept import Generated

#: Bytes of kept answers that are on their way to callers at once, and what one picture counts as.
_SENDING_BYTES, _SIZE = 64 * 1024 * 1024, 4 * 1024 * 1024


class Sending:
    """Sends kept results.

    Args:
        blobs: Has their pictures.
        addresses: Signs the addresses of pictures.
    """

    def __init__(self, blobs: Blobs, addresses: Addresses) -> None:
        self._blobs, self._addresses = blobs, addresses
        self._room = Budget(_SENDING_BYTES)
        self._fresh: dict[str, dict[str, bytes]] = {}

    def remember(self, row: Generated, result: Result, *, whatever: bool = False) -> None:
        """Keep the pictures in memory for a moment, while there is room for them, or whatever there is."""
        size = sum(len(content) for kept in self._fresh.values() for content in kept.values())
        if whatever or size < _SENDING_BYTES:
            self._fresh[row.id] = {made.digest: made.content for made in result.pictures}

    def forget(self, row: str) -> None:
        """Keep the pictures of a result in memory no longer."""
        self._fresh.pop(row, None)

    async def send(self, row: Generated, request: Request, sink: Sink) -> None:
        """Send the answer that a row is: its result, or where it can be looked for.

        Raises:
            GenerationNotFound: Its pictures are not kept any more.
        """
        if not row.state.ended:
            body, status = accepted_body(row, request.address), 202
            location = (b"location", f"{request.address}/api/generations/{row.id}".encode())
            await sink.whole(status, [*_head(row), location, _JSON], body)
            return
        size = _SIZE * len((row.answer or {}).get("pictures", ()))
        await self._room.take(size)
        try:
            body, media = await self.rendered(row, request.address)
            await sink.whole(200, [*_head(row), (b"content-type", media.encode())], body)
        finally:
            await self._room.give_back(size)

    async def rendered(self, row: Generated, server: str) -> tuple[bytes, str]:
        """Write the answer of a row that has one; the pictures are read where they go into it."""
        answer = row.answer or {}
        contents: dict[str, bytes] = {}
        if not answer.get("address"):
            for kept in answer.get("pictures", ()):
                fresh = self._fresh.get(row.id, {}).get(kept["digest"])
                content = fresh or await self._blobs.get(kept["digest"])
                if content is None:
                    raise GenerationNotFound(
                        f"The pictures of {row.id} are not kept any more.", evidence={"id": row.id}
                    )
                contents[kept["digest"]] = content
        return body_of(row, contents, self._addresses, server)


_JSON = (b"content-type", b"application/json")


def _head(row: Generated) -> Headers:
    answer = row.answer or {}
    names = [name for name in ("route", "place", "base") if name in answer]
    told = [(f"x-lorry-{name}".encode(), str(answer[name]).encode()) for name in names]
    told.append((b"x-request-id", row.id.encode()))
    if answer.get("cents"):
        told.append((b"x-lorry-cents", f"{answer['cents']:.6g}".encode()))
    if answer.get("told", {}).get("trigger_added"):
        told.append((b"x-lorry-trigger-added", b"true"))
    return told
