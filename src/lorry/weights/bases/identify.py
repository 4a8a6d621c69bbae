"""Tell from its layers which base model an adapter was trained for, and keep every candidate's reason.

Names and shapes decide, never a label: blocks counted and widths compared as in LoRA formats dossier 1.3.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lorry.weights.adapter.modules import Adapter
from lorry.weights.bases.families import Family, families
from lorry.weights.bases.fit import Fit, Misfit, fit, grouped

__all__ = ["ENOUGH", "Fit", "Identity", "Misfit", "fit_to", "identify", "noise_level"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What an adapter was trained for.

    Attributes:
        best: The family that fits; `None` when none does.
        rivals: Other families that fit as well.
        candidates: Every family's fit, best first.
    """

    best: Fit | None
    rivals: tuple[Fit, ...]
    candidates: tuple[Fit, ...]

    @property
    def confidence(self) -> float:
        """How sure the best family is, from 0 to 1: the share of modules that fit, divided by equal fits."""
        return self.best.share / (1 + len(self.rivals)) if self.best else 0.0


_NOISE = re.compile(r"(?<![a-z])(high|low)(?=(?:[-_ .]?noise)?(?![a-z]))")

#: Below this share of fitting modules a family is not what the file was trained for. Half: a file damaged
#: in some modules still has its family, a Qwen-Image file on FLUX.1's first 19 of 60 blocks has not.
ENOUGH = 0.5


def identify(adapter: Adapter, hints: Sequence[Collection[Family]] = ()) -> Identity:
    """Compare an adapter with every family.

    Args:
        adapter: The adapter.
        hints: Families that the user, the header or a neighbour names, most trusted first; they decide
            between equal fits. One name may mean several families.
    """
    groups = grouped(adapter)
    keys = [{known.key for known in hint} for hint in hints]
    fits = [fit(known, groups) for known in families()]
    top = max(each.share for each in fits)

    def hinted(each: Fit) -> int:
        return max(
            (len(keys) - place for place, names in enumerate(keys) if each.family.key in names), default=0
        )

    def merit(each: Fit) -> tuple[float, int, float, int, int]:
        coverage = each.coverage if each.share == top else 0.0  # decides between equals only
        # Of a family and another one that has more layers besides, the smaller one explains the file.
        return each.share, hinted(each), coverage, -each.unnamed, -len(each.family.layers)

    candidates = tuple(sorted(fits, key=merit, reverse=True))
    best = candidates[0]
    if best.share < ENOUGH:
        return Identity(None, (), candidates)
    trusted = hinted(best)
    rivals = tuple(e for e in candidates[1:] if e.share == best.share and hinted(e) == trusted)
    return Identity(best, rivals, candidates)


def noise_level(name: str) -> str | None:
    """Tell for which of Wan 2.2's two transformers a file is, by its name.

    Args:
        name: The file's name; ai-toolkit writes `..._high_noise.safetensors` and `..._low_noise.safetensors`.

    Returns:
        `high` or `low`; `None` when the name says neither, or both.
    """
    found = set(_NOISE.findall(name.lower()))
    return found.pop() if len(found) == 1 else None


def fit_to(adapter: Adapter, known: Family) -> Fit:
    """Compare an adapter with one family.

    Args:
        adapter: The adapter.
        known: The family.
    """
    return fit(known, grouped(adapter))
