"""What is drawn together, in turn, and for each as if it were alone; what fails costs nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from lorry.engine.clock import ManualClock
from lorry.engine.drawing.patience import LONGEST_WAIT, MOST_WAITING, Patience
from lorry.engine.drawing.port import Needed
from lorry.engine.drawing.room import Room
from lorry.engine.drawing.serving import LOOKAHEAD, Serving
from lorry.engine.renderers.flat import FlatRenderer
from lorry.engine.renderers.port import Look, Picture, RenderRequest
from lorry.errors import AdapterUnusable, EngineBusy, EngineOutOfMemory
from tests.engine.conftest import opened
from tests.engine.drawing.stepwise import Stepwise, adapters, order

Opened = Callable[..., tuple[Serving, Stepwise]]


@pytest.fixture
async def held() -> AsyncIterator[Callable[..., object]]:
    """Make servings whose renderer waits for its gate, and close them."""
    made: list[tuple[Serving, Stepwise]] = []

    def make(*, wide: int = 8, room: Room | None = None) -> tuple[Serving, Stepwise]:
        renderer = Stepwise(wide=wide)
        made.append((Serving(lambda: renderer, room), renderer))
        return made[-1]

    yield make
    for serving, renderer in made:
        renderer.gate.set()
        await asyncio.to_thread(serving.close)


async def begun(serving: Serving, renderer: Stepwise, steps: int = 1) -> asyncio.Task[list[Picture]]:
    """Have the renderer busy with a first picture until its gate is opened."""
    first = asyncio.create_task(serving.render(order("first", steps=steps)))
    await asyncio.to_thread(renderer.inside.wait)
    return first


def asked(
    serving: Serving, requests: Sequence[RenderRequest], needed: Sequence[Needed] = ()
) -> asyncio.Task[list[Picture]]:
    """Ask for pictures."""
    return asyncio.create_task(serving.render(requests, needed))


async def test_what_waits_is_drawn_together_whoever_asked(
    held: Opened, tmp_path: Path, weights: Path
) -> None:
    """Requests for other models, for none, and with other steps share a batch; another size has its own."""
    serving, renderer = held()
    a, b = adapters(tmp_path, weights, "a", "b")
    for each in (a, b):
        serving.visit(each)
    first = await begun(serving, renderer)
    jobs = [asked(serving, order(f"{e.key}{n}", e.key), [e]) for n in range(2) for e in (a, b)]
    jobs += [asked(serving, order("plain")), asked(serving, order("long", steps=2))]
    jobs += [asked(serving, order("wide", width=128))]
    await asyncio.sleep(0)
    renderer.gate.set()
    pictures = await asyncio.gather(first, *jobs)
    assert renderer.batches[0] == ["first"]
    assert renderer.batches[1] == ["a0", "b0", "plain", "a1", "b1", "long"]
    assert sorted(renderer.batches[2:]) == [["long"], ["wide"]]
    alone, _ = held()
    _.gate.set()
    again = await alone.render(order("b1", "b"), [b])
    assert (again[0] == pictures[4][0]).all()


async def test_who_comes_late_is_begun_at_the_next_step(held: Opened) -> None:
    """A picture that takes long does not hold up one that comes after it."""
    serving, renderer = held()
    first = await begun(serving, renderer, steps=50)
    late = asked(serving, order("late"))
    await asyncio.sleep(0)
    renderer.gate.set()
    await asyncio.gather(first, late)
    assert renderer.batches[1] == ["first", "late"]
    assert len(renderer.batches) == 50


async def test_another_size_is_not_kept_waiting(held: Opened) -> None:
    """However many of the present size come, the one whose turn it is comes after what is being drawn."""
    serving, renderer = held()
    first = await begun(serving, renderer, steps=3)
    other = asked(serving, order("other", width=128))
    await asyncio.sleep(0)
    more = [asked(serving, order(f"more{n}")) for n in range(4)]
    await asyncio.sleep(0)
    renderer.gate.set()
    await asyncio.gather(first, other, *more)
    assert renderer.batches[:4] == [["first"], ["first"], ["first"], ["other"]]


async def test_one_model_does_not_hold_up_another(held: Opened, tmp_path: Path, weights: Path) -> None:
    """Fifty requests for one, then one for another: it is in the next batch."""
    serving, renderer = held()
    (a,) = adapters(tmp_path, weights, "a")
    serving.visit(a)
    first = await begun(serving, renderer)
    many = [asked(serving, order(f"a{n}", "a"), [a]) for n in range(50)]
    await asyncio.sleep(0)
    late = asked(serving, order("late"))
    await asyncio.sleep(0)
    renderer.gate.set()
    await asyncio.gather(first, late, *many)
    assert "late" in renderer.batches[1]
    assert sum(map(len, renderer.batches)) == 52


async def test_adapters_come_while_something_is_drawn(held: Opened, tmp_path: Path, weights: Path) -> None:
    """What waits is loaded meanwhile, as far as there is room, and what needs nothing goes before it."""
    serving, renderer = held(room=Room(device=10**9))
    first = await begun(serving, renderer)
    names = [f"a{n}" for n in range(LOOKAHEAD + 4)]
    jobs = [asked(serving, order(e.key, e.key), [e]) for e in adapters(tmp_path, weights, *names)]
    await asyncio.sleep(0)
    jobs.append(asked(serving, order("plain")))
    await asyncio.sleep(0)
    renderer.gate.set()
    await asyncio.gather(first, *jobs)
    assert sorted(renderer.placed) == sorted(names)
    assert sum(map(len, renderer.batches)) == len(names) + 2


async def test_more_adapters_than_the_device_holds(held: Opened, tmp_path: Path, weights: Path) -> None:
    """Four times as many as there is room for, two at once for some: all are drawn, each with its own."""
    serving, renderer = held(room=Room(device=4, host=1 << 30))
    renderer.gate.set()
    needed = adapters(tmp_path, weights, *(f"a{n}" for n in range(16)))
    alone = Serving(FlatRenderer)
    for _ in range(2):
        jobs = [asked(serving, order(e.key, e.key), [e]) for e in needed]
        for each, pictures in zip(needed, await asyncio.gather(*jobs), strict=True):
            expected = await alone.render(order(each.key, each.key), [each])
            assert (pictures[0] == expected[0]).all()
    await asyncio.to_thread(alone.close)
    assert len(serving._memory.on_device()) <= 5


async def test_what_one_can_not_have_costs_the_others_nothing(
    held: Opened, tmp_path: Path, weights: Path
) -> None:
    """A broken adapter, a missing one, and a picture that fails fail for themselves alone."""
    serving, renderer = held()
    renderer.refuses, renderer.error = "bad", RuntimeError("It is bad.")
    (broken,) = adapters(tmp_path, weights, "broken")
    first = await begun(serving, renderer)
    waiting = [
        asked(serving, order("good")),
        asked(serving, order("bad")),
        asked(serving, order("x", "broken"), [broken]),
        asked(serving, order("x", "gone"), [Needed("gone", tmp_path / "gone.safetensors")]),
        asked(serving, order("x", "unknown")),
        asked(serving, order("fine")),
    ]
    await asyncio.sleep(0)
    renderer.gate.set()
    await first
    good, bad, damaged, gone, unknown, fine = await asyncio.gather(*waiting, return_exceptions=True)
    assert str(bad) == "It is bad."
    assert all(isinstance(each, AdapterUnusable) for each in (damaged, gone, unknown))
    assert isinstance(good, list)
    assert isinstance(fine, list)
    assert isinstance(await serving.render(order("after")), list)


async def test_an_adapter_that_fits_nowhere_is_refused(weights: Path) -> None:
    """One that takes no layer would draw the base's picture in silence: it is AdapterUnusable instead."""
    serving = Serving(lambda: FlatRenderer(modules=0))
    with pytest.raises(AdapterUnusable):
        await serving.render([RenderRequest("a", 1)], [Needed("a", weights)])
    serving.close()


