"""How a training went, as the trainer states it: rank, alpha, resolution, steps, and whether it ended."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lorry.weights.trainers.concepts import read_object, said
from lorry.weights.trainers.documents import Documents, dig
from lorry.weights.trainers.names import Named, Place, home_of, named

_SIZE = re.compile(r"\d{2,6}")
_MOST = 1_000_000_000  # steps; more is no number of steps


@dataclass(frozen=True, slots=True)
class Progress:
    """The steps and epochs behind a file, and how many there were to be."""

    step: int | None = None
    epoch: int | None = None
    total_steps: int | None = None
    total_epochs: int | None = None
    finished: bool | None = None


def number(value: Any) -> float | None:
    """Read a number that a document or a header states, as a number or as text.

    Args:
        value: Any value.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)[:40]) > 30:
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) and 0 <= found < _MOST else None


def stated_rank(documents: Documents) -> tuple[float | None, float | None]:
    """Give rank and alpha as the trainer states them, both from one source.

    Args:
        documents: The header's metadata and the files around the weights.
    """
    metadata, process, lycoris = documents.metadata, documents.process, documents.lycoris
    settings, adapter = documents.settings, documents.adapter
    choices = (
        (metadata.get("ss_network_dim"), metadata.get("ss_network_alpha")),
        (adapter.get("r"), adapter.get("lora_alpha")),
        (dig(process, "network", "linear"), dig(process, "network", "linear_alpha")),
        (dig(process, "network", "rank"), dig(process, "network", "alpha")),
        (lycoris.get("linear_dim"), lycoris.get("linear_alpha")),
        (dig(documents.config, "lora", "rank"), dig(documents.config, "lora", "alpha")),
        (settings.get("lora_rank"), settings.get("lora_alpha")),
    )
    for rank, alpha in choices:
        found = number(rank)
        if found:
            return found, number(alpha)
    return None, None


def stated_resolution(documents: Documents) -> str | None:
    """Give the edge of the training pictures in pixels, `WxH`, or the edges of several sizes.

    Args:
        documents: The header's metadata and the files around the weights.
    """
    metadata = documents.metadata
    folders = documents.process.get("datasets")
    edges = [dig(folder, "resolution") for folder in folders] if isinstance(folders, list) else []
    return (
        _pair(metadata.get("ss_resolution"))
        or _edges(edges)
        or _several(documents.settings.get("resolution"))
        or _pair(metadata.get("modelspec.resolution"))
    )


def progress_of(documents: Documents) -> Progress:
    """Give steps and epochs from the header, the state, and the file's name; and compare them with the plan.

    Args:
        documents: The header's metadata and the files around the weights.
    """
    metadata, state = documents.metadata, documents.state
    name = named(documents.inside, documents.listing.name)
    info = read_object(metadata.get("training_info", ""))
    step = _first(info.get("step"), metadata.get("ss_steps"), metadata.get("global_step"), name and name.step)
    epoch = _first(info.get("epoch"), metadata.get("ss_epoch"), name and name.epoch)
    if name is None or name.place is not Place.RESULT or step is None:
        step = _first(step, state.get("global_step"))
        epoch = _first(epoch, state.get("epoch"))
    total = _first(
        dig(documents.process, "train", "steps"),
        metadata.get("ss_max_train_steps"),
        dig(documents.config, "optimization", "steps"),
        state.get("max_steps"),
        documents.settings.get("max_train_steps"),
    )
    epochs = _first(
        metadata.get("ss_num_epochs"), documents.settings.get("epochs"), state.get("num_train_epochs")
    )
    return Progress(step, epoch, total, epochs, _finished(documents, (step, total), (epoch, epochs)))


def _finished(
    documents: Documents, steps: tuple[int | None, int | None], epochs: tuple[int | None, int | None]
) -> bool | None:
    """Compare with the plan; without one, the final file of a series is known by its missing number."""
    for done, planned in (steps, epochs):
        if done is not None and planned:
            return done >= planned
    this = named(documents.inside)
    if this is None:
        return None
    others = [
        other
        for path in documents.paths
        if path != documents.inside and (other := named(path)) is not None and _same(other, this)
    ]
    if this.numbered:
        return False if any(not other.numbered for other in others) else None
    return True if any(other.numbered for other in others) else None


def _same(other: Named, this: Named) -> bool:
    """Tell whether two files are of one training: one name, without numbers, above or in the saves."""
    name = this.series.rpartition("/")[2]
    return other.series.rpartition("/")[2] == name and home_of(other.path) == home_of(this.path)


def _first(*choices: Any) -> int | None:
    for choice in choices:
        found = number(choice)
        if found is not None:
            return int(found)
    return None


def _pair(value: Any) -> str | None:
    """Read one size: `1024`, `(1024, 1024)`, `1024x768`."""
    sizes = _SIZE.findall(str(said(value) or ""))[:2]
    if not sizes:
        return None
    width, height = int(sizes[0]), int(sizes[-1])
    return str(width) if width == height else f"{width}x{height}"


def _several(value: Any) -> str | None:
    """Read several edges, `512,768`, or one size, `1024x768`."""
    text = str(value)[:200] if isinstance(value, str | int) else ""
    return _pair(text) if "x" in text else _edges(_SIZE.findall(text))


def _edges(values: Iterable[Any]) -> str | None:
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    edges = sorted({int(found) for item in flat if (found := number(item)) is not None and found >= 10})
    return ", ".join(str(edge) for edge in edges[:20]) or None
