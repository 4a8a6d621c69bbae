"""Write the captions: what each training picture shows, in words a person would type."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from glyphs import Concept

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 48, 49),
    "orange": (240, 147, 43),
    "yellow": (249, 215, 72),
    "green": (67, 160, 71),
    "light green": (183, 228, 160),
    "blue": (41, 98, 214),
    "light blue": (170, 214, 245),
    "purple": (126, 60, 180),
    "pink": (247, 168, 200),
    "gray": (160, 160, 165),
    "black": (25, 25, 28),
    "brown": (121, 80, 50),
}
TINTS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black")

# Share of the training batches. Plain things come most often: a picture nobody recognises has no use
# for a background.
SHARES = {"plain": 0.55, "background": 0.20, "tint": 0.13, "pair": 0.12}
PARTNERS = 12  # "X and Y" captions begun by each concept


@dataclass(frozen=True, slots=True)
class Caption:
    """One caption and the recipe of its picture; colours are keys of COLOURS."""

    text: str
    kind: str
    concept: int
    background: str | None = None
    tint: str | None = None
    partner: int | None = None


def write_captions(concepts: list[Concept], seed: int) -> list[Caption]:
    """Write every caption of the training set, in a fixed order for a seed."""
    rng = random.Random(seed)
    heads = Counter(
        word for concept in concepts for word in {concept.name, *concept.aliases, *concept.keywords}
    )
    captions: list[Caption] = []
    for index, concept in enumerate(concepts):
        captions += _plain(rng, index, concept, heads)
        captions += _background(rng, index, concept)
        captions += _tint(rng, index, concept)
        captions += _pair(rng, index, concepts)
    return captions


def with_article(name: str) -> str:
    """Put "a" or "an" before a name; plurals and stuffs stay bare."""
    if name.endswith(("s", "bread", "rice", "ice", "milk", "meat", "corn", "dna")) and not name.endswith(
        "ss"
    ):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _plain(rng: random.Random, index: int, concept: Concept, heads: Counter[str]) -> list[Caption]:
    name = concept.name
    texts = [name, with_article(name), f"{name} on a white background"]
    for alias in concept.aliases:
        texts += [alias, with_article(alias)]
    # A keyword stands alone only where it means this concept and no other.
    own = [word for word in concept.keywords if heads[word] == 1 and 3 < len(word) < 20]
    texts += rng.sample(own, min(2, len(own)))
    if concept.keywords:
        texts.append(", ".join([name, *rng.sample(concept.keywords, min(2, len(concept.keywords)))]))
    return [Caption(text, "plain", index) for text in dict.fromkeys(texts)]


def _spoken(rng: random.Random, concept: Concept) -> str:
    name = rng.choice([concept.name, *concept.aliases])
    return with_article(name) if rng.random() < 0.4 else name


def _background(rng: random.Random, index: int, concept: Concept) -> list[Caption]:
    return [
        Caption(f"{_spoken(rng, concept)} on a {colour} background", "background", index, background=colour)
        for colour in COLOURS
    ]


def _tint(rng: random.Random, index: int, concept: Concept) -> list[Caption]:
    captions = []
    for tint in TINTS:
        name = rng.choice([concept.name, *concept.aliases])
        text = f"{tint} {name}" if rng.random() < 0.6 else with_article(f"{tint} {name}")
        captions.append(Caption(text, "tint", index, tint=tint))
    for tint in rng.sample(TINTS, 3):
        colour = rng.choice([colour for colour in COLOURS if colour != tint])
        text = f"{tint} {concept.name} on a {colour} background"
        captions.append(Caption(text, "tint", index, background=colour, tint=tint))
    return captions


def _pair(rng: random.Random, index: int, concepts: list[Concept]) -> list[Caption]:
    captions = []
    for partner in rng.sample([other for other in range(len(concepts)) if other != index], PARTNERS):
        text = f"{_spoken(rng, concepts[index])} and {_spoken(rng, concepts[partner])}"
        colour = rng.choice(list(COLOURS)) if rng.random() < 0.25 else None
        if colour:
            text += f" on a {colour} background"
        captions.append(Caption(text, "pair", index, background=colour, partner=partner))
    return captions
