"""What a request may ask for."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lorry.errors import OptionInvalid

#: Largest seed: 31 bits, which every sampler and every platform takes.
MAX_SEED = 2**31 - 1

#: Above this, more denoising steps change nothing that can be seen.
MAX_STEPS = 50

#: Edges in pixels: the embedded base draws 64; Together takes up to 1920 (Together API dossier 3.1).
MIN_SIZE, MAX_SIZE, SIZE_STEP = 64, 1920, 8

MAX_COUNT = 16

#: Beyond this an adapter drowns its base. 0.3 to 1.2 is usual, and -0.8 was seen (Together API dossier 3.3).
MAX_SCALE = 4.0


def require_options(
    *,
    prompt: str,
    seed: int | None,
    steps: int | None,
    size: int | None,
    scale: float | None,
    count: int,
) -> None:
    """Accept the options of a request, or name all that can't be used.

    Args:
        prompt: What to draw.
        seed: Start of the noise.
        steps: Denoising steps.
        size: Edge in pixels.
        scale: Strength of the adapter.
        count: Number of pictures.

    Raises:
        OptionInvalid: With every problem at once; `evidence` has them as a list.
    """
    problems = list(_problems(prompt, seed, steps, size, scale, count))
    if problems:
        sentence = "; ".join(problems)
        raise OptionInvalid(
            f"{sentence[0].upper()}{sentence[1:]}.",
            fix="Correct what is named; `lorry generate --help` lists the options.",
            evidence={"problems": problems},
        )


def require_only_words(*, steps: int | None, size: int | None, scale: float | None, count: int) -> None:
    """Refuse what makes no difference to a model that answers in words.

    Args:
        steps: Denoising steps.
        size: Edge in pixels.
        scale: Strength of the adapter.
        count: Number of answers.

    Raises:
        OptionInvalid: Names every option that was given.
    """
    asked = {"steps": steps, "size": size, "scale": scale, "count": count if count != 1 else None}
    given = [name for name, value in asked.items() if value is not None]
    if given:
        raise OptionInvalid(
            f"The model answers in words, and {', '.join(given)} is for pictures.",
            fix="Leave it out.",
            evidence={"problems": given},
        )


def _problems(
    prompt: str, seed: int | None, steps: int | None, size: int | None, scale: float | None, count: int
) -> Iterator[str]:
    if not prompt.strip():
        yield "the prompt is empty"
    if not 1 <= count <= MAX_COUNT:
        yield f"count is {count}, it can be 1 to {MAX_COUNT}"
    if seed is not None and not 0 <= seed <= MAX_SEED - max(count - 1, 0):
        yield f"seed is {seed}, it can be 0 to {MAX_SEED}, and seed + count - 1 as well"
    if steps is not None and not 1 <= steps <= MAX_STEPS:
        yield f"steps is {steps}, it can be 1 to {MAX_STEPS}"
    if size is not None and not (MIN_SIZE <= size <= MAX_SIZE and size % SIZE_STEP == 0):
        yield f"size is {size}, it can be {MIN_SIZE} to {MAX_SIZE} in steps of {SIZE_STEP}"
    if scale is not None and not (math.isfinite(scale) and abs(scale) <= MAX_SCALE):
        yield f"scale is {scale:g}, it can be {-MAX_SCALE:g} to {MAX_SCALE:g}"
