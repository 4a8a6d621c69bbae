"""`lorry policy`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from cyclopts import Parameter

from lorry.cli.options import Common
from lorry.cli.printing import pairs
from lorry.model.serving import DEFAULT_POLICY, Policy, require_sound_policy

_Flag = Annotated[bool | None, Parameter(show_default=False)]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Running:
    """How what a model runs on is kept running.

    Attributes:
        idle_minutes: Minutes that it goes on after it was last used; 10 or more.
        hours: Hours in which it is kept running, such as "mon-fri 08:00-18:00 Europe/Berlin"; may be given
            several times. "daily 00:00-24:00" is always.
        quiet: Hours in which it is stopped after 10 idle minutes, such as "daily 18:00-07:00": those after
            which usually nobody asks for long; may be given several times.
        in_flight: Requests at once that one replica shall answer: their number follows that.
        most_replicas: Replicas that run at most.
        spare: Replicas beyond those that the requests call for.
    """

    idle_minutes: float | None = None
    hours: Annotated[tuple[str, ...] | None, Parameter(negative="")] = None
    quiet: Annotated[tuple[str, ...] | None, Parameter(negative="")] = None
    in_flight: float | None = None
    most_replicas: int | None = None
    spare: int | None = None


def policy(
    name: str,
    /,
    *,
    owner: str | None = None,
    also: Annotated[tuple[str, ...] | None, Parameter(negative="")] = None,
    order: Annotated[tuple[str, ...] | None, Parameter(negative="")] = None,
    other_base: _Flag = None,
    commercial: _Flag = None,
    request_cents: float | None = None,
    day_cents: float | None = None,
    asleep: str | None = None,
    resend_cents: float | None = None,
    at_once: int | None = None,
    running: Running = Running(),
    reset: Annotated[bool, Parameter(negative="")] = False,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Show or change a model's policy: whose it is, how it is routed, what it may cost, how long it idles.

    Args:
        name: The model's name.
        owner: Whose it is: only tokens of this owner see it.
        also: Another shipped model that may answer in its place, such as the same file on another route; may
            be given several times, in order.
        order: A route, in the order in which routes are asked; may be given several times. A route that is
            left out is never asked.
        other_base: Whether one of `also` may be of other weights or on another base model. The answer always
            says who served it.
        commercial: Whether only bases are asked whose licence lets them earn money.
        request_cents: Most that a request may cost on a route that bills by the request, US cents.
        day_cents: Most that its requests may cost a day (UTC) there.
        asleep: What a request does when its place sleeps: accept, hold, fallback or refuse.
        resend_cents: What sending a request again may cost when nobody knows whether it was carried out.
        at_once: Requests of the queue that are carried out at once.
        reset: Begin from the defaults again.
    """
    changes: dict[str, Any] = {
        field: value
        for field, value in (
            ("owner", owner),
            ("also", also),
            ("order", order),
            ("other_base", other_base),
            ("commercial", commercial),
            ("request_cents", request_cents),
            ("day_cents", day_cents),
            ("asleep", asleep),
            ("resend_cents", resend_cents),
            ("at_once", at_once),
            *asdict(running).items(),
        )
        if value is not None
    }
    found = asyncio.run(_changed(name, changes, common, reset=reset))
    common.out({"model": name, "policy": found.as_dict()}, [name, *_lines(found)])


async def _changed(name: str, changes: dict[str, Any], common: Common, *, reset: bool) -> Policy:
    from lorry.errors import ModelNotFound
    from lorry.wiring import House

    house = House(common.settings())
    try:
        store = await house.store()
        for model in (name, *changes.get("also", ())):
            if await store.model(model) is None:
                raise ModelNotFound(f"No model {model!r} is known here.", evidence={"model": model})
        before = DEFAULT_POLICY if reset else await store.policy(name)
        after = replace(before, **changes)
        require_sound_policy(name, after)
        if changes or reset:
            await store.set_policy(name, after)
        return after
    finally:
        await house.close()


def _replicas(found: Policy) -> str:
    if found.in_flight is None:
        return "as it was shipped"
    most = f", {found.most_replicas} at most" if found.most_replicas else ""
    spare = f", {found.spare} to spare" if found.spare else ""
    return f"one for each {found.in_flight:g} requests at once{most}{spare}"


def _lines(found: Policy) -> list[str]:
    def cents(value: float | None) -> str:
        return "no limit" if value is None else f"{value:g} cents"

    return pairs(
        [
            ("owner", found.owner or "none: all tokens may use it"),
            ("also", ", ".join(found.also) or "nobody"),
            ("order", ", ".join(found.order)),
            ("other base", "allowed" if found.other_base else "never"),
            ("licence", "only such as may earn money" if found.commercial else "any"),
            ("a request", cents(found.request_cents)),
            ("a day", cents(found.day_cents)),
            ("asleep", found.asleep),
            ("sent again", "never" if not found.resend_cents else f"for up to {found.resend_cents:g} cents"),
            ("idle", f"{found.idle_minutes:g} minutes" if found.idle_minutes else "as the keeper does"),
            ("hours", ", ".join(found.hours) or "none"),
            ("quiet", ", ".join(found.quiet) or "none"),
            ("replicas", _replicas(found)),
            ("queue", f"{found.at_once} at once" if found.at_once else "as the server does"),
        ]
    )
