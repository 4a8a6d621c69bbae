r"""Measure a sample LoRA: how much it changes pictures with its trigger word, and how little without.

    python tools/sample_loras/measure.py examples/tok --base src/lorry/engine/base_model

Prints a Markdown table of mean absolute pixel differences (0 to 255) between the same seed with and
without the adapter, and draws sample.png: above without, below with the adapter.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from blueprint import TRIGGER
from sheet import contact_sheet
from train_lora import FILE

from lorry.engine.renderers import AdapterUse, RenderRequest
from lorry.engine.renderers.base import FOLDER
from lorry.engine.renderers.onnx import OnnxRenderer

TOK = ("TOK", "TOK on a purple background", "TOK with arms up on a green background")
TOK += ("TOK with a red hat on a green background", "TOK with a blue hat on a purple background", "small TOK")
THINGS = ("a rocket", "a castle", "an octopus", "a cat", "a pizza", "a guitar")
BLUEPRINT = (
    *(f"{thing} in {TRIGGER}" for thing in THINGS[:-2]),
    *(f"{TRIGGER}, {thing}" for thing in THINGS[-2:]),
)
PLAIN = ("a rocket", "a pizza", "a fox on a purple background", "a blue car", "a robot", "an alien")
PLAIN += (
    "a frog on a green background",
    "a dog and a cat",
    "a sailboat",
    "a top hat",
    "a house",
    "a red apple",
)
SEEDS = (1, 2)


def differences(
    renderer: OnnxRenderer, prompts: tuple[str, ...], scale: float
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Draw prompts without and with the adapter; return both and the mean difference of each prompt."""
    plain = [RenderRequest(prompt, seed) for prompt in prompts for seed in SEEDS]
    used = (AdapterUse("sample", scale),)
    adapted = [RenderRequest(prompt, seed, adapters=used) for prompt in prompts for seed in SEEDS]
    before, after = renderer.render(plain), renderer.render(adapted)
    gaps = [np.abs(x.astype(float) - y).mean() for x, y in zip(before, after, strict=True)]
    return before, after, np.array(gaps).reshape(len(prompts), -1).mean(1)


def main() -> None:
    """Print the table and draw the sample picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sample", type=Path)
    parser.add_argument("--base", type=Path, default=FOLDER)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    renderer = OnnxRenderer(options.threads, options.base)
    loaded = renderer.load("sample", options.sample / FILE)
    prompts = TOK if options.sample.name.startswith("tok") else BLUEPRINT
    print(f"modules {loaded.modules}, rank {loaded.rank}\n\n| prompt | mean difference |\n|---|---|")
    columns, sums = [], []
    for group in (prompts, PLAIN):
        before, after, gaps = differences(renderer, group, options.scale)
        sums.append(float(gaps.mean()))
        for prompt, gap in zip(group, gaps, strict=True):
            print(f"| {prompt} | {gap:.1f} |")
        columns += list(zip(before[:: len(SEEDS)], after[:: len(SEEDS)], group, strict=True))
    print(f"| **with the trigger word** | **{sums[0]:.1f}** |\n| **without it** | **{sums[1]:.1f}** |")
    shown = columns[: len(prompts)] + columns[len(prompts) : len(prompts) + 4]
    pictures = [before for before, _, _ in shown] + [after for _, after, _ in shown]
    labels = [prompt for _, _, prompt in shown] + ["with the adapter"] * len(shown)
    contact_sheet(pictures, labels, len(shown), 128, 28).save(options.sample / "sample.png", optimize=True)


if __name__ == "__main__":
    main()
