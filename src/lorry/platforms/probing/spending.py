"""The one question that costs: does a LoRA by its address change what a shared base draws?

Documents disagree (Together API dossier 3.4 and 10.1), so only pictures tell. The measure and its threshold
are those of a delivery's proof; what it may cost is agreed to before anything is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lorry.delivery.ports import Painter
from lorry.delivery.proofs.pictures import DEPLOYED_SCALE, SEEDS, measure
from lorry.delivery.proofs.trial import Trial
from lorry.errors import OptionInvalid, PlatformError, PriceNotAccepted
from lorry.model.generation import LoraUse, PictureOrder

#: Edge of the pictures in pixels: the smallest that a base draws well, a quarter of a megapixel.
SIZE = 512

#: At most: without it twice and with it once on each seed, and one for an address where nothing lies.
PICTURES = 3 * len(SEEDS) + 1

#: No such repository can be: a name of the Hub has no two dots in a row.
_NOTHING = "https://huggingface.co/lorry/no..such..lora/resolve/main/no.safetensors"


@dataclass(frozen=True, slots=True)
class Tried:
    """What the pictures show.

    Attributes:
        base: Who drew.
        address: The LoRA.
        cents: The most that it can have cost, US cents.
        difference: Between the pictures with and without it, 8-bit levels.
        noise: Between two pictures without it.
        threshold: What the difference has to exceed.
        acts: Whether it does.
        nowhere: What came of an address where nothing lies: an error's code and sentence, or `None` when the
            base drew as if nothing were wrong.
    """

    base: str
    address: str
    cents: float
    difference: float
    noise: float
    threshold: float
    acts: bool
    nowhere: tuple[str, str] | None

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "base": self.base,
            "address": self.address,
            "cents": self.cents,
            "difference": self.difference,
            "noise": self.noise,
            "threshold": self.threshold,
            "acts": self.acts,
            "nowhere": {"code": self.nowhere[0], "message": self.nowhere[1]} if self.nowhere else None,
        }


def estimate(cents_per_megapixel: float) -> float:
    """Say what a trial costs at most: pictures x megapixels x price, steps by default (dossier 6).

    Args:
        cents_per_megapixel: Price, US cents.

    Returns:
        US cents.
    """
    return round(PICTURES * SIZE * SIZE / 1_000_000 * cents_per_megapixel, 4)


def agreed(base: str, allowed: float, cents_per_megapixel: float | None) -> float:
    """Hold what a trial may cost against what it costs at most.

    Args:
        base: The shared base.
        allowed: The most that it may cost, US cents.
        cents_per_megapixel: Price; `None` where nobody knows it.

    Returns:
        What it costs at most, US cents.

    Raises:
        OptionInvalid: `allowed` is no amount.
        PriceNotAccepted: It may cost more than is allowed, or nobody knows what it costs.
    """
    if not 0 <= allowed < float("inf"):
        raise OptionInvalid(f"{allowed} cents can't be spent.", fix="Give a number of US cents, such as 5.")
    if cents_per_megapixel is None:
        raise PriceNotAccepted(
            f"Nobody publishes what {base} costs, so no limit can be kept; nothing was drawn.",
            fix="Name a base whose price is known, such as black-forest-labs/FLUX.2-dev.",
            evidence={"base": base, "allowed_cents": allowed},
        )
    cents = estimate(cents_per_megapixel)
    if cents > allowed:
        raise PriceNotAccepted(
            f"Up to {PICTURES} pictures of {base} at {SIZE}x{SIZE} cost up to {cents:g} cents, and "
            f"{allowed:g} are allowed; nothing was drawn.",
            fix=f"Add `--spend {math.ceil(cents)}` to agree to that, or leave the question open.",
            evidence={"base": base, "cents": cents, "allowed_cents": allowed, "pictures": PICTURES},
        )
    return cents


async def try_lora(
    painter: Painter,
    base: str,
    address: str,
    prompt: str,
    *,
    allowed: float,
    cents_per_megapixel: float | None,
) -> Tried:
    """Draw with and without a LoRA on fixed seeds, and once with an address where nothing lies.

    Args:
        painter: Draws.
        base: The shared base.
        address: Of the LoRA, as the platform takes it.
        prompt: Of every picture.
        allowed: The most that it may cost, US cents.
        cents_per_megapixel: Price; `None` where nobody knows it.

    Raises:
        OptionInvalid: `allowed` is no amount.
        PlatformError: The base does not draw.
        PriceNotAccepted: It may cost more than is allowed, or nobody knows what it costs; nothing was drawn.
    """
    cents = agreed(base, allowed, cents_per_megapixel)

    async def draw(prompt: str, seed: int, loras: tuple[LoraUse, ...]) -> bytes:
        (picture,) = await painter.paint(PictureOrder(base, prompt, seed, size=SIZE, loras=loras))
        return picture.png

    found = await measure(
        Trial(
            acting=lambda prompt, seed: draw(prompt, seed, (LoraUse(address, DEPLOYED_SCALE),)),
            without=lambda prompt, seed: draw(prompt, seed, ()),
        ),
        prompt,
    )
    nowhere = None
    try:
        await draw(prompt, SEEDS[0], (LoraUse(_NOTHING, DEPLOYED_SCALE),))
    except PlatformError as error:
        nowhere = (error.code, error.message)
    return Tried(base, address, cents, found.difference, found.noise, found.threshold, found.passed, nowhere)
