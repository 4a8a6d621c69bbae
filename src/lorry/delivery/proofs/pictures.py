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
from typing import TYPE_CHECKING

from lorry.delivery.proofs.trial import Evidence, Trial
from lorry.errors import PlatformFault

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


async def measure(trial: Trial[bytes], prompt: str) -> Evidence[bytes]:
    """Draw with and without the adapter until one seed shows an effect, or none did.

    Args:
        trial: Draws.
        prompt: Of every picture.

    Returns:
        The first measurement that passes, otherwise the one with the largest difference.
    """
    tried: list[Evidence[bytes]] = []
    for seed in SEEDS:
        without = again = None
        if trial.without is not None:
            without = await trial.without(prompt, seed)
            again = await trial.without(prompt, seed)
        acting = await trial.acting(prompt, seed)
        tried.append(_evidence(prompt, seed, without, again, acting))
        if tried[-1].passed:
            return tried[-1]
    return max(tried, key=lambda evidence: evidence.difference)


def _evidence(
    prompt: str, seed: int, without: bytes | None, again: bytes | None, acting: bytes
) -> Evidence[bytes]:
    apart = difference(without, acting) if without is not None else 0.0
    noise = difference(without, again) if without is not None and again is not None else 0.0
    return Evidence(
        prompt, seed, round(apart, 4), round(noise, 4), threshold(round(noise, 4)), without, acting
    )
