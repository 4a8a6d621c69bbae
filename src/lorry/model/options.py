"""What may be asked for when a model is shipped, beyond the defaults of its route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


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

    def given(self) -> dict[str, Any]:
        """Give what differs from the defaults, as JSON values."""
        return {
            name: value for name, value in asdict(self).items() if value != getattr(DEFAULT_OPTIONS, name)
        }


DEFAULT_OPTIONS = ShipOptions()


def options_from(values: Mapping[str, Any]) -> ShipOptions:
    """Give the options again that `ShipOptions.given` wrote down.

    Args:
        values: What it gave; names that are not known any more are left out.
    """
    known = {field.name for field in fields(ShipOptions)}
    return ShipOptions(**{name: value for name, value in values.items() if name in known})
