"""Families of base models, as data: their layers and their public ids.

`data` has a file for each family, with the shapes of all layers that an adapter can change. The tables were
made from the diffusers classes (`tools/families.py`; a test marked `reference` makes them again and
compares), those of native names from the conversions of LoRA formats dossier 1.2 and 1.3. Names that trainers
write into headers are those of its section 4. What loaders do with a family is in `weights/loaders/data`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

#: Key of the embedded base's family.
OWN_BASE = "flux-icons-64"

_RANGE = re.compile(r"\[(\d+)-(\d+)\]")
_SEPARATORS = str.maketrans("._ ", "---")
_Named = TypeVar("_Named")


@dataclass(frozen=True, slots=True)
class Base:
    """A public base model.

    Attributes:
        id: Its id on the Hub.
        aliases: Other names that headers call it by.
        licence: An SPDX id, or the licence's name.
        commercial: Whether it may earn money: `yes`, `no`, or `terms` for limits such as a turnover.
        takes: Inputs of layers, by template, where they are not those of the family's table.
        transformers: 2 where one model denoises first and another one after it (Wan 2.2 A14B).
    """

    id: str
    aliases: tuple[str, ...]
    licence: str = ""
    commercial: str = ""
    takes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    transformers: int = 1


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
        component: The part that adapters change: `transformer` or `unet` in diffusers, or `text_model`.
        modality: `image`, `video` or `text`.
        bases: The public models.
        aliases: Names in headers that mean the family, not one base of it; several families may share one.
        layers: Shapes by diffusers name, `[0-18]` for a range of numbers: inputs, outputs.
        native: The original names that differ, and the diffusers layers behind them. Numbers of both sides
            run together: the third of one range is the third of the other.
        model: The diffusers class and configuration that the layers come from.
        source: Where the numbers come from.
        checked: When.
        licence_source: Where the licences come from, and when.
    """

    key: str
    name: str
    structure: str
    component: str
    modality: str
    bases: tuple[Base, ...]
    aliases: tuple[str, ...]
    layers: Mapping[str, tuple[int, int]]
    native: Mapping[str, Native]
    model: Mapping[str, Any]
    source: str
    checked: str
    licence_source: str = ""

    def __str__(self) -> str:
        """Write `FLUX.1 (19 + 38 blocks, width 3072)`."""
        return f"{self.name} ({self.structure})"


@cache
def families() -> tuple[Family, ...]:
    """Read the families of base models that Lorry knows, our own embedded base first."""
    found = [_family(json.loads(text)) for text in _texts()]
    return tuple(sorted(found, key=lambda known: (known.key != OWN_BASE, known.key)))


def family(name: str) -> Family | None:
    """Find a family by its key, or by the id or another name of one of its base models.

    Args:
        name: `flux1`, `black-forest-labs/FLUX.1-dev`, `flux_1_dev` …; the case of letters does not matter,
            and points, lines and spaces are the same.

    Returns:
        The family; `None` for a name that none has, or several.
    """
    found = families_named(name)
    return found[0] if len(found) == 1 else None


def families_named(name: str) -> tuple[Family, ...]:
    """Find all families that a name may mean: `wan2.1` has three sizes.

    Args:
        name: The name, an id on the Hub, or the path of a weights file.
    """
    return _named(_by_name(), name) or ()


def base_named(name: str) -> Base | None:
    """Find a base model by its id or one of its other names.

    Args:
        name: The name; the case of letters does not matter.
    """
    return _named(_bases_by_name(), name)


def spoken_of(text: str) -> tuple[Family, ...]:
    """Find the families that a file name speaks of, those with the longest name first.

    Args:
        text: A file's name, such as `my_wan2.1_i2v_style.safetensors`.
    """
    words = f"-{plain(text)}-"
    said = sorted((name for name in _by_name() if f"-{name}-" in words), key=len, reverse=True)
    found = {known.key: known for name in said for known in _by_name()[name]}
    return tuple(found.values())


def plain(name: str) -> str:
    """Write a name in small letters, with `-` for points, lines and spaces.

    Args:
        name: The name.
    """
    return name.lower().translate(_SEPARATORS)


def names_of(base: Base) -> tuple[str, ...]:
    """List what a base model is called: its id, the last part of it, and its aliases.

    Args:
        base: The base model.
    """
    return base.id, base.id.rpartition("/")[2], *base.aliases


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


def _named(table: Mapping[str, _Named], name: str) -> _Named | None:
    """Look a name up; a copy of a known model, or its file, still has its last part."""
    found = table.get(plain(name))
    if found is None:
        tail = name.replace("\\", "/").rpartition("/")[2].removesuffix(".safetensors")
        found = table.get(plain(tail))
    return found


@cache
def _by_name() -> Mapping[str, tuple[Family, ...]]:
    names: dict[str, dict[str, Family]] = {}
    for known in families():
        said = [known.key, *known.aliases]
        said += [name for base in known.bases for name in names_of(base)]
        for name in said:
            names.setdefault(plain(name), {})[known.key] = known
    return {name: tuple(found.values()) for name, found in names.items()}


@cache
def _bases_by_name() -> Mapping[str, Base]:
    bases: dict[str, Base] = {}
    for known in families():
        for base in known.bases:
            for name in names_of(base):
                bases.setdefault(plain(name), base)
    return bases


def _base(row: dict[str, Any]) -> Base:
    commercial = row.get("commercial", "")
    return Base(
        row["id"],
        tuple(row["aliases"]),
        row.get("licence", ""),
        {True: "yes", False: "no"}.get(commercial, commercial),
        {template: tuple(inputs) for template, inputs in row.get("takes", {}).items()},
        row.get("transformers", 1),
    )


def _family(row: dict[str, Any]) -> Family:
    return Family(
        key=row["key"],
        name=row["name"],
        structure=row["structure"],
        component=row["component"],
        modality=row["modality"],
        bases=tuple(map(_base, row["bases"])),
        aliases=tuple(row["aliases"]),
        layers=row["layers"],
        native={
            name: Native(tuple(layer["to"]), layer.get("swap", False))
            for name, layer in row["native"].items()
        },
        model=row["model"],
        source=row["source"],
        checked=row["checked"],
        licence_source=row.get("licence_source", ""),
    )


def reference_table() -> str:
    """Write the table of families for docs/reference/findings.md."""
    lines = [
        "| family | for | base models | licence | commercial use | structure | layers |",
        "|---|---|---|---|---|---|---|",
    ]
    for known in families():
        ids = "<br>".join(f"`{base.id}`" for base in known.bases)
        licences = "<br>".join(dict.fromkeys(base.licence for base in known.bases))
        uses = "<br>".join(base.commercial for base in known.bases)
        if len({(base.licence, base.commercial) for base in known.bases}) > 1:
            licences = "<br>".join(base.licence for base in known.bases)  # one line for each base model
        else:
            uses = known.bases[0].commercial
        layers = sum(1 for _ in layer_names(known))
        cells = [f"`{known.key}`", known.modality, ids, licences, uses, known.structure, str(layers)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
