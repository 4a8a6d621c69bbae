"""`lorry token create|list|revoke`."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import App, Parameter

from lorry.cli.options import Common
from lorry.cli.tables import table
from lorry.model.serving import Scope, Token

token = App(name="token", help="Make, list and revoke the tokens that the gateway takes.")


@token.command
def create(
    *,
    owner: str | None = None,
    scope: Annotated[tuple[Scope, ...], Parameter(negative="")] = (Scope.GENERATE,),
    model: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    rate: float | None = None,
    burst: int | None = None,
    day_cents: float | None = None,
    month_cents: float | None = None,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Make a token. Its secret is printed once and kept nowhere.

    Args:
        owner: Whose it is: it sees this owner's models and those without one. Without an owner it sees all.
        scope: What it may do: generate, ship, admin; may be given several times.
        model: The only models that it may ask for; may be given several times.
        rate: Requests that it may begin in a second, in the long run.
        burst: Requests that it may begin at once after a silence (default: two seconds' worth).
        day_cents: What its requests may cost a day (UTC), US cents.
        month_cents: What its requests may cost a month.
    """
    from lorry.generation.gateway.minting import mint
    from lorry.wiring import House, now

    secret, made = mint(
        owner,
        frozenset(scope),
        now(),
        models=frozenset(model) if model else None,
        per_second=rate,
        burst=burst,
        day_cents=day_cents,
        month_cents=month_cents,
    )

    async def keep() -> None:
        house = House(common.settings())
        try:
            await (await house.store()).add_token(made)
        finally:
            await house.close()

    asyncio.run(keep())
    whose = f"of {owner}" if owner else "of the house, which sees all models"
    common.out(
        {"secret": secret, **made.as_dict()},
        [
            secret,
            f"The token {made.id} {whose}. Its secret is shown once; a running server knows it in a second.",
        ],
    )


@token.command(name="list")
def list_(*, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """List the tokens; their secrets are nowhere."""
    from lorry.wiring import House

    async def read() -> tuple[Token, ...]:
        house = House(common.settings())
        try:
            return await (await house.store()).tokens()
        finally:
            await house.close()

    found = asyncio.run(read())
    common.out({"tokens": [each.as_dict() for each in found]}, _lines(found))


@token.command
def revoke(id: str, /, *, common: Common = Common()) -> None:  # noqa: A002, B008
    """Revoke a token: a server that runs refuses it within a second.

    Args:
        id: Its id, as `lorry token list` shows it.
    """
    from lorry.errors import OptionInvalid
    from lorry.wiring import House

    async def end() -> bool:
        house = House(common.settings())
        try:
            return await (await house.store()).revoke(id)
        finally:
            await house.close()

    if not asyncio.run(end()):
        raise OptionInvalid(f"No valid token {id!r} is known here.", fix="Run `lorry token list`.")
    common.out({"revoked": id}, [f"{id} is revoked."])


def _lines(found: tuple[Token, ...]) -> list[str]:
    if not found:
        return [
            "There is no token, so the gateway answers to this machine alone. `lorry token create` makes one."
        ]
    rows = [
        (
            each.id,
            each.owner or "-",
            ",".join(sorted(each.scopes)),
            ",".join(sorted(each.models)) if each.models is not None else "all it sees",
            f"{each.per_second:g}/s" if each.per_second else "-",
            f"{each.day_cents:g} c/day" if each.day_cents is not None else "-",
            "revoked" if each.revoked_at else "valid",
        )
        for each in found
    ]
    return table(("id", "owner", "scopes", "models", "rate", "spend", "state"), rows)
