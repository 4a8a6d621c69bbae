"""Where adapters are: on the device ready to be drawn with, in the host's memory, or only on disk.

What is asked for comes up from the tier in which it lies; what a tier has no room for goes back down, the
least recently used first. What a picture needs that is being drawn stays on the device, and what is deployed
stays in the host's memory as long as all that is deployed fits.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from lorry.engine.drawing.figures import Figures
from lorry.engine.drawing.port import Needed
from lorry.engine.drawing.room import Room
from lorry.engine.drawing.tiers import Tier
from lorry.engine.renderers.port import LoadedAdapter, ReadAdapter, Renderer


class Placing(Protocol):
    """Runs something where nothing is being drawn meanwhile, unless the renderer does not mind."""

    def __call__(self, work: Callable[[], Any], *, wait: bool) -> Any:
        """Run it.

        Args:
            work: What changes the renderer.
            wait: Whether its result is needed; whoever has a lock of the drawing must not wait.
        """


class AdapterMemory:
    """The two upper tiers; the lowest is the files.

    Args:
        renderer: Gives the renderer, opening it when it must.
        room: How much the tiers hold.
        placing: Runs what the renderer does when an adapter comes and goes.
        figures: Where it is counted.
    """

    def __init__(
        self, renderer: Callable[[], Renderer], room: Room, placing: Placing, figures: Figures
    ) -> None:
        self._renderer = renderer
        self._placing = placing
        self._figures = figures
        self._lock = threading.RLock()
        self._device: Tier[LoadedAdapter] = Tier(room.device)
        self._host: Tier[ReadAdapter] = Tier(room.host)
        self._coming: dict[str, Future[None]] = {}
        self._pins: Counter[str] = Counter()
        self._held: dict[str, LoadedAdapter] = {}
        self._leaving: set[str] = set()

    def load(self, needed: Needed) -> LoadedAdapter:
        """Bring an adapter to the device.

        Args:
            needed: Its key and its file.

        Raises:
            AdapterUnusable: It can't be read, or does not fit the base.
            LorryError: The renderer can't be opened.
        """
        while True:
            with self._lock:
                if (found := self._device.find(needed.key)) is not None:
                    self._figures.found.labels("device").inc()
                    return found
                other = self._coming.get(needed.key)
                mine: Future[None] = Future()
                if other is None:
                    self._coming[needed.key] = mine
            if other is None:
                return self._brought(needed, mine)
            other.result()  # raises what went wrong there

    def hold(self, needed: Needed) -> LoadedAdapter:
        """Load an adapter, and hold it in the host's memory: it is deployed. One that is held stays as it is.

        Raises:
            AdapterUnusable: It can't be read, or does not fit the base.
            LorryError: The renderer can't be opened.
        """
        with self._lock:
            if (held := self._held.get(needed.key)) is not None:
                return held
        loaded = self.load(needed)
        with self._lock:
            self._held[needed.key] = loaded
        return loaded

    def release(self, key: str) -> None:
        """Forget an adapter, once no picture needs it."""
        with self._lock:
            self._held.pop(key, None)
            self._host.drop(key)
            if self._pins[key]:
                self._leaving.add(key)
                return
            gone = self._device.drop(key)
        if gone:
            self._unload([key])
        self._count()

    def pin(self, needed: Sequence[Needed]) -> None:
        """Keep adapters on the device until `unpin`, also those that have yet to come there."""
        with self._lock:
            self._pins.update(each.key for each in needed)

    def unpin(self, needed: Sequence[Needed]) -> None:
        """Let adapters go that were pinned."""
        with self._lock:
            self._pins.subtract(each.key for each in needed)
            self._pins += Counter()  # forgets those at zero
            gone = [key for key in self._leaving if not self._pins[key]]
            self._leaving.difference_update(gone)
            dropped = [key for key in gone if self._device.drop(key)]
        self._unload(dropped)
        self._settle()

    def ready(self, needed: Sequence[Needed]) -> bool:
        """Say whether all of these are on the device."""
        with self._lock:
            return all(self._device.find(each.key) is not None for each in needed)

    def has_room(self, needed: Sequence[Needed]) -> bool:
        """Say whether these could be on the device together with what is pinned there.

        What nothing else is pinned beside always could: it would never have its turn otherwise.
        """
        with self._lock:
            pinned = [key for key, count in self._pins.items() if count > 0]
            used = sum(self._device.size(key) for key in pinned)
            more = sum(_expected(each) for each in needed if each.key not in self._device)
            return not pinned or used + more <= self._device.room

    def loaded(self) -> frozenset[str]:
        """Name the adapters that are in memory."""
        with self._lock:
            return frozenset(self._device.keys()) | frozenset(self._host.keys())

    def on_device(self) -> frozenset[str]:
        """Name the adapters that are ready to be drawn with."""
        with self._lock:
            return frozenset(self._device.keys())

    def shrink(self) -> None:
        """Let everything go that nobody needs just now: the device has run out of memory."""
        with self._lock:
            gone = [key for key in self._device.keys() if not self._pins[key]]  # noqa: SIM118 - no dict
            for key in gone:
                self._device.drop(key)
        self._unload(gone)

    def _brought(self, needed: Needed, mine: Future[None]) -> LoadedAdapter:
        """Bring an adapter that is not on the device; others that want it wait for us."""
        began = time.perf_counter()
        try:
            with self._lock:
                read = self._host.find(needed.key)
            tier = "host" if read else "disk"
            read = read or self._read(needed)
            size = self._placing(lambda: self._renderer().place(needed.key, read), wait=True)
            loaded = LoadedAdapter(needed.key, read.modules, read.rank)
            with self._lock:
                self._device.put(needed.key, loaded, size)
                del self._coming[needed.key]
            mine.set_result(None)
        except BaseException as error:
            with self._lock:
                self._coming.pop(needed.key, None)
            mine.set_exception(error)
            raise
        self._figures.found.labels(tier).inc()
        self._figures.load.labels(tier).observe(time.perf_counter() - began)
        self._settle(newest=needed.key)
        return loaded

    def _read(self, needed: Needed) -> ReadAdapter:
        read = self._renderer().read(needed.path)
        with self._lock:
            self._host.put(needed.key, read, read.size)
        return read

    def _settle(self, newest: str = "") -> None:
        """Let go of what there is no room for."""
        with self._lock:
            from_device = self._device.excess(lambda key: self._pins[key] > 0 or key == newest)
            for key in from_device:
                self._device.drop(key)
            from_host = self._host.excess(lambda key: key in self._held or key == newest)
            for key in from_host:
                self._host.drop(key)
            # All that is left may be deployed: of these too, the least recently used go.
            for key in self._host.excess(lambda key: key == newest):
                self._host.drop(key)
                from_host.append(key)
        self._unload(from_device)
        self._figures.evicted.labels("device").inc(len(from_device))
        self._figures.evicted.labels("host").inc(len(from_host))
        self._count()

    def _unload(self, keys: Sequence[str]) -> None:
        def unload() -> None:
            for key in keys:
                with self._lock:  # it may have come again meanwhile
                    if key not in self._device and key not in self._coming:
                        self._renderer().unload(key)

        if keys:
            self._placing(unload, wait=False)

    def _count(self) -> None:
        with self._lock:
            for name, tier in (("device", self._device), ("host", self._host)):
                self._figures.resident.labels(name).set(len(tier))
                self._figures.bytes.labels(name).set(tier.used)


def _expected(needed: Needed) -> int:
    """Guess what an adapter takes on the device: float32 of what is mostly saved in halves."""
    try:
        return 2 * needed.path.stat().st_size
    except OSError:
        return 0  # it will be told when it is loaded