async def test_memory_that_runs_out_is_shed_and_recovered(
    held: Opened, tmp_path: Path, weights: Path
) -> None:
    """What does not fit is told so, what nobody needs is let go, fewer are drawn at once, then more."""
    serving, renderer = held()
    idle, used = adapters(tmp_path, weights, "idle", "used")
    serving.visit(idle)
    serving.visit(used)
    renderer.refuses = "huge"
    first = await begun(serving, renderer)
    jobs = [asked(serving, order(prompt)) for prompt in ("one", "two", "huge")]
    jobs.append(asked(serving, order("three", "used"), [used]))
    await asyncio.sleep(0)
    renderer.gate.set()
    await first
    one, two, huge, three = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(huge, EngineOutOfMemory)
    assert huge.retryable
    assert all(isinstance(each, list) for each in (one, two, three))
    assert "idle" not in serving._memory.on_device()
    before = len(renderer.batches)
    await asyncio.gather(*(serving.render(order(f"many{n}")) for n in range(200)))
    sizes = [len(batch) for batch in renderer.batches[before:]]
    assert sizes[0] <= 2
    assert max(sizes) == 8


async def test_a_renderer_that_can_not_be_opened_is_told_to_each() -> None:
    """Whoever asks hears why, also the second; nobody waits for ever."""

    def fail() -> FlatRenderer:
        raise AdapterUnusable("There is no base.")

    serving = Serving(fail)
    for _ in range(2):
        with pytest.raises(AdapterUnusable, match="no base"):
            await serving.render(order("a"))
    serving.close()


