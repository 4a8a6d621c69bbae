"""Spell full-shape adapters in every layout: key → shape, without any weights.

The shapes are those of the real model's layers, not of our tables, so that the tables are checked as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from lorry.weights.bases.families import Family
from lorry.weights.loaders.layouts import FLAT, PREFIXES, SUFFIXES, Layout

_RANGE = re.compile(r"\[(\d+)-(\d+)\]")

#: A tensor's name → its shape.
Shapes = dict[str, tuple[int, ...]]
#: Layers of the real model: name → weight shape (outputs, inputs, then the kernel of a convolution).
Model = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as an adapter names it.

    Attributes:
        name: Its name, with dots.
        row: The template in the family's data that it belongs to.
        shape: Outputs, inputs, and the kernel of a convolution.
        to: The layers of the diffusers model behind it: three for a fused qkv.
    """

    name: str
    row: str
    shape: tuple[int, ...]
    to: tuple[str, ...]


def expand(template: str) -> list[str]:
    """List the names that a template such as `blocks.[0-39].attn1.to_q` stands for."""
    words = _RANGE.sub("{}", template)
    spans = [range(int(low), int(high) + 1) for low, high in _RANGE.findall(template)]
    return [words.format(*numbers) for numbers in product(*spans)]


def layers(known: Family, model: Model, naming: str, *, xlabs: bool = False) -> list[Layer]:
    """List a family's layers by the names of diffusers or of the original model.

    Args:
        known: The family.
        model: Layers of the real model.
        naming: `diffusers`; or `native`: the original names, and diffusers' names where both agree.
        xlabs: Whether to list the attention processors of XLabs instead.
    """
    own = [Layer(name, row, model[name], (name,)) for row in known.layers for name in expand(row)]
    if naming == "diffusers":
        return own
    found: list[Layer] = []
    renamed: set[str] = set()
    for row, entry in known.native.items():
        if (".processor." in row) is not xlabs:
            continue
        targets = list(zip(*(expand(template) for template in entry.to), strict=True))
        for name, to in zip(expand(row), targets, strict=True):
            outputs = sum(model[target][0] for target in to)
            found.append(Layer(name, row, (outputs, *model[to[0]][1:]), tuple(to)))
            renamed.update(to)
    return found if xlabs else [*found, *(layer for layer in own if layer.name not in renamed)]


def spell(known: Family, layout: Layout, chosen: Iterable[Layer], rank: int = 1) -> Shapes:
    """Write an adapter's keys and shapes in a layout.

    Args:
        known: The family.
        layout: The layout.
        chosen: The layers that it changes.
        rank: Its rank.
    """
    made: Shapes = {}
    for layer in chosen:
        made |= spell_one(known, layout, layer, rank)
    return made


def spell_one(known: Family, layout: Layout, layer: Layer, rank: int = 1) -> Shapes:
    """Write one module's keys and shapes in a layout.

    Args:
        known: The family.
        layout: The layout.
        layer: The layer that it changes.
        rank: Its rank.
    """
    name = layer.name.replace(".", "_") if layout.prefix in FLAT else layer.name
    if layout.suffix == "_lora.down" and layout.prefix != "xlabs":
        block, _, word = name.removesuffix(".0").rpartition(".")
        name = f"{block}.processor.{word}_lora"
    stem = PREFIXES[layout.prefix][0].format(known.component) + name
    made = {stem + end: shape for end, shape in _tensors(layout.suffix, layer.shape, rank)}
    if layout.alpha:
        made[f"{stem}.alpha"] = ()
    return made


def can_have(layout: Layout, layer: Layer) -> bool:
    """Tell whether trainers write a layer so: only attention has processors, only matrices have factors."""
    if layout.suffix == "_lora.down" and layout.prefix != "xlabs":
        return bool(re.search(r"\.attn\d?\.to_(q|k|v|out\.0)$", layer.name))
    return len(layer.shape) == 2 or layout.suffix in ("lora_A", "lora_down", "lora.down", "lora_A.name")


def _tensors(suffix: str, shape: tuple[int, ...], rank: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    outputs, inputs, *kernel = shape
    if suffix == "lokr":
        (left_out, right_out), (left_in, right_in) = _factors(outputs), _factors(inputs)
        yield ".lokr_w1", (left_out, left_in)
        yield from ((".lokr_w2_a", (right_out, rank)), (".lokr_w2_b", (rank, right_in)))
    elif suffix == "loha":
        for half in ("1", "2"):
            yield f".hada_w{half}_a", (outputs, rank)
            yield f".hada_w{half}_b", (rank, inputs)
    else:
        (down, up), _ = SUFFIXES[suffix.replace("dora_A", "lora_A").replace("dora_down", "lora_down")]
        yield down, (rank, inputs, *kernel)
        yield up, (outputs, rank, *(1 for _ in kernel))
    if suffix == "dora_A":
        yield ".lora_magnitude_vector", (outputs,)
    elif suffix == "dora_down":
        yield ".dora_scale", (outputs, 1)


def _factors(size: int) -> tuple[int, int]:
    """Factor a size as LyCORIS does with factor 4, the smaller first."""
    left, right = (4, size // 4) if size % 4 == 0 else (1, size)
    return min(left, right), max(left, right)
