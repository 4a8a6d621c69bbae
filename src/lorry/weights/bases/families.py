"""Families of base models, as data: their layers, their public ids, and how loaders take each layout.

`data` has a file for each family, with the shapes of all layers that an adapter can change. The tables were
made from the diffusers classes (a test marked `reference` makes them again and compares), those of native
names from the conversions of LoRA formats dossier 1.2 and 1.3, the outcomes of layouts from its 1.4.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from lorry.model.verdict import Outcome

#: Key of the embedded base's family.
OWN_BASE = "flux-icons-64"

_RANGE = re.compile(r"\[(\d+)-(\d+)\]")


@dataclass(frozen=True, slots=True)
class Base:
    """A public base model: its id and the other names that headers call it by."""

    id: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Native:
    """What a layer of the original model is in diffusers.

    Attributes:
        to: Templates of the diffusers layers, in the order of their rows in the fused matrix.
        swap: Whether the halves of the rows, scale and shift, change places (dossier, end of 1.4).
    """

    to: tuple[str, ...]
    swap: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """Base models that share their layers.

    Attributes:
        key: Our short name (`flux1`).
        name: What people call it.
        structure: Its size in words.
        component: What diffusers calls the part that adapters change: `transformer` or `unet`.
        bases: The public models.
        aliases: Names in headers that mean the family, not one base of it.
        layouts: Outcome per layout, as `layout naming spelling alpha`, `*` for any.
        layers: Shapes by diffusers name, `[0-18]` for a range of numbers: inputs, outputs.
        native: The original names that differ, and the diffusers layers behind them. Numbers of both sides
            run together: the third of one range is the third of the other.
        model: The diffusers class and configuration that the layers come from.
        source: Where the numbers come from.
        checked: When.
    """

    key: str
    name: str
    structure: str
    component: str
    bases: tuple[Base, ...]
    aliases: tuple[str, ...]
    layouts: Mapping[str, Outcome]
    layers: Mapping[str, tuple[int, int]]
    native: Mapping[str, Native]
    model: Mapping[str, Any]
    source: str
    checked: str

    def __str__(self) -> str:
        """Write `FLUX.1 (19 + 38 blocks, width 3072)`."""
        return f"{self.name} ({self.structure})"

    def outcome(self, layout: str, naming: str, spelling: str, alpha: bool) -> Outcome:
        """Tell what a diffusers-style loader does with a layout.

        Args:
            layout: Who spells prefixes like this.
            naming: `diffusers` or `native`.
            spelling: `lora_A` or `lora_down`.
            alpha: Whether the file has alpha tensors.
        """
        choices = ((layout, "*"), (naming, "*"), (spelling, "*"), ("alpha" if alpha else "plain", "*"))
        for words in product(*choices):
            found = self.layouts.get(" ".join(words))
            if found is not None:
                return found
        return Outcome.UNKNOWN


@cache
def families() -> tuple[Family, ...]:
    """Read the families of base models that Lorry knows, our own embedded base first."""
    found = [_family(json.loads(text)) for text in _texts()]
    return tuple(sorted(found, key=lambda known: (known.key != OWN_BASE, known.key)))


def family(key: str) -> Family | None:
    """Find a family by its key, or by the id or another name of one of its base models.

    Args:
        key: `flux1`, `black-forest-labs/FLUX.1-dev`, `flux-1-dev` …; the case of letters does not matter.
    """
    return _by_name().get(key.lower())


def base_named(name: str) -> Base | None:
    """Find a base model by its id or one of its other names.

    Args:
        name: The name; the case of letters does not matter.
    """
    wanted = name.lower()
    for known in families():
        for base in known.bases:
            if wanted == base.id.lower() or wanted in base.aliases:
                return base
    return None


def layer_names(found: Family) -> Iterator[tuple[str, int, int]]:
    """List a family's layers by their diffusers names, with inputs and outputs.

    Args:
        found: The family.
    """
    for template, (inputs, outputs) in found.layers.items():
        spans = [range(int(low), int(high) + 1) for low, high in _RANGE.findall(template)]
        words = _RANGE.sub("{}", template)
        for indexes in product(*spans):
            yield words.format(*indexes), inputs, outputs


def _texts() -> Iterator[bytes]:
    """Read all files of the data, subfolders too."""
    # Plain paths: importlib.resources costs more than the reading.
    for folder, _, names in os.walk(Path(__file__).with_name("data")):
        for name in names:
            if name.endswith(".json"):
                yield Path(folder, name).read_bytes()


@cache
def _by_name() -> dict[str, Family]:
    names: dict[str, Family] = {}
    for known in families():
        for name in (
            known.key,
            *known.aliases,
            *(n for base in known.bases for n in (base.id, *base.aliases)),
        ):
            names.setdefault(name.lower(), known)
    return names


def _family(row: dict[str, Any]) -> Family:
    return Family(
        key=row["key"],
        name=row["name"],
        structure=row["structure"],
        component=row["component"],
        bases=tuple(Base(base["id"], tuple(base["aliases"])) for base in row["bases"]),
        aliases=tuple(row["aliases"]),
        layouts={layout: Outcome(word) for layout, word in row["layouts"].items()},
        layers=row["layers"],
        native={
            name: Native(tuple(layer["to"]), layer.get("swap", False))
            for name, layer in row["native"].items()
        },
        model=row["model"],
        source=row["source"],
        checked=row["checked"],
    )


def reference_table() -> str:
    """Write the table of families for docs/reference/findings.md."""
    lines = ["| family | base models | structure | layers |", "|---|---|---|---|"]
    for known in families():
        ids = "<br>".join(f"`{base.id}`" for base in known.bases)
        layers = sum(1 for _ in layer_names(known))
        lines.append(f"| `{known.key}` | {ids} | {known.structure} | {layers} |")
    return "\n".join(lines) + "\n"
