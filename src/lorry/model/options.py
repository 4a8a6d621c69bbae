"""What may be asked for when a model is shipped, beyond the defaults of its route."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from lorry.errors import OptionInvalid

#: What happens when the time of a step, or of the whole delivery, is over: end it and stop what would bill;
#: go on all the same; or leave everything as it is until a person decides.
GIVE_UP, KEEP_TRYING, HOLD = AT_DEADLINE = ("give-up", "keep-trying", "hold")


@dataclass(frozen=True, slots=True)
class ShipOptions:
    """The choices of one delivery; what a route has no use for it refuses.

    Attributes:
        config: Resource name or id of the configuration to deploy with; the cheapest that fits when `None`.
        min_replicas: Replicas that always run, and bill.
        max_replicas: Replicas that run at most.
        inactive_minutes: Minutes without a request after which the platform stops it; 0 for never, `None`
            for the route's default.
        idle_window: Seconds without a request after which it scales to zero; `None` leaves it to the
            platform.
        weight: Its weight in the endpoint's traffic split.
        endpoint: Name of an endpoint that exists, to attach to or to add a deployment to; Lorry's own when
            `None`.
        evict: Whether the oldest adapter may be evicted when a deployment has no slot left.
        remote: Where the platform itself fetches the files: `hub` for the repository that the delivery
            publishes, or an address; the files are uploaded from here when `None`.
        address: Address under which the platform fetches the adapter with each request, where it is not
            published by the delivery.
        public: Whether the repository on the Hub is made public.
        prompt: What the proof asks for; chosen by the trigger word when `None`.
        image: The container image to run, where the route runs one.
        base: Public id of the base model, where the files do not tell it.
        deadline: Minutes that the whole delivery may take; `None` for no limit beside those of its steps.
        at_deadline: What happens when the time of a step or of the whole is over: one of `AT_DEADLINE`.
    """

    config: str | None = None
    min_replicas: int = 1
    max_replicas: int = 1
    inactive_minutes: int | None = None
    idle_window: int | None = None
    weight: float = 1.0
    endpoint: str | None = None
    evict: bool = False
    remote: str | None = None
    address: str | None = None
    public: bool = False
    prompt: str | None = None
    image: str | None = None
    base: str | None = None
    deadline: float | None = None
    at_deadline: str = GIVE_UP

    def given(self) -> dict[str, Any]:
        """Give what differs from the defaults, as JSON values."""
        return {
            name: value for name, value in asdict(self).items() if value != getattr(DEFAULT_OPTIONS, name)
        }


DEFAULT_OPTIONS = ShipOptions()


def require_sound(options: ShipOptions) -> None:
    """Accept options, or name all that can't be used.

    Args:
        options: The choices of a delivery.

    Raises:
        OptionInvalid: With every problem at once; `evidence` has them as a list.
    """
    problems = list(problems_of(options))
    if problems:
        sentence = "; ".join(problems)
        raise OptionInvalid(
            f"{sentence[0].upper()}{sentence[1:]}.",
            fix="Correct what is named; `lorry ship --help` lists the options.",
            evidence={"problems": problems},
        )


def problems_of(options: ShipOptions) -> Iterator[str]:
    """Name what can't be used, each in a phrase.

    Args:
        options: The choices of a delivery.
    """
    low, high = options.min_replicas, options.max_replicas
    if low < 1:
        yield f"min-replicas is {low}, it can be 1 or more (a model at 0 answers nothing)"
    if high < low:
        yield f"max-replicas is {high}, it must not be below min-replicas, which is {low}"
    idle = options.inactive_minutes
    if idle is not None and idle != 0 and not 30 <= idle <= 1440:
        yield f"stop-when-idle is {idle}, it can be 0 or 30 to 1440 minutes"  # Together API dossier 2.7
    if options.idle_window is not None and options.idle_window < 1:
        yield f"idle-window is {options.idle_window}, it must be a number of seconds above 0"
    if not (math.isfinite(options.weight) and options.weight > 0):
        yield f"weight is {options.weight:g}, it must be above 0 (nothing reaches a model at 0)"
    if options.deadline is not None and not (math.isfinite(options.deadline) and options.deadline > 0):
        yield f"deadline is {options.deadline:g}, it must be a number of minutes above 0"
    if options.at_deadline not in AT_DEADLINE:
        yield f"at-deadline is {options.at_deadline!r}, it can be {', '.join(AT_DEADLINE)}"
    for name in ("remote", "address"):
        value = getattr(options, name)
        if value is not None and value != "hub" and not value.startswith(("https://", "http://")):
            yield f"{name} is {value!r}, which is no http address"


def options_from(values: Mapping[str, Any]) -> ShipOptions:
    """Give the options again that `ShipOptions.given` wrote down.

    Args:
        values: What it gave; names that are not known any more are left out.
    """
    known = {field.name for field in fields(ShipOptions)}
    return ShipOptions(**{name: value for name, value in values.items() if name in known})


@dataclass(frozen=True, slots=True)
class Wish:
    """Where a model shall go, and how.

    Attributes:
        route: By which route.
        rehearsal: Whether the embedded engine plays the platform.
        options: The choices beyond the defaults.
    """

    route: str = "local"
    rehearsal: bool = False
    options: ShipOptions = DEFAULT_OPTIONS
