"""Tell a full checkpoint by its tensors: which family's layers lie in it as whole weights.

The families' tables are those for adapters; a weight `<layer>.weight` of a layer's size is that layer.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from lorry.weights.adapter.keys import pattern
from lorry.weights.adapter.text import plain_name
from lorry.weights.bases.families import Family, families
from lorry.weights.bases.names import rows
from lorry.weights.files.header import Header, Tensor

#: What stands before the names of a denoiser's weights; the first two are those of original files.
PREFIXES = ("model.diffusion_model.", "diffusion_model.", "transformer.", "unet.")
#: Below this share of a family's layers a file is no checkpoint of it: a control net or a part has fewer.
ENOUGH = 0.6
#: Whole weights from which on a file is taken for a model of a family that is not known.
MANY = 20

_Places = dict[tuple[str, int, int], set[tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class WholeModel:
    """What a file of whole weights is.

    Attributes:
        family: Whose layers they are; `None` when no family's.
        coverage: The share of the family's layers that are there, from 0 to 1.
        weights: How many whole weights there are.
        prefix: What stands before the layers' names.
    """

    family: Family | None
    coverage: float
    weights: int
    prefix: str = ""

    def __str__(self) -> str:
        """Write `a full checkpoint of FLUX.1 (100% of its layers)`."""
        if self.family is None:
            return f"a full checkpoint of {self.weights:,} weights, of no family that is known"
        return f"a full checkpoint of {self.family.name} ({100 * self.coverage:.0f}% of its layers)"


def looks_like_checkpoint(header: Header) -> WholeModel | None:
    """Tell whether a file without any adapter is a full checkpoint, and of which family.

    Args:
        header: The file's header.

    Returns:
        What it is; `None` when it has few whole weights.
    """
    return recognised(header.tensors)


def recognised(tensors: Iterable[Tensor]) -> WholeModel | None:
    """Tell the family of whole weights, of one file or of all shards together.

    Args:
        tensors: The tensors.
    """
    spots, prefix, weights = _spots(tensors)
    best: tuple[float, Family] | None = None
    for known in families():
        coverage = _coverage(known, spots)
        if coverage >= ENOUGH and (best is None or coverage > best[0]):
            best = coverage, known
    if best is not None:
        return WholeModel(best[1], min(best[0], 1.0), weights, prefix)
    return WholeModel(None, 0.0, weights, prefix) if weights > MANY else None


def _spots(tensors: Iterable[Tensor]) -> tuple[_Places, str, int]:
    """Group whole weights by the words of their names and their size: some 14 groups for 500 weights."""
    spots: _Places = defaultdict(set)
    prefix, weights = "", 0
    for name, _, shape, _, _ in tensors:
        if not name.endswith(".weight") or len(shape) < 2:
            continue
        weights += 1
        start = next((start for start in PREFIXES if name.startswith(start)), "")
        prefix = prefix or start
        layer = name[len(start) : -len(".weight")]
        if layer.startswith("language_model."):  # how the Hub's files of models that see are spelled
            layer, _, _ = plain_name(layer)
        words, numbers = pattern(layer, False)
        inputs, outputs = (shape[0], shape[1]) if layer.endswith("embed_tokens") else (shape[1], shape[0])
        spots[words, inputs, outputs].add(numbers)
    return spots, prefix, weights


def _coverage(known: Family, spots: _Places) -> float:
    covered = sum(_covered(known, spots))
    return covered / _layers(known.key) if covered else 0.0


@cache
def _layers(key: str) -> int:
    """Count a family's layers."""
    each = (row for found in rows(key, False).values() for row in found if not row.native)
    return sum(math.prod(high - low + 1 for low, high in row.ranges) for row in each)


def _covered(known: Family, spots: _Places) -> Iterator[int]:
    table = rows(known.key, False)
    for (words, inputs, outputs), places in spots.items():
        for row in table.get(words, ()):
            if (row.inputs, row.outputs) == (inputs, outputs):
                yield row.covers * sum(row.has(numbers) for numbers in places)
