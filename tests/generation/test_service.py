"""A request finds its model, says all that is wrong at once, and orders exactly what was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.errors import ModelNotFound, NotReady, OptionInvalid
from lorry.generation.options import MAX_SEED, require_options
from lorry.model.generation import PictureOrder
from lorry.model.placement import PlacementState, ProviderIds
from tests.generation.conftest import World


async def test_a_request_becomes_an_order(world: World) -> None:
    """Target, trigger word, seed and options arrive at the painter; the answer says how it came about."""
    made = await world.generations().generate("tok", "on green", seed=7, steps=8, size=64, scale=0.5, count=2)
    assert world.orders == [PictureOrder("slug/tok", "TOK, on green", 7, 8, 64, 2, "slug/tok-adapter", 0.5)]
    assert (made.prompt, made.trigger_added, made.route) == ("TOK, on green", True, "local")
    assert [picture.seed for picture in made.pictures] == [7, 8]
    assert made.seconds == 2.5


async def test_what_is_left_out_is_left_to_the_platform(world: World) -> None:
    """Steps, size and scale stay unset; one picture is drawn."""
    await world.generations().generate("tok", "TOK")
    order = world.orders[0]
    assert (order.steps, order.size, order.scale, order.count) == (None, None, None, 1)


@pytest.mark.parametrize("count", [1, 16])
async def test_a_drawn_seed_leaves_room_for_all_pictures(world: World, count: int) -> None:
    """The largest seed that can be drawn still gives the last picture a seed that is allowed."""
    await world.generations().generate("tok", "TOK", count=count)
    assert world.orders[0].seed + count - 1 == MAX_SEED


async def test_a_model_without_a_trigger_is_asked_as_written(world: World) -> None:
    """No trigger word, nothing added."""
    world.models["tok"] = replace(world.models["tok"], trigger=None)
    made = await world.generations().generate("tok", "an apple", seed=1)
    assert (made.prompt, made.trigger_added) == ("an apple", False)


async def test_an_unknown_model_is_not_found(world: World) -> None:
    """The name is in the sentence, the list of models in the fix."""
    with pytest.raises(ModelNotFound, match="'tik'") as caught:
        await world.generations().generate("tik", "an apple")
    assert "lorry models" in caught.value.fix


@pytest.mark.parametrize("state", [state for state in PlacementState if state is not PlacementState.READY])
async def test_a_model_that_is_not_ready_says_why_and_what_to_do(world: World, state: PlacementState) -> None:
    """Every state has its sentence and a command; nothing is ordered."""
    world.place(state=state, error={"message": "The disk was full."})
    with pytest.raises(NotReady) as caught:
        await world.generations().generate("tok", "an apple")
    assert state.sentence in caught.value.message
    assert ("The disk was full." in caught.value.message) is (state is PlacementState.FAILED)
    assert "`lorry " in caught.value.fix
    assert "tok" in caught.value.fix
    assert world.orders == []


async def test_a_model_without_a_placement_or_an_address_is_not_ready(world: World) -> None:
    """Known but nowhere, or ready without an address: never an order into the void."""
    world.place(ids=ProviderIds())
    with pytest.raises(NotReady):
        await world.generations().generate("tok", "an apple")
    world.placements.clear()
    with pytest.raises(NotReady, match="nowhere"):
        await world.generations().generate("tok", "an apple")
    assert world.orders == []


async def test_all_bad_options_are_named_at_once(world: World) -> None:
    """Six wrong options are six problems in one error, before the model is even looked for."""
    with pytest.raises(OptionInvalid) as caught:
        await world.generations().generate(
            "tik", " ", seed=-1, steps=0, size=65, scale=float("nan"), count=17
        )
    problems = caught.value.evidence["problems"]
    words = ["prompt", "count", "seed", "steps", "size", "scale"]
    assert [problem.replace("the ", "").split()[0] for problem in problems] == words
    assert all(word in caught.value.message.lower() for word in words)


@given(
    seed=st.none() | st.integers(0, MAX_SEED - 15),
    steps=st.none() | st.integers(1, 50),
    size=st.none() | st.integers(8, 240).map(lambda edge: edge * 8),
    scale=st.none() | st.floats(-4, 4),
    count=st.integers(1, 16),
)
def test_every_option_within_its_bounds_is_taken(
    seed: int | None, steps: int | None, size: int | None, scale: float | None, count: int
) -> None:
    """Nothing that the documentation allows is refused."""
    require_options(prompt="x", seed=seed, steps=steps, size=size, scale=scale, count=count)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": MAX_SEED + 1},
        {"seed": MAX_SEED, "count": 2},
        {"steps": 51},
        {"size": 56},
        {"size": 1928},
        {"size": 100},
        {"scale": 4.1},
        {"scale": float("inf")},
        {"count": 0},
        {"prompt": "\n"},
    ],
    ids=str,
)
def test_every_option_beyond_its_bounds_is_refused(options: dict[str, object]) -> None:
    """One problem for one wrong option, just beyond its bound."""
    fine = {"prompt": "x", "seed": 1, "steps": 4, "size": 64, "scale": 1.0, "count": 1}
    with pytest.raises(OptionInvalid) as caught:
        require_options(**{**fine, **options})  # type: ignore[arg-type]
    assert len(caught.value.evidence["problems"]) == 1
