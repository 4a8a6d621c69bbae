"""The options of `lorry ship` that say how a model goes to its route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from lorry.model.options import ShipOptions

_Flag = Annotated[bool, Parameter(negative="", show_default=False)]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Going:
    """How a model goes to its route.

    Attributes:
        rehearse: Do it on the embedded engine instead of Together: the same steps, no account, no cost.
        config: Configuration to deploy with (its id); the cheapest that fits when omitted.
        min_replicas: Replicas that always run, and bill.
        max_replicas: Replicas that run at most.
        stop_when_idle: Minutes without a request after which the platform stops it (0 for never, or 30 to
            1440).
        idle_window: Seconds without a request after which it scales to zero.
        weight: Its weight in the endpoint's traffic split.
        endpoint: An endpoint (or container) of yours to go to, instead of one that Lorry makes.
        evict: Replace the oldest adapter when a deployment has no place for another.
        remote: Have the platform fetch the files itself: `hub`, or an address (a presigned archive).
        address: Address of the LoRA that the platform fetches with each request.
        public: Publish the repository on the Hub for everybody.
        prompt: What the proof asks for.
        image: Container image to run, for together-container.
        base: Public id of the base model, where the files do not tell it.
        deadline: Minutes that the whole delivery may take; without it only its steps have limits.
        at_deadline: What happens when the time is over: give-up (end it, stop what would bill), keep-trying,
            or hold (leave everything as it is until you decide).
    """

    rehearse: Annotated[bool | None, Parameter(negative="", show_default=False)] = None
    config: str | None = None
    min_replicas: int = 1
    max_replicas: int | None = None
    stop_when_idle: int | None = None
    idle_window: int | None = None
    weight: float = 1.0
    endpoint: str | None = None
    evict: _Flag = False
    remote: str | None = None
    address: str | None = None
    public: _Flag = False
    prompt: str | None = None
    image: str | None = None
    base: str | None = None
    deadline: float | None = None
    at_deadline: str = "give-up"

    def options(self) -> ShipOptions:
        """Give them as the options of a delivery.

        Raises:
            OptionInvalid: Names every option that can't be used.
        """
        from lorry.model.options import ShipOptions, require_sound

        highest = max(self.min_replicas, 1) if self.max_replicas is None else self.max_replicas
        options = ShipOptions(
            config=self.config,
            min_replicas=self.min_replicas,
            max_replicas=highest,
            inactive_minutes=self.stop_when_idle,
            idle_window=self.idle_window,
            weight=self.weight,
            endpoint=self.endpoint,
            evict=self.evict,
            remote=self.remote,
            address=self.address,
            public=self.public,
            prompt=self.prompt,
            image=self.image,
            base=self.base,
            deadline=self.deadline,
            at_deadline=self.at_deadline,
        )
        require_sound(options)
        return options
