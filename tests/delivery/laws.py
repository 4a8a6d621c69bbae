"""What holds on every route: asked of a bench that is set for one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lorry.delivery.doubles import Fault, MemoryStore
from lorry.delivery.doubles.ground import CONFIGURATIONS
from lorry.delivery.routes import plan_of
from lorry.delivery.run import Run
from lorry.errors import AnswerLost, PriceNotAccepted
from lorry.model.forecast import Forecast
from lorry.model.options import ShipOptions, Wish
from lorry.model.placement import Placement, PlacementState
from tests.delivery.conftest import Bench

#: Configurations that bill, as those of the doubles do not.
PRICED = tuple(replace(each, cents_per_hour=549.0, hardware="1xh100") for each in CONFIGURATIONS)


def on(bench: Bench, route: str, kind: str, **options: Any) -> Bench:
    """Set a bench for a route, a kind of model and the choices beyond the defaults."""
    bench.wish = Wish(route, options=ShipOptions(**options))
    bench.check.kind = kind
    return bench


async def shipped(bench: Bench) -> Placement:
    """Ship, and see that it ended well."""
    placement = await bench.walk()
    assert placement.state is PlacementState.READY
    assert placement.proof is not None
    assert placement.proof.passed
    return placement


async def steps(bench: Bench, source: str = "delivery") -> list[str]:
    """List the steps that were done, in order."""
    events = await bench.store.read("tok")
    return [event.subject for event in events if (event.source, event.action) == (source, "done")]


async def assert_one_of_each(bench: Bench, verb: str, look: str) -> None:
    """Ship while answers are lost; see that what a plain delivery makes is there, and nothing twice.

    Args:
        bench: Set for a route.
        verb: A call that creates; it acts, and its answer is lost.
        look: The call that looks for what was made; its answer is lost too, right after that.
    """
    plain = replace(bench, ground=replace(bench.ground, things={}, calls=[], faults=[]), store=MemoryStore())
    await shipped(plain)
    before = plain.ground.calls[: plain.ground.calls.index(verb)].count(look)
    bench.ground.faults += [
        Fault(verb, AnswerLost("Lost."), acts=True),
        Fault(look, AnswerLost("Lost too."), times=2, spared=before),
    ]
    await shipped(bench)
    assert [fault.times for fault in bench.ground.faults] == [0, 0]
    assert bench.ground.counts() == plain.ground.counts()
    assert bench.ground.calls.count(verb) == 1
    assert await bench.told("failed") == []


async def assert_nothing_is_made_without_agreement(bench: Bench) -> None:
    """Ship through the service without anybody who agrees: it is refused, and no call has made anything."""
    before = dict(bench.ground.counts())
    async with bench.open() as deliveries:
        with pytest.raises(PriceNotAccepted) as caught:
            await deliveries.ship(bench.source, "tok", bench.wish)
        assert caught.value.evidence["per"] == "replica-hour"
    assert bench.ground.counts() == before
    assert await bench.store.models() == ()
    assert not [
        call for call in bench.ground.calls if call.endswith((".create", ".publish", ".upload", ".attach"))
    ]


async def forecast(bench: Bench) -> Forecast:
    """Forecast, and see that this made nothing."""
    before = dict(bench.ground.counts())
    place = await bench.places.place(bench.wish.route, rehearsal=False)
    run = Run(bench.world, place, bench.model, "forecast", bench.wish.options)
    told = await plan_of(bench.wish.route, bench.model.kind).forecast(run)
    assert bench.ground.counts() == before
    return told
