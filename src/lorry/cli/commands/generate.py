"""`lorry generate`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lorry.cli.options import Common
from lorry.model.generation import Generation

#: The embedded base draws 64 × 64; this enlarges it to what a person can look at on a screen.
VIEWING_SIZE = 512


def generate(
    name: str,
    prompt: str,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")] = Path("out.png"),
    seed: int | None = None,
    steps: int | None = None,
    size: int = VIEWING_SIZE,
    scale: float | None = None,
    count: Annotated[int, Parameter(name="--count", alias="-n")] = 1,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Generate pictures with a model. Its trigger word is put into the prompt when it is missing.

    Args:
        name: The model's name.
        prompt: What to draw.
        output: The picture's file; several get -1, -2 … before the extension.
        seed: Start of the noise; the same seed gives the same picture. Random when omitted, and printed.
        steps: Denoising steps (1 to 50).
        size: Edge in pixels. The embedded base draws 64 and enlarges.
        scale: Strength of the LoRA: 0 without it, 1 as trained.
        count: Number of pictures; picture i uses seed + i.
    """
    from lorry.api import Lorry
    from lorry.generation import require_writable, save

    require_writable(output)

    async def draw() -> Generation:
        async with Lorry(common.settings()) as lorry:
            return await lorry.generate(
                name, prompt, seed=seed, steps=steps, size=size, scale=scale, count=count
            )

    made = asyncio.run(draw())
    files = save(made, output)
    common.out(_data(made, files), _lines(made, files))


def _data(made: Generation, files: tuple[Path, ...]) -> dict[str, object]:
    pictures = [
        {"file": str(file), "seed": picture.seed} for file, picture in zip(files, made.pictures, strict=True)
    ]
    return {
        "model": made.model,
        "prompt": made.prompt,
        "trigger_added": made.trigger_added,
        "route": made.route,
        "seconds": round(made.seconds, 3),
        "pictures": pictures,
    }


def _lines(made: Generation, files: tuple[Path, ...]) -> list[str]:
    added = " (trigger word added)" if made.trigger_added else ""
    drawn = [f"{file}  seed {picture.seed}" for file, picture in zip(files, made.pictures, strict=True)]
    return [f"prompt: {made.prompt}{added}", *drawn, f"{made.seconds:.2f} s on route {made.route}"]
