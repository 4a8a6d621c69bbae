"""Several models at once: a line for each thing that happens, one question for the price, one table."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lorry.cli.options import Common
from lorry.cli.printing import table, worker_line
from lorry.cli.shipping import Going
from lorry.errors import OptionInvalid, PriceNotAccepted
from lorry.model.batch import Order, Outcome, name_from, same_names
from lorry.model.events import Event
from lorry.model.forecast import Forecast, Price
from lorry.model.placement import PlacementState

if TYPE_CHECKING:
    from lorry.api import Lorry
    from lorry.delivery.refusing import Agree


def is_batch(sources: Sequence[str]) -> bool:
    """Say whether what was named is more than one model: several sources, or a manifest."""
    return len(sources) > 1 or sources[0].endswith(".toml")


def orders_of(sources: Sequence[str], route: str | None, going: Going) -> tuple[Order, ...]:
    """Give the models of a batch.

    Args:
        sources: What was named: several sources, or manifests.
        route: By which route sources go; a manifest says it for itself.
        going: How they go.

    Raises:
        OptionInvalid: Names everything that can't be meant.
    """
    from lorry.cli.manifest import read_manifest
    from lorry.platforms.profiles import ROUTES

    orders: list[Order] = []
    for source in sources:
        if source.endswith(".toml"):
            orders += read_manifest(Path(source), tuple(ROUTES))
        else:
            orders.append(Order(source, name_from(source), route or "local", going.rehearse, going.options()))
    clashes = list(same_names(orders))
    if clashes:
        raise OptionInvalid(
            f"{'; '.join(clashes)}.",
            fix="Rename the files, or give names in a manifest (`lorry ship ship.toml`).",
            evidence={"problems": clashes},
        )
    return tuple(orders)


def ship_batch(
    orders: Sequence[Order], common: Common, *, yes: bool, detach: bool, dry_run: bool, parallel: int
) -> int:
    """Ship a batch, print what happens, and give the exit status.

    Args:
        orders: The models.
        common: How to print.
        yes: Whether the price was agreed to beforehand.
        detach: Whether to leave the work to workers.
        dry_run: Whether to make nothing.
        parallel: How many are on their way at a time.
    """
    from lorry.api import Lorry

    def tell(event: Event) -> None:
        if line := worker_line(event):
            print(line, flush=True, file=sys.stderr if common.json else sys.stdout)

    async def run() -> int:
        async with Lorry(common.settings(), listen=None if dry_run else tell) as lorry:
            if dry_run:
                return _tell_forecasts(orders, await _forecasts(lorry, orders, parallel), common)
            agreed = yes or await _agreed(await _prices(lorry, orders, parallel), common)
            outcomes = await lorry.ship_all(orders, parallel=parallel, agree=_says(agreed), hand_over=detach)
        return _tell_outcomes(outcomes, common)

    return asyncio.run(run())


def _says(answer: bool) -> Agree:
    async def agree(_: Price) -> bool:
        return answer

    return agree


async def _forecasts(lorry: Lorry, orders: Sequence[Order], parallel: int) -> list[Forecast]:
    room = asyncio.Semaphore(parallel)

    async def one(order: Order) -> Forecast:
        async with room:
            (told,) = await lorry.forecast(
                order.source, order.name, (order.route,), rehearse=order.rehearse, options=order.options
            )
            return told

    return list(await asyncio.gather(*(one(order) for order in orders)))


async def _prices(lorry: Lorry, orders: Sequence[Order], parallel: int) -> list[Price]:
    """Ask what the routes that bill will cost; `local` bills nothing and need not be asked."""
    billing = [order for order in orders if order.route != "local"]
    return [told.price for told in await _forecasts(lorry, billing, parallel) if told.price is not None]


async def _agreed(prices: Sequence[Price], common: Common) -> bool:
    """Ask once for all of it."""
    billing = [price for price in prices if price.cents != 0]
    if not billing:
        return True
    sentence = _sum(billing)
    if common.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise PriceNotAccepted(
            f"This starts what bills: {sentence}.", evidence={"count": len(billing), "sentence": sentence}
        )
    answer = await asyncio.to_thread(input, f"This starts what bills: {sentence}. Go on? [y/N] ")
    return answer.strip().lower() in {"y", "yes"}


def _sum(prices: Sequence[Price]) -> str:
    told = [f"{len(prices)} model{'s' if len(prices) > 1 else ''}"]
    for unit in sorted({price.per for price in prices}):
        known = [price.cents for price in prices if price.per == unit and price.cents is not None]
        untold = sum(price.per == unit and price.cents is None for price in prices)
        if known:
            told.append(f"at most ${sum(known) / 100:.2f} per {unit} in all")
        if untold:
            told.append(f"{untold} without a published price per {unit}")
    return ", ".join(told)


def _tell_forecasts(orders: Sequence[Order], told: Sequence[Forecast], common: Common) -> int:
    from lorry.cli.forecasts import forecast_lines

    lines: list[str] = []
    for order, forecast in zip(orders, told, strict=True):
        lines += [order.name, *(f"  {line}".rstrip() for line in forecast_lines([forecast])[:-1])]
    rows = [{"model": order.name, **each.as_dict()} for order, each in zip(orders, told, strict=True)]
    prices = [each.price for each in told if each.price is not None and each.price.cents != 0]
    lines.append(
        f"Nothing was made. All of it: {_sum(prices)}." if prices else "Nothing was made, and nothing bills."
    )
    common.out({"models": rows}, lines)
    return 0 if all(each.runs for each in told) else 1


def _tell_outcomes(outcomes: Sequence[Outcome], common: Common) -> int:
    rows = [("NAME", "STATE", "ROUTE", "TOOK", "NEXT")]
    for each in outcomes:
        state = str(each.placement.state) if each.placement else "failed"
        rows.append((each.order.name, state, each.order.route, f"{each.seconds:.1f} s", _next(each)))
    failed = [each for each in outcomes if each.error is not None]
    said = [
        f"{each.order.name}: error [{each.error.code}]: {each.error.message}" for each in failed if each.error
    ]
    ready = sum(
        each.placement is not None and each.placement.state is PlacementState.READY for each in outcomes
    )
    total = f"{ready} of {len(outcomes)} are ready."
    again = ["Run the same command again to go on with those that failed."] if failed else []
    data = {"models": [each.as_dict() for each in outcomes], "ready": ready, "failed": len(failed)}
    common.out(data, ["", *table(rows), "", *said, total, *again])
    return 1 if failed else 0


def _next(outcome: Outcome) -> str:
    name = outcome.order.name
    if outcome.error is not None:
        return outcome.error.fix
    if outcome.placement is not None and outcome.placement.state is PlacementState.READY:
        return f'lorry generate {name} "PROMPT"'
    return f"lorry events {name} --follow"
