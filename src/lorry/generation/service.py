"""A request's way: the model's placement, the prompt with its trigger word, the pictures or the words."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from lorry.errors import ModelNotFound, NotReady
from lorry.generation.options import MAX_SEED, require_only_words, require_options
from lorry.generation.prompt import with_trigger
from lorry.model.generation import Generation, LoraUse, Picture, PictureOrder, TextOrder, Words
from lorry.model.placement import Placement, PlacementState, TrainedModel


class Placements(Protocol):
    """The models and placements that Lorry remembers, as far as a request reads them."""

    async def model(self, name: str) -> TrainedModel | None:
        """Read a model by name."""

    async def placement(self, model: str) -> Placement | None:
        """Read the placement of a model."""


class Draws(Protocol):
    """Whoever draws pictures at a platform."""

    async def paint(self, order: PictureOrder) -> tuple[Picture, ...]:
        """Draw the ordered pictures, in order of their seeds."""


class Writes(Protocol):
    """Whoever answers in words at a platform."""

    async def write(self, order: TextOrder) -> Words:
        """Give the answer to a prompt."""


class Answers(Protocol):
    """A platform, as far as a request needs it."""

    @property
    def painter(self) -> Draws:
        """Who draws."""

    @property
    def writer(self) -> Writes:
        """Who writes."""


class Generations:
    """Generates with models that are ready.

    Args:
        records: What is known.
        platform_of: Gives the platform of a placement.
        clock: Seconds that only grow; measures how long a request took.
        draw: Gives a whole number from 0 to below its argument; chooses the seed when none was asked for.
    """

    def __init__(
        self,
        records: Placements,
        platform_of: Callable[[Placement], Awaitable[Answers]],
        *,
        clock: Callable[[], float] = time.perf_counter,
        draw: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._records = records
        self._platform_of = platform_of
        self._clock = clock
        self._draw = draw

    async def generate(
        self,
        model: str,
        prompt: str,
        *,
        seed: int | None = None,
        steps: int | None = None,
        size: int | None = None,
        scale: float | None = None,
        count: int = 1,
    ) -> Generation:
        """Generate pictures.

        Args:
            model: Lorry's name of the model.
            prompt: What to draw; its trigger word is added when it lacks it.
            seed: Start of the noise, any when `None`; picture `i` uses `seed + i`.
            steps: Denoising steps; the platform's choice when `None`.
            size: Edge in pixels; the platform's choice when `None`.
            scale: Strength of the adapter; as deployed when `None`.
            count: Number of pictures.

        Raises:
            OptionInvalid: Names every option that can't be used.
            ModelNotFound: No such model is known here.
            NotReady: It can't answer now; says why and what to do.
            PlatformError: The platform refused or failed.
        """
        require_options(prompt=prompt, seed=seed, steps=steps, size=size, scale=scale, count=count)
        known, placement = await self._ready(model)
        text, added = with_trigger(prompt, known.trigger)
        if known.kind != "image-lora":
            require_only_words(steps=steps, size=size, scale=scale, count=count)
            return await self._write(placement, text, added, seed)
        start = self._draw(MAX_SEED + 2 - count) if seed is None else seed
        order = picture_order(placement, text, start, steps, size, count, scale)
        began = self._clock()
        pictures = await (await self._platform_of(placement)).painter.paint(order)
        return Generation(model, text, added, placement.route, pictures, self._clock() - began)

    async def _write(self, placement: Placement, text: str, added: bool, seed: int | None) -> Generation:
        ids = placement.ids
        target = (ids.adapter_name if ids.attachment else None) or ids.endpoint_name or ""
        order = TextOrder(target, text, seed=seed)
        began = self._clock()
        words = await (await self._platform_of(placement)).writer.write(order)
        took = self._clock() - began
        return Generation(placement.model, text, added, placement.route, (), took, words)

    async def _ready(self, name: str) -> tuple[TrainedModel, Placement]:
        known = await self._records.model(name)
        if known is None:
            raise ModelNotFound(f"No model {name!r} is known here.", evidence={"model": name})
        placement = await self._records.placement(name)
        if placement is None:
            raise NotReady(
                f"{name!r} is known, but it is nowhere yet: its delivery never began.",
                fix=f"Run `lorry resume {name}` to bring it to its platform.",
                evidence={"model": name, "state": None},
            )
        if placement.state is not PlacementState.READY or not _answers(placement):
            raise _not_ready(name, placement)
        return known, placement


def picture_order(
    placement: Placement,
    prompt: str,
    seed: int,
    steps: int | None,
    size: int | None,
    count: int,
    scale: float | None,
) -> PictureOrder:
    """Give the order for pictures: by endpoint, by address on a shared base, or by address in a container.

    Args:
        placement: Where the model is.
        prompt: The text, trigger word included.
        seed: Of the first picture.
        steps: Denoising steps.
        size: Edge in pixels.
        count: Number of pictures.
        scale: Strength of the adapter; as deployed when `None`.
    """
    ids = placement.ids
    if ids.address is None:
        return PictureOrder(
            ids.endpoint_name or "", prompt, seed, steps, size, count, ids.adapter_name, scale
        )
    loras = (LoraUse(ids.address, 1.0 if scale is None else scale),)
    container = ids.endpoint_name if ids.container else None
    return PictureOrder(
        ids.base_name or "", prompt, seed, steps, size, count, loras=loras, container=container
    )


def _answers(placement: Placement) -> bool:
    return bool(placement.ids.endpoint_name or placement.ids.base_name)


def _not_ready(name: str, placement: Placement) -> NotReady:
    state = placement.state
    cause = (placement.error or {}).get("message")
    reason = f" {cause}" if cause and state is PlacementState.FAILED else ""
    fixes = {
        PlacementState.READY: f"Run `lorry resume {name}`: its address is not noted.",
        PlacementState.DELIVERING: f"Run `lorry resume {name}` to finish its delivery.",
        PlacementState.FAILED: f"Run `lorry events {name}` to see what happened, then `lorry resume {name}`.",
        PlacementState.HELD: f"Run `lorry resume {name}` to go on, or `lorry cancel {name}`.",
        PlacementState.RETIRING: f"Run `lorry retire {name}` to finish that, or ship it again afterwards.",
        PlacementState.RETIRED: f"Run `lorry ship PATH --name {name}` to bring it back.",
    }
    return NotReady(
        f"{name!r} can't answer now. {state.sentence}{reason}",
        fix=fixes[state],
        evidence={"model": name, "state": str(state), "step": placement.step},
    )
