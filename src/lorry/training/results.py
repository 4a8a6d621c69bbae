"""Which of the files below a folder are results of trainings: pure, from their paths alone.

Sources: LoRA formats dossier, section 4 ("A watcher must tell …"). How a path is read, and which file of one
training is meant, is the business of `lorry.weights.trainers`, which `lorry check` goes by too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lorry.model.report import Finding
from lorry.weights.files.listing import MemoryListing
from lorry.weights.trainers.choice import Choice, choose
from lorry.weights.trainers.names import Place, home_of, left_out, named

#: Names that say nothing about what was trained; the folder's name does.
_NAMELESS = frozenset(
    {
        "adapter",
        "adapter_model",
        "diffusion_pytorch_model",
        "last",
        "lora",
        "lora_weights",
        "model",
        "pytorch_lora_weights",
        "#",  # OneTrainer's saves are named by their time alone
    }
)
_PIPELINE = "model_index.json"


@dataclass(frozen=True, slots=True)
class Result:
    """What one training left.

    Attributes:
        key: Which training: the same for each of its steps, and for its end.
        path: What to ship: a file, or the folder of a whole pipeline; from the watched folder on, with `/`.
        home: The folder of the training.
        name: What it may be called; to be made a model's name.
        final: Whether its name says that it is the end of the training; a numbered step may be that too.
        files: The weights files that belong to it.
        lacks: What is not there yet: the other half of a pair for Wan 2.2.
    """

    key: str
    path: str
    home: str
    name: str
    final: bool
    files: tuple[str, ...]
    lacks: str | None = None


def results(paths: Iterable[str], around: str) -> tuple[Result, ...]:
    """Find the result of each training.

    Several trainings may write into one folder; those that differ by more than a step are told apart.

    Args:
        paths: Files below the watched folder, from there on, with `/`.
        around: What the watched folder is called.
    """
    given = sorted(path for path in paths if not left_out(path))
    pipelines = {path.removesuffix(_PIPELINE).rstrip("/") for path in given if path.endswith(_PIPELINE)}
    homes: dict[str, list[str]] = defaultdict(list)
    found: dict[str, list[str]] = defaultdict(list)
    for path in given:
        if named(path) is None:
            continue
        whole = _pipeline_of(path, pipelines)
        if whole is None:
            homes[home_of(path)].append(path)
        else:
            found[whole].append(path)
    told = [
        Result(home or ".", home or ".", home, _last(home) or around, True, tuple(files))
        for home, files in found.items()
    ]
    for home, files in homes.items():
        told += _of_home(home, files, around)
    return tuple(sorted(told, key=lambda each: each.path))


def _of_home(home: str, files: list[str], around: str) -> list[Result]:
    """Give the result that lies in a folder; one of each series where several do."""
    chosen = _choose(home, files, around)
    if not isinstance(chosen, Finding):
        return [_result(chosen, home, files, around)]
    if chosen.code != "NAME_MULTIPLE":
        return []
    series: dict[str, list[str]] = defaultdict(list)
    for path in files:
        read = named(path, around)
        if read is not None:
            series[read.series.rpartition("/")[2]].append(path)
    several = [(_choose(home, each, around), each) for each in series.values()]
    return [_result(one, home, each, around) for one, each in several if not isinstance(one, Finding)]


def _choose(home: str, files: Sequence[str], around: str) -> Choice | Finding:
    skipped = len(home) + 1 if home else 0
    listing = MemoryListing(_last(home) or around, {path[skipped:]: b"" for path in files})
    return choose(listing)


def _result(chosen: Choice, home: str, files: Sequence[str], around: str) -> Result:
    path = f"{home}/{chosen.path}" if home else chosen.path
    read = named(path, around)
    final = read is not None and read.place is Place.RESULT and not read.numbered
    series = _last(read.series) if read is not None else ""
    name = (_last(home) or around) if not series or series.lower() in _NAMELESS else series
    key = "/".join(part for part in (home, series.replace("#", "")) if part) or path
    half = read.noise if read is not None and chosen.partner is None else None
    lacks = f"the {'low' if half == 'high' else 'high'}-noise half of the pair" if half else None
    return Result(key, path, home, name, final, tuple(files), lacks)


def _pipeline_of(path: str, pipelines: set[str]) -> str | None:
    folder = path.rpartition("/")[0]
    while True:
        if folder in pipelines:
            return folder
        if not folder:
            return None
        folder = folder.rpartition("/")[0]


def _last(path: str) -> str:
    return path.rpartition("/")[2]
