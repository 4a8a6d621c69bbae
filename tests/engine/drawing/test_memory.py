"""Adapters in three tiers: brought up once, held as long as they are needed, and let go in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorry.engine.drawing.figures import Figures
from lorry.engine.drawing.memory import AdapterMemory
from lorry.engine.drawing.port import Needed
from lorry.engine.drawing.room import Room
from lorry.errors import AdapterUnusable
from tests.engine.drawing.stepwise import Stepwise, adapters
from tests.engine.samples import write_adapter


def _now(work: Callable[[], Any], *, wait: bool) -> Any:
    return work()


def memory_of(
    renderer: Stepwise, device: int = 2, host: int = 1 << 30, figures: Figures | None = None
) -> AdapterMemory:
    """Make a memory whose device holds so many adapters."""
    return AdapterMemory(lambda: renderer, Room(device, host), _now, figures or Figures())


def found(figures: Figures, tier: str) -> float:
    """Say how often an adapter was found in a tier."""
    return figures.registry.get_sample_value("lorry_engine_adapters_found_total", {"tier": tier}) or 0


def test_an_adapter_comes_up_and_goes_down(tmp_path: Path, weights: Path) -> None:
    """From disk once, then from the device; pushed out, from the host's memory; then from disk again."""
    renderer, figures = Stepwise(), Figures()
    size = len(weights.read_bytes())
    memory = memory_of(renderer, 2, 3 * size, figures)
    a, b, c, d = adapters(tmp_path, weights, "a", "b", "c", "d")
    for each in (a, a, b, c):
        memory.load(each)
    assert memory.on_device() == {"b", "c"}
    assert renderer.unloaded == ["a"]
    memory.load(a)
    assert renderer.reads == ["a", "b", "c"]
    assert [found(figures, tier) for tier in ("device", "host", "disk")] == [1, 1, 3]
    memory.load(d)
    memory.load(a)
    memory.load(b)
    assert renderer.reads == ["a", "b", "c", "d", "b"]
    assert figures.registry.get_sample_value("lorry_engine_adapters_resident", {"tier": "device"}) == 2


def test_what_is_deployed_stays_in_the_host(tmp_path: Path, weights: Path) -> None:
    """Single requests do not push a deployed adapter out of the host's memory."""
    renderer = Stepwise()
    memory = memory_of(renderer, 1, 2 * len(weights.read_bytes()))
    deployed, *visitors = adapters(tmp_path, weights, "deployed", "a", "b", "c")
    loaded = memory.hold(deployed)
    for each in visitors:
        memory.load(each)
    assert memory.hold(deployed) == loaded
    assert memory.on_device() == {"c"}
    memory.load(deployed)
    assert renderer.reads.count("deployed") == 1
    memory.release("deployed")
    memory.release("deployed")
    assert "deployed" not in memory.loaded()


def test_what_is_pinned_stays_on_the_device(tmp_path: Path, weights: Path) -> None:
    """While a picture needs an adapter it stays, also when it is retired; then it goes."""
    renderer = Stepwise()
    memory = memory_of(renderer, 1)
    a, b = adapters(tmp_path, weights, "a", "b")
    memory.pin([a])
    memory.load(a)
    memory.load(b)
    assert memory.on_device() == {"a", "b"}
    assert memory.has_room([a])
    assert not memory.has_room([b, *adapters(tmp_path, weights, "c")])
    memory.release("a")
    assert "a" in memory.on_device()
    memory.unpin([a])
    assert memory.on_device() == {"b"}
    assert renderer.unloaded == ["a"]


def test_what_is_wanted_twice_is_read_once(tmp_path: Path, weights: Path) -> None:
    """Threads that want the same adapter at once wait for the one that reads it."""
    together = threading.Barrier(5)

    renderer = Stepwise()
    memory = memory_of(renderer)
    (a,) = adapters(tmp_path, weights, "a")

    def load(_: int) -> int:
        together.wait()
        return memory.load(a).modules

    with ThreadPoolExecutor(5) as pool:
        assert len(set(pool.map(load, range(5)))) == 1
    assert renderer.reads == ["a"]


def test_a_file_that_fails_can_come_again(tmp_path: Path, weights: Path) -> None:
    """What can't be read is an error for each that asks, and leaves nothing behind; mended, it is loaded."""
    renderer = Stepwise()
    memory = memory_of(renderer)
    missing = Needed("a", tmp_path / "a.safetensors")
    for _ in range(2):
        with pytest.raises(AdapterUnusable, match="can't be read"):
            memory.load(missing)
    adapters(tmp_path, weights, "a")
    assert memory.load(missing).modules > 0


def test_a_deleted_file_is_missed_only_when_it_is_needed(tmp_path: Path, weights: Path) -> None:
    """An adapter in memory draws on after its file is gone; once it has left memory, its absence is told."""
    memory = memory_of(Stepwise(), 1, len(weights.read_bytes()))
    a, b = adapters(tmp_path, weights, "a", "b")
    memory.load(a)
    a.path.unlink()
    memory.load(a)
    memory.load(b)
    with pytest.raises(AdapterUnusable):
        memory.load(a)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write one adapter for all examples."""
    return write_adapter(tmp_path_factory.mktemp("adapters"), layers=2)


verbs = st.lists(
    st.tuples(st.sampled_from(["load", "pin", "unpin", "hold", "release", "shrink"]), st.integers(0, 5)),
    max_size=40,
)


@given(told=verbs, device=st.integers(1, 4), host=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_the_renderer_has_what_the_memory_says(
    told: list[tuple[str, int]], device: int, host: int, file: Path
) -> None:
    """After anything: what is on the device is what the renderer has, pinned things among it, and no more."""
    renderer = Stepwise()
    memory = memory_of(renderer, device, host * file.stat().st_size)
    pins: list[str] = []
    for verb, number in told:
        each = Needed(str(number), file)
        if verb == "load":
            memory.load(each)
            assert each.key in memory.on_device()
        elif verb == "pin":
            memory.pin([each])
            memory.load(each)
            pins.append(each.key)
        elif verb == "unpin" and pins:
            memory.unpin([Needed(pins.pop(), file)])
        elif verb == "hold":
            memory.hold(each)
        elif verb == "release":
            memory.release(each.key)
        elif verb == "shrink":
            memory.shrink()
        assert memory.on_device() == frozenset(renderer._strength)
        assert set(pins) <= memory.on_device()
        assert len(memory.on_device()) <= max(device, len(set(pins)) + 1)
