"""Measure a packaged base model: is the picture of a prompt nearest to the icon that was asked for?

    python tools/base_model/evaluate.py --base src/lorry/engine/base_model

Nearest in RGB at 16x16 px among all concepts, so chance is 1 in 438. It measures recall of what was
trained, not generalisation. Backgrounds, tints and pairs are drawn from captions of another seed than
the training's; their pictures are held against the same recipe applied to every concept (of a pair, to the
left one). "paper" is the share of pictures whose corners have the background colour that was asked for.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from captions import COLOURS, Caption, write_captions
from dataset import Composer
from glyphs import read_concepts, render_all

from lorry.engine.renderers import RenderRequest
from lorry.engine.renderers.base import FOLDER
from lorry.engine.renderers.onnx import OnnxRenderer

Floats = npt.NDArray[np.float32]
FRESH_SEED = 12345


def small(pictures: Floats) -> Floats:
    """Shrink [n, 3, 64, 64] to feature rows [n, 768] by averaging 4x4 px."""
    return pictures.reshape(len(pictures), 3, 16, 4, 16, 4).mean((3, 5)).reshape(len(pictures), -1)


def rank_of(picture: Floats, candidates: Floats, wanted: int) -> int:
    """Return how many candidates are nearer to the picture than the wanted one is."""
    distances = ((candidates - picture) ** 2).sum(1)
    return int((distances < distances[wanted]).sum())


def rivals(composer: Composer, caption: Caption) -> Floats:
    """Draw a caption's recipe for every concept: feature rows [concepts, 768]."""
    return _rivals(composer, caption.background, caption.tint, caption.partner)


@cache
def _rivals(composer: Composer, background: str | None, tint: str | None, partner: int | None) -> Floats:
    recipes = (Caption("", "", i, background, tint, partner) for i in range(len(composer.glyphs)))
    return small(np.stack([composer.compose(recipe) for recipe in recipes]))


def score(renderer: OnnxRenderer, composer: Composer, captions: list[Caption]) -> dict[str, float]:
    """Draw the captions and return the shares where the wanted concept is first and among the first five."""
    drawn = renderer.render([RenderRequest(caption.text, seed) for seed, caption in enumerate(captions)])
    rows = small(np.stack(drawn).astype(np.float32).transpose(0, 3, 1, 2) / 255)
    ranks = [
        rank_of(row, rivals(composer, caption), caption.concept)
        for caption, row in zip(captions, rows, strict=True)
    ]
    places = np.array(ranks)
    shares = {"top1": float((places == 0).mean()), "top5": float((places < 5).mean())}
    papers = [paper_of(p) == c.background for p, c in zip(drawn, captions, strict=True) if c.background]
    return {"n": len(places), **shares} | ({"paper": sum(papers) / len(papers)} if papers else {})


def paper_of(picture: npt.NDArray[np.uint8]) -> str:
    """Name the colour nearest to the middle one of a picture's four corners; white is a colour too."""
    corners = np.stack([picture[y : y + 3, x : x + 3].mean((0, 1)) for y in (0, 61) for x in (0, 61)])
    papers = {"white": (255, 255, 255), **COLOURS}
    return min(papers, key=lambda name: float(np.abs(np.median(corners, 0) - papers[name]).sum()))


def main() -> None:
    """Print the scores as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--base", type=Path, default=FOLDER)
    parser.add_argument("--each", type=int, default=96, help="captions of each composed kind")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    concepts = read_concepts()
    composer, renderer = Composer(render_all(concepts)), OnnxRenderer(options.threads, options.base)
    plain = [Caption(concept.name, "plain", index) for index, concept in enumerate(concepts)]
    alias = [Caption(word, "plain", i) for i, concept in enumerate(concepts) for word in concept.aliases]
    kinds = {"plain": plain, "alias": alias}
    fresh = write_captions(concepts, FRESH_SEED)
    chance = np.random.default_rng(FRESH_SEED)
    for kind in ("background", "tint", "pair"):
        rows = [caption for caption in fresh if caption.kind == kind]
        kinds[kind] = [rows[i] for i in chance.choice(len(rows), options.each, replace=False)]
    for kind, captions in kinds.items():
        print(json.dumps({"kind": kind, **score(renderer, composer, captions)}), flush=True)


if __name__ == "__main__":
    main()
