"""The threads of one renderer: one that draws, some that load, and who may touch the renderer when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lorry.engine.renderers.port import Renderer

#: Threads that load adapters: reading waits for the disk, and packing for the processor.
_LOADERS = 2

_DRAWER = "lorry-render"


class Hands:
    """One thread that draws, woken when there is something to draw, and threads that load meanwhile.

    Args:
        open_renderer: Opens the renderer; called once, when it is first needed.
        draw: Draws until nothing can be begun; called in the thread that draws, once for each waking.
    """

    def __init__(self, open_renderer: Callable[[], Renderer], draw: Callable[[], None]) -> None:
        self._open = open_renderer
        self._draw = draw
        self._opening = threading.Lock()
        self._renderer: Renderer | None = None
        self._drawer = ThreadPoolExecutor(max_workers=1, thread_name_prefix=_DRAWER)
        self._loaders = ThreadPoolExecutor(max_workers=_LOADERS, thread_name_prefix="lorry-load")
        self._lock = threading.Lock()
        self._awake = False
        self._closed = False
        self._placings = 0

    @property
    def opened(self) -> bool:
        """Whether the renderer is open."""
        return self._renderer is not None

    @property
    def placing(self) -> bool:
        """Whether something waits for the renderer to rest, so as to change it."""
        return self._placings > 0

    def renderer(self) -> Renderer:
        """Give the renderer, opening it when it is not."""
        if self._renderer is None:
            with self._opening:
                if self._renderer is None:
                    self._renderer = self._open()
        return self._renderer

    def warm_up(self) -> None:
        """Open the renderer in the thread that draws."""
        self._drawer.submit(self.renderer)

    def wake(self) -> None:
        """Have something drawn."""
        with self._lock:
            if not self._awake and not self._closed:
                self._awake = True
                self._drawer.submit(self._woken)

    def load(self, work: Callable[..., object], *given: Any) -> None:
        """Do something in a thread that loads."""
        with self._lock:
            if not self._closed:
                self._loaders.submit(work, *given)

    def place(self, work: Callable[[], Any], *, wait: bool) -> Any:
        """Change the renderer; in the thread that draws, where that can't be done beside drawing."""
        drawing = threading.current_thread().name.startswith(_DRAWER)
        if self.renderer().places_beside or drawing:
            return work()
        if not wait:
            self._drawer.submit(work)
            return None
        with self._lock:
            self._placings += 1  # what is being drawn ends after its batch
        try:
            return self._drawer.submit(work).result()
        finally:
            with self._lock:
                self._placings -= 1
            self.wake()

    def close(self) -> None:
        """Wait for what is under way, and begin nothing more."""
        with self._lock:
            self._closed = True
        self._loaders.shutdown(wait=True, cancel_futures=True)
        self._drawer.shutdown(wait=True, cancel_futures=True)

    def _woken(self) -> None:
        with self._lock:
            self._awake = False
        self._draw()
