"""`lorry generate`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lorry.cli.options import Common
from lorry.model.generation import Generation, Words

#: The embedded base draws 64 × 64; this enlarges it to what a person can look at on a screen.
VIEWING_SIZE = 512


def generate(
    name: str,
    prompt: str,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    seed: int | None = None,
    steps: int | None = None,
    size: int | None = None,
    scale: float | None = None,
    count: Annotated[int, Parameter(name="--count", alias="-n")] = 1,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Generate with a model: pictures, or an answer in words, as it was trained for.

    Its trigger word is put into the prompt when it is missing.

    Args:
        name: The model's name.
        prompt: What to draw, or to answer.
        output: The picture's file, out.png when omitted; several get -1, -2 … before the extension.
        seed: Start of the noise; the same seed gives the same picture. Random when omitted, and printed.
        steps: Denoising steps (1 to 50).
        size: Edge in pixels, 512 when omitted. The embedded base draws 64 and enlarges.
        scale: Strength of the LoRA: 0 without it, 1 as trained.
        count: Number of pictures; picture i uses seed + i.
    """
    from lorry.api import Lorry
    from lorry.generation import require_writable, save

    file = output or Path("out.png")

    async def make() -> Generation:
        async with Lorry(common.settings()) as lorry:
            draws = (await lorry.show(name)).model.kind == "image-lora"
            if draws:
                require_writable(file)
            edge = size or (VIEWING_SIZE if draws else None)
            return await lorry.generate(
                name, prompt, seed=seed, steps=steps, size=edge, scale=scale, count=count
            )

    made = asyncio.run(make())
    if made.words is not None:
        common.out(_words_data(made, made.words), _words_lines(made, made.words))
        return
    files = save(made, file)
    common.out(_data(made, files), _lines(made, files))


def _words_data(made: Generation, words: Words) -> dict[str, object]:
    return {
        "model": made.model,
        "prompt": made.prompt,
        "trigger_added": made.trigger_added,
        "route": made.route,
        "seconds": round(made.seconds, 3),
        "text": words.text,
        "finish": words.finish,
        "tokens": {"prompt": words.tokens[0], "completion": words.tokens[1]},
    }


def _words_lines(made: Generation, words: Words) -> list[str]:
    cut = " (cut off at the limit of tokens)" if words.finish == "length" else ""
    return [words.text, "", f"{words.tokens[1]} tokens in {made.seconds:.2f} s on route {made.route}{cut}"]


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
