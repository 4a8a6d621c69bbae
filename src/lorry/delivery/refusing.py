"""Why a delivery is not begun: the name is taken, nothing is left to do, or nobody agreed to the price."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lorry.delivery.policy import Course
from lorry.errors import NameTaken, NothingToResume, PriceNotAccepted
from lorry.model.forecast import Price
from lorry.model.placement import Placement, PlacementState

#: Asked before anything is made that bills; gives whether to go on.
Agree = Callable[[Price], Awaitable[bool]]


def nothing_to_resume(placement: Placement) -> NothingToResume:
    """Say that there is no delivery to go on with.

    Args:
        placement: Where the model stands.
    """
    name = placement.model
    retiring = placement.state is PlacementState.RETIRING
    return NothingToResume(
        f"{name} has no unfinished delivery. {placement.state.sentence}",
        fix=f"Run `lorry {'retire' if retiring else 'show'} {name}`.",
        evidence={"model": name, "state": str(placement.state)},
    )


def name_taken(name: str, why: Course) -> NameTaken:
    """Say that the name belongs to something else.

    Args:
        name: Lorry's name of a model.
        why: Whether it is being removed, or has other weights.
    """
    if why is Course.BEING_REMOVED:
        message = f"{name} is being removed."
        fix = f"Run `lorry retire {name}` to finish that, then ship it again."
    else:
        message = f"{name} is the name of a model with other weights."
        fix = f"Choose another `--name`, or run `lorry retire {name}` first."
    return NameTaken(message, fix=fix, evidence={"model": name})


async def require_agreement(price: Price | None, agree: Agree | None) -> None:
    """Go on only if it costs nothing, or somebody agrees to the price.

    Args:
        price: Of what is about to be made.
        agree: Asked.

    Raises:
        PriceNotAccepted: Nobody agreed.
    """
    if price is None or price.cents == 0 or (agree is not None and await agree(price)):
        return
    note = f" ({price.note})" if price.note else ""
    raise PriceNotAccepted(
        f"This starts something that bills: {price.sentence}{note}.",
        evidence={"cents": price.cents, "per": price.per, "source": price.source},
    )
