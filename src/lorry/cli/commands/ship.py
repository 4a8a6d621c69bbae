"""`lorry ship`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from lorry.cli.agreeing import agreement
from lorry.cli.batch import is_batch, orders_of, ship_batch
from lorry.cli.options import Common
from lorry.cli.printing import proof_lines
from lorry.cli.progress import Steps
from lorry.cli.shipping import Going
from lorry.errors import OptionInvalid
from lorry.model.batch import name_from
from lorry.model.placement import Placement, PlacementState

if TYPE_CHECKING:
    from lorry.model.forecast import Forecast


def ship(
    source: str,
    /,
    *more: str,
    name: str | None = None,
    route: str | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="", alias="-y")] = False,
    detach: Annotated[bool, Parameter(negative="")] = False,
    parallel: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 4,
    going: Going = Going(),  # noqa: B008 - frozen
    common: Common = Common(),  # noqa: B008 - frozen
) -> int:
    """Bring a model to a platform: check, convert where that is needed, publish, upload, deploy, prove.

    It can be interrupted at any moment; the same command (or `lorry resume NAME`) goes on where it stood.

    Several sources, or a manifest, are a batch: some are on their way at a time, none holds up another, and a
    table says in the end what came of each (exit status 1 when one failed).

    Args:
        source: A .safetensors file, or what holds it: a folder, an archive (.zip, .tar, .tar.gz), a Hub
            repository (`owner/name[@revision][:file]`, or its address) or an https address. A file that ends
            in .toml is a manifest.
        more: More of them.
        name: What the model is called from now on; made of the source's own name when omitted.
        route: local, together-attached, together-merged, together-url, together-container or together-v1.
            `local`, the embedded engine, when omitted; with --dry-run all of them.
        dry_run: Say for each route what would be created, what it would cost and what would be refused.
            Nothing is made.
        yes: Agree to the price of what is started, without being asked.
        detach: Only check it and write it down; a `lorry worker` does the rest.
        parallel: How many models of a batch are on their way at a time.
    """
    sources = (source, *more)
    if is_batch(sources):
        if name is not None:
            raise OptionInvalid(
                f"{len(sources)} sources can't all be called {name}.", fix="Leave `--name` out."
            )
        orders = orders_of(sources, route, going)
        return ship_batch(orders, common, yes=yes, detach=detach, dry_run=dry_run, parallel=parallel)
    name = name or name_from(source)
    if dry_run:
        _tell_forecasts(_forecast(source, name, route, going, common), common)
        return 0
    placement = _deliver(source, name, route, going, common, yes=yes, detach=detach)
    if placement.state is PlacementState.READY:
        tell_ready(placement, common)
    else:
        common.out(placement.as_dict(), _handed_over(name))
    return 0


def _deliver(
    source: str, name: str, route: str | None, going: Going, common: Common, *, yes: bool, detach: bool
) -> Placement:
    from lorry.api import Lorry

    async def deliver() -> Placement:
        with Steps(common.steps_console()) as steps:
            async with Lorry(common.settings(), listen=steps.show) as lorry:
                steps.expect(await lorry.estimates(route or "local", rehearse=going.rehearse))
                ship = lorry.submit if detach else lorry.ship
                return await ship(
                    source,
                    name,
                    route=route or "local",
                    rehearse=going.rehearse,
                    options=going.options(),
                    agree=agreement(steps, yes=yes, ask=not common.json),
                )

    return asyncio.run(deliver())


def _forecast(
    source: str, name: str, route: str | None, going: Going, common: Common
) -> tuple[Forecast, ...]:
    from lorry.api import Lorry

    async def ask() -> tuple[Forecast, ...]:
        async with Lorry(common.settings()) as lorry:
            routes = (route,) if route else ()
            return await lorry.forecast(
                source, name, routes, rehearse=going.rehearse, options=going.options()
            )

    return asyncio.run(ask())


def _handed_over(name: str) -> list[str]:
    return [
        f"{name} is written down; a worker takes it from here.",
        f"next: `lorry events {name} --follow` to watch, `lorry worker` where none runs.",
    ]


def _tell_forecasts(told: tuple[Forecast, ...], common: Common) -> None:
    from lorry.cli.forecasts import forecast_lines

    common.out({"routes": [each.as_dict() for each in told]}, forecast_lines(told))


def tell_ready(placement: Placement, common: Common) -> None:
    """Print the end of a delivery: the proof, and how to use the model.

    Args:
        placement: Where the model is now.
        common: How to print.
    """
    proof = proof_lines(placement.proof) if placement.proof else []
    draws = placement.proof is None or placement.proof.kind == "picture"
    command = f'lorry generate {placement.model} "PROMPT"{" -o out.png" if draws else ""}'
    common.out(placement.as_dict(), [f"{placement.model} is ready.", *proof, f"next: {command}"])
