"""What is drawn together: alike, in turn, and for each as if it were alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.engine.clock import ManualClock
from lorry.engine.drawing import LARGEST_BATCH, Waiting, choose
from lorry.engine.renderers.port import (
    Abandoned,
    AdapterUse,
    DrawingAbandoned,
    LoadedAdapter,
    Picture,
    RenderRequest,
    never,
)
from lorry.engine.serving import MOST_WAITING, Needed, Serving
from lorry.engine.testing import FlatRenderer
from lorry.errors import AdapterUnusable, EngineBusy
from tests.engine.conftest import opened

lines = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 2)), max_size=60)


@given(lines, st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9)))
def test_a_batch_is_alike_in_turn_and_oldest_first(
    line: list[tuple[str, int]], served: dict[str, int]
) -> None:
    """One shape, no more than fit; within a model nobody is overtaken; no model has two more than another."""
    waiting = [Waiting(number, whose, shape) for number, (whose, shape) in enumerate(line)]
    found = choose(waiting, served)
    assert len(found) <= LARGEST_BATCH
    assert bool(found) == bool(waiting)
    assert len({each.shape for each in found}) <= 1
    for whose in "abcd":
        places = [each.place for each in found if each.whose == whose]
        alike = [
            each.place for each in waiting if found and (each.whose, each.shape) == (whose, found[0].shape)
        ]
        assert places == alike[: len(places)]
        if len(places) < len(alike):  # some of it are left: nobody has more than one more
            assert all(sum(each.whose == other for each in found) <= len(places) + 1 for other in "abcd")
    if found:
        assert all(served.get(found[0].whose, -1) <= served.get(each.whose, -1) for each in waiting)


@given(st.integers(1, 40), st.integers(1, 5))
def test_nobody_waits_longer_than_a_round(busy: int, models: int) -> None:
    """However much one model asks for, each other one is in the very next batch."""
    waiting = [Waiting(("busy", number), "busy", 8) for number in range(busy)]
    waiting += [Waiting((f"m{number}", 0), f"m{number}", 8) for number in range(models)]
    found = {each.whose for each in choose(waiting, {"busy": 100})}
    assert {f"m{number}" for number in range(models)} <= found


class Slow(FlatRenderer):
    """A renderer that begins when it is let, and remembers what it drew together."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.inside = threading.Event()
        self.batches: list[list[str]] = []
        self.refuses: str | None = None

    def load(self, key: str, path: Path) -> LoadedAdapter:
        """Refuse the adapter `broken`."""
        if key == "broken":
            raise AdapterUnusable("It is broken.")
        return super().load(key, path)

    def render(self, requests: Sequence[RenderRequest], abandoned: Abandoned = never) -> list[Picture]:
        """Wait for the gate, then draw."""
        self.inside.set()
        self.gate.wait()
        self.batches.append([request.prompt for request in requests])
        if self.refuses in self.batches[-1]:
            raise MemoryError
        return super().render(requests, abandoned)


async def held(serving: Serving, renderer: Slow) -> asyncio.Task[list[Picture]]:
    """Have the renderer busy with a first picture until its gate is opened."""
    first = asyncio.create_task(serving.render([RenderRequest("first", 0)]))
    await asyncio.to_thread(renderer.inside.wait)
    return first


def order(prompt: str, key: str = "", steps: int = 8) -> list[RenderRequest]:
    """Ask for one picture."""
    return [RenderRequest(prompt, 1, steps, adapters=(AdapterUse(key),) if key else ())]


async def test_what_waits_is_drawn_together_whoever_asked(weights: Path) -> None:
    """Requests for other models and for none share a batch; those with other steps have one of their own."""
    renderer = Slow()
    serving = Serving(lambda: renderer)
    first = await held(serving, renderer)
    jobs = [serving.render(order(f"{key}{n}", key), [Needed(key, weights)]) for n in range(2) for key in "ab"]
    jobs += [serving.render(order("plain")), serving.render(order("quick", steps=4))]
    waiting = [asyncio.create_task(job) for job in jobs]
    await asyncio.sleep(0)
    renderer.gate.set()
    pictures = await asyncio.gather(first, *waiting)
    assert renderer.batches == [["first"], ["a0", "b0", "plain", "a1", "b1"], ["quick"]]
    alone = Serving(lambda: renderer)
    again = await alone.render(order("b1", "b"), [Needed("b", weights)])
    assert (again[0] == pictures[4][0]).all()
    serving.close()
    alone.close()


