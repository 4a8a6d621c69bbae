"""Why a delivery is not begun: the name is taken, nothing is left to do, or nobody agreed to the price."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from lorry.delivery.policy import Course
from lorry.delivery.ports import Worker
from lorry.errors import (
    DeliveryBusy,
    DeliveryHeld,
    NameTaken,
    NothingToCancel,
    NothingToResume,
    OptionInvalid,
    PriceNotAccepted,
)
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


def unplaced(name: str) -> NothingToResume:
    """Say that nobody knows where a model was to go: an earlier version was killed before it wrote that down.

    Args:
        name: Lorry's name of the model.
    """
    return NothingToResume(
        f"{name} is known here, but not where it was to go.",
        fix=f"Run `lorry ship PATH --name {name}` with the route that you want.",
        evidence={"model": name},
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


def other_route(placement: Placement) -> NameTaken:
    """Say that a model is on another route already.

    Args:
        placement: Where it is.
    """
    played = " as a rehearsal" if placement.rehearsal else ""
    return NameTaken(
        f"{placement.model} is on the route {placement.route}{played} already.",
        fix=f"Choose another `--name`, or run `lorry retire {placement.model}` first.",
        evidence={"model": placement.model, "route": placement.route, "rehearsal": placement.rehearsal},
    )


def nothing_to_cancel(placement: Placement) -> NothingToCancel:
    """Say that no delivery of a model is under way.

    Args:
        placement: Where the model stands.
    """
    name = placement.model
    retiring = placement.state is PlacementState.RETIRING
    return NothingToCancel(
        f"{name} is not on its way. {placement.state.sentence}",
        fix=f"Run `lorry retire {name}` to {'finish that' if retiring else 'remove it'}.",
        evidence={"model": name, "state": str(placement.state)},
    )


def unknown_step(name: str, step: str, steps: Sequence[str], done: str | None) -> OptionInvalid:
    """Say that a delivery can't be done again from a step.

    Args:
        name: Lorry's name of the model.
        step: The step that was named.
        steps: Those from which it can.
        done: The last one that was done.
    """
    so_far = f"its last finished step is {done}" if done else "none of its steps is finished"
    return OptionInvalid(
        f"The delivery of {name} can't be done again from {step!r}: {so_far}.",
        fix=f"Choose one of: {', '.join(steps)}." if steps else f"Run `lorry resume {name}`.",
        evidence={"model": name, "step": step, "steps": list(steps), "done": done},
    )


def busy(name: str, holder: Worker | None) -> DeliveryBusy:
    """Say that another process has a delivery and does not let go of it.

    Args:
        name: Lorry's name of the model.
        holder: Who, where that is known.
    """
    who = f"process {holder.pid} on {holder.host}" if holder else "another process"
    return DeliveryBusy(
        f"The delivery of {name} is in the hands of {who}, which does not let go of it.",
        fix=f"Wait, or end that process; `lorry events {name} --follow` shows what it does.",
        evidence={"model": name, "pid": holder and holder.pid, "host": holder and holder.host},
    )


def killer(name: str, times: int) -> DeliveryHeld:
    """Say that a delivery is left to a person, as each process that took it up died with it.

    Args:
        name: Lorry's name of the model.
        times: How often it was taken up.
    """
    return DeliveryHeld(
        f"{times} processes took the delivery of {name} up, and each died before it had done a step of it.",
        fix=f"Look at the machine (memory, disk) and at `lorry events {name}`; then `lorry resume {name}`.",
        evidence={"model": name, "taken": times},
    )
