"""One of several that draw for one engine: what is sent to it, and what it answers. It knows no network.

Errors travel as data, since not every process can read another's exceptions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from lorry.container.cache import Cache
from lorry.engine.drawing.port import ImageServing, Needed
from lorry.engine.renderers.port import Canvas, LoadedAdapter, Picture, RenderRequest
from lorry.errors import LorryError


@dataclass(frozen=True, slots=True)
class Shipped:
    """An adapter on its way.

    Attributes:
        key: By which requests name it.
        path: Where its file lies for whoever sends it.
        content: Something that gives its bytes; `None` when these were not sent along.
    """

    key: str
    path: str
    content: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a replica says.

    Attributes:
        replica: Which one.
        pictures: What was drawn.
        loaded: What was loaded.
        missing: Keys of adapters whose files it can't see: they have to be sent.
        error: What went wrong, as `LorryError.as_dict` writes it.
    """

    replica: str
    pictures: list[Picture] = field(default_factory=list)
    loaded: LoadedAdapter | None = None
    missing: tuple[str, ...] = ()
    error: dict[str, Any] | None = None


#: Gives the bytes that something stands for.
Fetch = Callable[[Any], Awaitable[bytes]]


class Replica:
    """Draws what it is sent.

    Args:
        name: Which one it is.
        serving: What draws in this process.
        folder: Where files that were sent are kept.
        room: Bytes of them that are kept at most.
        fetch: Gives the bytes of a file that was sent.
        shared: Whether it may look for files where the sender has them.
    """

    def __init__(
        self, name: str, serving: ImageServing, folder: Path, room: int, fetch: Fetch, *, shared: bool
    ) -> None:
        self.name = name
        self._serving = serving
        self._cache = Cache(folder, room)
        self._fetch = fetch
        self._shared = shared

    async def draw(self, requests: Sequence[RenderRequest], shipped: Sequence[Shipped]) -> Answer:
        """Draw pictures with adapters."""
        needed = [await self._here(each) for each in shipped]
        if missing := _missing(shipped, needed):
            return Answer(self.name, missing=missing)
        try:
            pictures = await self._serving.render(requests, [each for each in needed if each])
        except LorryError as error:
            return Answer(self.name, error=error.as_dict())
        return Answer(self.name, pictures)

    async def load(self, shipped: Shipped) -> Answer:
        """Load an adapter."""
        needed = await self._here(shipped)
        if needed is None:
            return Answer(self.name, missing=(shipped.key,))
        try:
            loaded = await run_in_threadpool(self._serving.visit, needed)
        except LorryError as error:
            return Answer(self.name, error=error.as_dict())
        return Answer(self.name, loaded=loaded)

    async def canvas(self) -> Canvas | dict[str, Any]:
        """Say which pictures it draws, or why it can't."""
        try:
            return await run_in_threadpool(lambda: self._serving.canvas)
        except LorryError as error:
            return error.as_dict()

    def metrics(self) -> bytes:
        """Give what was measured here."""
        return self._serving.metrics()

    def close(self) -> None:
        """End."""
        self._serving.close()

    async def _here(self, shipped: Shipped) -> Needed | None:
        """Find the file of an adapter, or write down what was sent."""
        if found := await run_in_threadpool(self._seen, shipped):
            return Needed(shipped.key, found)
        if shipped.content is None:
            return None
        content = await self._fetch(shipped.content)
        return Needed(shipped.key, await run_in_threadpool(self._cache.write, _digest(shipped.key), content))

    def _seen(self, shipped: Shipped) -> Path | None:
        there = Path(shipped.path)
        return there if self._shared and there.is_file() else self._cache.find(_digest(shipped.key))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _missing(shipped: Sequence[Shipped], needed: Sequence[Needed | None]) -> tuple[str, ...]:
    return tuple(each.key for each, found in zip(shipped, needed, strict=True) if found is None)