async def test_one_model_does_not_hold_up_another(weights: Path) -> None:
    """Fifty requests for one, then one for another: it is in the next batch."""
    renderer = Slow()
    serving = Serving(lambda: renderer)
    first = await held(serving, renderer)
    many = [
        asyncio.create_task(serving.render(order(f"a{n}", "a"), [Needed("a", weights)])) for n in range(50)
    ]
    await asyncio.sleep(0)
    late = asyncio.create_task(serving.render(order("late")))
    await asyncio.sleep(0)
    renderer.gate.set()
    await asyncio.gather(first, late, *many)
    assert "late" in renderer.batches[1]
    assert sum(map(len, renderer.batches)) == 52
    serving.close()


async def test_what_one_can_not_have_costs_the_others_nothing(weights: Path) -> None:
    """A broken adapter, and a picture that takes all memory, fail for themselves alone."""
    renderer = Slow()
    renderer.refuses = "huge"
    serving = Serving(lambda: renderer)
    first = await held(serving, renderer)
    asked = [order("good"), order("huge"), order("x", "broken"), order("fine")]
    needed = [[], [], [Needed("broken", weights)], []]
    waiting = [asyncio.create_task(serving.render(a, n)) for a, n in zip(asked, needed, strict=True)]
    await asyncio.sleep(0)
    renderer.gate.set()
    await first
    good, huge, broken, fine = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(huge, MemoryError)
    assert isinstance(broken, AdapterUnusable)
    assert isinstance(good, list)
    assert isinstance(fine, list)
    assert isinstance(await serving.render(order("after")), list)
    serving.close()


async def test_who_goes_away_is_not_drawn_for() -> None:
    """Called off while it waits, a picture is left out; called off while it is drawn, it is left off."""
    renderer = Slow()
    serving = Serving(lambda: renderer)
    first = await held(serving, renderer)
    gone = asyncio.create_task(serving.render(order("gone")))
    stays = asyncio.create_task(serving.render(order("stays")))
    await asyncio.sleep(0)
    gone.cancel()
    first.cancel()
    await asyncio.gather(gone, first, return_exceptions=True)
    renderer.gate.set()
    assert len(await stays) == 1
    assert renderer.batches == [["first"], ["stays"]]
    with pytest.raises(DrawingAbandoned):
        renderer.render(order("x"), lambda: True)
    serving.close()


async def test_more_than_can_wait_is_told_when_to_come_again() -> None:
    """A full line refuses what comes at once; an empty one takes a request that is large by itself."""
    renderer = Slow()
    serving = Serving(lambda: renderer)
    first = await held(serving, renderer)
    full = asyncio.create_task(serving.render(order("x") * (MOST_WAITING - 1)))
    await asyncio.sleep(0)
    with pytest.raises(EngineBusy) as caught:
        await serving.render(order("more"))
    assert caught.value.retryable
    assert caught.value.evidence["retry_after"] >= 1
    renderer.gate.set()
    assert len((await asyncio.gather(first, full))[1]) == MOST_WAITING - 1
    assert len(await serving.render(order("large") * (MOST_WAITING + 1))) == MOST_WAITING + 1
    serving.close()


class Full(FlatRenderer):
    """A renderer whose line is full."""

    def render(self, *_: object) -> list[Picture]:
        """Say so."""
        raise EngineBusy("256 pictures wait.", evidence={"waiting": 256, "retry_after": 3.2})


def test_a_busy_engine_says_so_over_http(home: Path, clock: ManualClock) -> None:
    """503 with `Retry-After`, as clients understand it."""
    with opened(home, clock, renderer=Full) as api:
        answer = api.pictures("lorry/flux-icons-64")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "4")
        assert answer.json()["error"]["code"] == "engine_busy"
