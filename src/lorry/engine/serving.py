"""The engine's one renderer: opened when it is first needed, used by one request at a time.

Drawing and loading take the processor for as long as they last, so they share one lock, and drawing happens
in one worker thread and never on the event loop. Requests that come meanwhile wait in line.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lorry.engine.renderers.port import LoadedAdapter, Picture, Renderer, RenderRequest
from lorry.errors import AdapterUnusable

#: Adapters that stay loaded without being deployed, the least recently used leaving first.
VISITORS = 8


@dataclass(frozen=True, slots=True)
class Needed:
    """An adapter that a request draws with: the key it is loaded under, and its file."""

    key: str
    path: Path


class Serving:
    """The renderer and the adapters that are loaded in it.

    Args:
        open_renderer: Opens the renderer; called once, when it is first needed.
    """

    def __init__(self, open_renderer: Callable[[], Renderer]) -> None:
        self._open = open_renderer
        self._lock = threading.RLock()
        self._renderer: Renderer | None = None
        self._residents: dict[str, LoadedAdapter] = {}
        self._visitors: OrderedDict[str, LoadedAdapter] = OrderedDict()
        self._line = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lorry-render")

    def warm_up(self) -> None:
        """Open the renderer in the background, so that the first request need not wait for it.

        What goes wrong then goes wrong again, and is reported, when a request needs it.
        """
        self._line.submit(self._ready)

    def close(self) -> None:
        """Wait for the request that is being drawn and take no other."""
        self._line.shutdown(wait=True, cancel_futures=True)

    def keep(self, needed: Needed) -> LoadedAdapter:
        """Load a deployed adapter and keep it until `release`.

        Raises:
            LorryError: The renderer can't be opened, or can't take the adapter.
        """
        # Not behind the lock: what is loaded need not wait for a picture that is being drawn.
        if resident := self._residents.get(needed.key):
            return resident
        with self._lock:
            if needed.key not in self._residents:
                loaded = self._visitors.pop(needed.key, None)
                self._residents[needed.key] = loaded or self._ready().load(needed.key, needed.path)
            return self._residents[needed.key]

    def release(self, key: str) -> None:
        """Unload an adapter; one that is not loaded is fine."""
        with self._lock:
            known = self._residents.pop(key, None) or self._visitors.pop(key, None)
            if known and self._renderer:
                self._renderer.unload(key)

    def loaded(self) -> frozenset[str]:
        """Name the adapters that are loaded now."""
        with self._lock:
            return frozenset(self._residents) | frozenset(self._visitors)

    def visit(self, needed: Needed) -> LoadedAdapter:
        """Load an adapter for one request; it stays for a while in case it comes again."""
        with self._lock:
            if needed.key in self._residents:
                return self._residents[needed.key]
            if needed.key not in self._visitors:
                self._visitors[needed.key] = self._ready().load(needed.key, needed.path)
            self._visitors.move_to_end(needed.key)
            return self._visitors[needed.key]

    async def render(self, requests: Sequence[RenderRequest], needed: Sequence[Needed] = ()) -> list[Picture]:
        """Draw pictures when their turn comes.

        Args:
            requests: What to draw.
            needed: Adapters that must be loaded for it.

        Raises:
            LorryError: The renderer can't be opened, or can't take an adapter.
        """
        return await asyncio.get_running_loop().run_in_executor(self._line, self._draw, requests, needed)

    def _draw(self, requests: Sequence[RenderRequest], needed: Sequence[Needed]) -> list[Picture]:
        with self._lock:
            for adapter in needed:
                if self.visit(adapter).modules == 0:
                    raise AdapterUnusable(f"{adapter.path.name} fits no layer of the base model.")
            pictures = self._ready().render(requests)
            while len(self._visitors) > VISITORS:
                key, _ = self._visitors.popitem(last=False)
                self._ready().unload(key)
            return pictures

    def _ready(self) -> Renderer:
        with self._lock:
            if self._renderer is None:
                self._renderer = self._open()
            return self._renderer