async def test_who_goes_away_is_not_drawn_for(held: Opened) -> None:
    """Called off while it waits, a picture is left out; called off while it is drawn, it is left off."""
    serving, renderer = held()
    first = await begun(serving, renderer, steps=9)
    gone = asked(serving, order("gone"))
    stays = asked(serving, order("stays"))
    await asyncio.sleep(0)
    gone.cancel()
    first.cancel()
    await asyncio.gather(gone, first, return_exceptions=True)
    renderer.gate.set()
    assert len(await stays) == 1
    assert renderer.batches[0] == ["first"]
    assert renderer.batches[-1] == ["stays"]
    assert not any("gone" in batch for batch in renderer.batches)
    assert len(renderer.batches) < 9
    counted = serving.figures.registry.get_sample_value(
        "lorry_engine_pictures_total", {"outcome": "abandoned"}
    )
    assert counted == 2


async def test_a_picture_can_be_watched_while_it_is_drawn(held: Opened) -> None:
    """Whoever watches hears of each step of each of their pictures, and can look at it."""
    serving, renderer = held()
    renderer.gate.set()
    heard: list[tuple[int, int, tuple[int, ...]]] = []

    def watch(number: int, done: int, look: Look) -> None:
        heard.append((number, done, look().shape))

    await serving.render(order("a", steps=3) + order("b", steps=2), watch=watch)
    assert sorted(heard) == [(0, n, (64, 64, 3)) for n in (1, 2, 3)] + [(1, n, (64, 64, 3)) for n in (1, 2)]


async def test_more_than_can_wait_is_told_when_to_come_again(held: Opened) -> None:
    """A full line refuses what comes at once; an empty one takes a request that is large by itself."""
    serving, renderer = held()
    first = await begun(serving, renderer)
    full = asked(serving, order("x") * (MOST_WAITING - 1))
    await asyncio.sleep(0)
    with pytest.raises(EngineBusy) as caught:
        await serving.render(order("more"))
    assert caught.value.retryable
    assert caught.value.evidence["retry_after"] >= 1
    renderer.gate.set()
    assert len((await asyncio.gather(first, full))[1]) == MOST_WAITING - 1
    assert len(await serving.render(order("large") * (MOST_WAITING + 1))) == MOST_WAITING + 1


async def test_a_thousand_adapters_at_once(held: Opened, tmp_path: Path, weights: Path) -> None:
    """As many as can wait are drawn, each with its own; all others are told at once; the engine goes on."""
    serving, renderer = held(room=Room(device=32))
    renderer.gate.set()
    needed = [Needed(f"a{n}", weights) for n in range(1000)]
    answers = await asyncio.gather(
        *(serving.render(order(e.key, e.key), [e]) for e in needed), return_exceptions=True
    )
    drawn = [each for each in answers if isinstance(each, list)]
    assert len(drawn) >= MOST_WAITING
    assert all(isinstance(each, EngineBusy) for each in answers if not isinstance(each, list))
    assert isinstance(await serving.render(order("after")), list)


def test_a_wait_is_bounded_in_seconds_too() -> None:
    """Where pictures take long, fewer may wait than where they are quick: nobody waits beyond the bound."""
    patience = Patience()
    assert patience.too_long(MOST_WAITING - 1, 1) is None
    assert patience.too_long(MOST_WAITING, 1) is not None
    patience._seconds = 10.0
    assert patience.too_long(int(LONGEST_WAIT / 10), 1) is None
    assert patience.too_long(int(LONGEST_WAIT / 10) + 1, 1) == pytest.approx(65, abs=0.1)
    assert patience.too_long(0, 10**6) is None


class Full(Serving):
    """A serving whose line is full."""

    async def render(self, *_: object) -> list[Picture]:
        """Say so."""
        raise EngineBusy("256 pictures wait.", evidence={"waiting": 256, "retry_after": 3.2})


def test_a_busy_engine_says_so_over_http(home: Path, clock: ManualClock) -> None:
    """503 with `Retry-After`, as clients understand it."""
    with opened(home, clock, serving=Full(FlatRenderer)) as api:
        answer = api.pictures("lorry/flux-icons-64")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "4")
        assert answer.json()["error"]["code"] == "engine_busy"
