"""What happens when the time of a step, or of the whole delivery, is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lorry.delivery import Policy
from lorry.delivery.doubles import InstantDurable
from lorry.errors import DeliveryTimeout, OptionInvalid
from lorry.model.options import ShipOptions, Wish, require_sound
from lorry.model.placement import PlacementState
from tests.delivery.conftest import Bench, Ticking

ONE = {"models": 1, "revisions": 1, "endpoints": 1, "deployments": 1, "repos": 1}
#: Ten looks at most, and a second each.
SHORT = Policy(first_look=1.0, growth=1.0, jitter=0.0, limit=10.0, limits={}, first_retry=0.001)


def late(bench: Bench, looks: int = 10**9, **options: Any) -> Bench:
    """Set a bench whose platform needs more looks than there is time for."""
    bench.ground.looks = looks
    bench.policy = SHORT
    bench.wish = Wish(options=ShipOptions(**options))
    return bench


async def test_giving_up_stops_what_would_bill(bench: Bench) -> None:
    """The delivery has failed, with the step, its limit and how long was waited; no deployment runs."""
    late(bench)
    bench.policy = replace(SHORT, first_look=0.001, limit=0.01)
    async with bench.open() as deliveries:
        bench.ground.looks = 10**9
        with pytest.raises(DeliveryTimeout, match="validate waited") as caught:
            await deliveries.ship(bench.source, "tok", bench.wish)
    assert caught.value.evidence["limit"] == 0.01
    assert (await bench.placement()).state is PlacementState.FAILED


async def test_holding_leaves_everything_to_a_person(bench: Bench) -> None:
    """Nothing is stopped or removed; the error says why it waits; `resume` gives it the same time again."""
    late(bench, at_deadline="hold")
    with pytest.raises(DeliveryTimeout):
        await bench.walk()
    placement = await bench.placement()
    assert placement.state is PlacementState.HELD
    assert placement.error is not None
    assert placement.error["code"] == DeliveryTimeout.code
    assert not [call for call in bench.ground.calls if call.endswith((".stop", ".delete"))]
    bench.ground.looks = 1
    async with bench.open() as deliveries:
        assert (await deliveries.resume("tok")).state is PlacementState.READY
    assert bench.ground.counts() == ONE


async def test_keeping_on_trying_is_told_once(bench: Bench) -> None:
    """Beyond its limit a step goes on at the slowest pace, until it is done."""
    late(bench, looks=40, at_deadline="keep-trying")
    durable = InstantDurable()
    assert (await bench.walk(durable)).state is PlacementState.READY
    assert (await bench.told("late")).count("validate late") == 1
    assert SHORT.slowest in durable.pauses


class Slow(Ticking):
    """A clock that moves by a minute whenever it is read."""

    def __call__(self) -> Any:
        """Give the time."""
        self.now += timedelta(minutes=1)
        return self.now


async def test_the_whole_delivery_has_a_deadline(bench: Bench) -> None:
    """By the clock, from its beginning; the step that it ended in is named, and what would bill stops."""
    bench.wish = Wish(options=ShipOptions(deadline=5.0))
    async with bench.open(now=Slow()) as deliveries:
        with pytest.raises(DeliveryTimeout, match="5 minutes at most") as caught:
            await deliveries.ship(bench.source, "tok", bench.wish)
    assert caught.value.evidence["deadline_minutes"] == 5.0
    assert (await bench.placement()).state is PlacementState.FAILED
    async with bench.open() as deliveries:
        assert (await deliveries.resume("tok")).state is PlacementState.READY


async def test_a_deadline_that_is_far_changes_nothing(bench: Bench) -> None:
    """A delivery that ends in time is as without one."""
    bench.wish = Wish(options=ShipOptions(deadline=60.0, at_deadline="hold"))
    async with bench.open() as deliveries:
        placement = await deliveries.ship(bench.source, "tok", bench.wish)
    assert placement.state is PlacementState.READY


@pytest.mark.parametrize("wrong", [{"deadline": 0}, {"deadline": float("nan")}, {"at_deadline": "panic"}])
def test_what_can_t_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    """A time must be above nothing, and what happens then is one of three."""
    with pytest.raises(OptionInvalid, match="eadline"):
        require_sound(ShipOptions(**wrong))
