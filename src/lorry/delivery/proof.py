"""The proof that an adapter acts: one prompt and seed, without it twice and with it once.

**The measure** is the mean absolute difference of two pictures over all pixels and channels, in 8-bit levels
(0 to 255). It needs no model, no tuning, and a person can imagine it: 1.0 is "on average one step out of
255".

**The threshold** is `max(1.0, 4 x noise)`. Two pictures of one seed without the adapter show the noise of
the platform itself: nothing on the embedded engine (bit-identical), some tenths of a level where kernels or
batches vary. Painters hand out PNG, which adds nothing. Should a platform encode JPEG inside (Together's
default, dossier 3.1), equal pictures stay equal after it, so 0 stays 0; and rounding can move a level by 1
at most where pictures differ by less, which the floor of 1.0 covers. Four times the noise keeps an unlucky
pair from passing. An adapter that does nothing gives 0 or the noise. Measured with the two sample adapters
on the embedded engine, one prompt and seed: at full strength 46 (a subject) and 120 (a style) levels, at a
tenth of it 13 and 12, at a fiftieth 1.5 and 1.9, at a hundredth 0.7 and 1.0: what the floor turns away,
nobody sees.

**Several seeds**: a mean over the picture can drown a small change, so up to three seeds are tried and the
first that passes counts. An adapter without effect is below on all of them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lorry.delivery.ports import Painter
from lorry.errors import PlatformFault
from lorry.model.generation import PictureOrder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Strength at which a deployed adapter acts when a request says nothing about it.
DEPLOYED_SCALE = 1.0
#: The smallest mean difference, in 8-bit levels, that counts as an effect.
FLOOR = 1.0
#: How far above the platform's own noise an effect must be.
NOISE_FACTOR = 4.0
#: Any will do; they are fixed so that a proof can be repeated.
SEEDS = (1, 2, 3)
#: For an adapter without a trigger word: something that every base can draw.
NEUTRAL_PROMPT = "a portrait"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measurement: the figures (8-bit levels) and the two pictures (PNG)."""

    prompt: str
    seed: int
    difference: float
    noise: float
    without: bytes
    with_adapter: bytes

    @property
    def threshold(self) -> float:
        """Say what the difference has to exceed."""
        return threshold(self.noise)

    @property
    def passed(self) -> bool:
        """Say whether the adapter acts."""
        return self.difference > self.threshold


def threshold(noise: float) -> float:
    """Give the difference that counts as an effect, for a platform with this noise (8-bit levels)."""
    return max(FLOOR, NOISE_FACTOR * noise)


def proof_prompt(trigger: str | None) -> str:
    """Choose the prompt: one in which the adapter has every reason to act."""
    return f"a picture of {trigger}" if trigger else NEUTRAL_PROMPT


def difference(first: bytes, second: bytes) -> float:
    """Measure how much two pictures differ.

    Args:
        first: A picture file.
        second: Another one of the same size.

    Returns:
        Mean absolute difference over pixels and channels, 0 to 255.

    Raises:
        PlatformFault: One of them is no picture, or their sizes differ.
    """
    one, other = _pixels(first), _pixels(second)
    if one.shape != other.shape:
        raise PlatformFault(
            f"The platform drew one order in two sizes, {one.shape[1]}x{one.shape[0]} and "
            f"{other.shape[1]}x{other.shape[0]}.",
        )
    return float(abs(one - other).mean())


def _pixels(picture: bytes) -> NDArray[np.float32]:
    import numpy as np
    from PIL import Image

    try:
        with Image.open(io.BytesIO(picture)) as image:
            return np.asarray(image.convert("RGB"), dtype=np.float32)
    except (OSError, ValueError) as error:
        raise PlatformFault(
            f"The platform answered with {len(picture)} bytes that are no picture.",
            evidence={"begins": picture[:16].hex()},
        ) from error


async def measure(painter: Painter, target: str, adapter: str | None, prompt: str) -> Evidence:
    """Draw with and without the adapter until one seed shows an effect, or none did.

    Args:
        painter: Draws.
        target: What the platform calls the deployed model.
        adapter: The platform's name of the adapter.
        prompt: Of every picture.

    Returns:
        The first measurement that passes, otherwise the one with the largest difference.
    """
    tried: list[Evidence] = []
    for seed in SEEDS:
        without = await _draw(painter, target, adapter, prompt, seed, 0.0)
        again = await _draw(painter, target, adapter, prompt, seed, 0.0)
        with_adapter = await _draw(painter, target, adapter, prompt, seed, DEPLOYED_SCALE)
        tried.append(
            Evidence(
                prompt=prompt,
                seed=seed,
                difference=round(difference(without, with_adapter), 4),
                noise=round(difference(without, again), 4),
                without=without,
                with_adapter=with_adapter,
            )
        )
        if tried[-1].passed:
            return tried[-1]
    return max(tried, key=lambda evidence: evidence.difference)


async def _draw(
    painter: Painter, target: str, adapter: str | None, prompt: str, seed: int, scale: float
) -> bytes:
    order = PictureOrder(target=target, prompt=prompt, seed=seed, adapter=adapter, scale=scale)
    pictures = await painter.paint(order)
    if len(pictures) != 1:
        raise PlatformFault(f"The platform drew {len(pictures)} pictures where 1 was ordered.")
    return pictures[0].png
