"""Draw contact sheets of a packaged base model: every concept, and free prompts.

python tools/base_model/sheet.py --base src/lorry/engine/base_model --out src/lorry/engine/base_model
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from glyphs import CONCEPTS
from PIL import Image, ImageDraw

from lorry.engine.renderers import RenderRequest
from lorry.engine.renderers.base import FOLDER
from lorry.engine.renderers.onnx import OnnxRenderer

Picture = npt.NDArray[np.uint8]

FREE_PROMPTS = (
    "a puppy",
    "a kitty",
    "a coffee",
    "a race car",
    "a present",
    "a bike",
    "a fox on a purple background",
    "a rocket on a light blue background",
    "a sunflower on a black background",
    "a penguin on a pink background",
    "an octopus on a yellow background",
    "a castle on a green background",
    "a blue banana",
    "a green elephant",
    "a purple car",
    "a pink guitar",
    "a red umbrella",
    "a yellow whale on a blue background",
    "a dog and a cat",
    "a pizza and a beer",
    "a lion and a balloon",
    "a tree and a house on a light blue background",
    "a book and a pencil",
    "an apple and a banana",
)


def concept_names() -> list[str]:
    """List the names in concepts.txt, in order."""
    lines = (line.partition(":")[0].strip() for line in CONCEPTS.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def contact_sheet(
    pictures: list[Picture], labels: list[str] | None, columns: int, cell: int, note: int = 0
) -> Image.Image:
    """Lay pictures out in rows.

    Args:
        pictures: uint8 [64, 64, 3] each.
        labels: one per picture, printed above it; None for none.
        columns: pictures in a row.
        cell: side of a picture on the sheet, in px.
        note: height of the label line in px.
    """
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * cell, rows * (cell + note)), "white")
    pen = ImageDraw.Draw(sheet)
    for index, picture in enumerate(pictures):
        left, top = index % columns * cell, index // columns * (cell + note)
        tile = Image.fromarray(picture).resize((cell, cell), Image.Resampling.BICUBIC)
        sheet.paste(tile, (left, top + note))
        if labels and note:
            for line, words in enumerate(_wrapped(labels[index], cell // 6)):
                pen.text((left + 3, top + 2 + 12 * line), words, fill=(70, 70, 70))
    return sheet


def save_small(sheet: Image.Image, path: Path) -> None:
    """Save a PNG with a palette of 256 colours: a third of the size, no difference to the eye."""
    palette = sheet.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette.save(path, optimize=True)


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:2]


def main() -> None:
    """Draw both sheets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--base", type=Path, default=FOLDER)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--free-only", action="store_true", help="leave out the sheet of all concepts")
    options = parser.parse_args()
    renderer = OnnxRenderer(options.threads, options.base)
    names = concept_names()
    if not options.free_only:
        pictures = renderer.render([RenderRequest(name, seed) for seed, name in enumerate(names)])
        save_small(contact_sheet(pictures, None, 24, 64), options.out / "concepts.png")
    pictures = renderer.render([RenderRequest(prompt, seed) for seed, prompt in enumerate(FREE_PROMPTS)])
    contact_sheet(pictures, list(FREE_PROMPTS), 6, 144, 28).save(options.out / "samples.png", optimize=True)


if __name__ == "__main__":
    main()
