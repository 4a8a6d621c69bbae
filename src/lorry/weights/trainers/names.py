"""What the path of a weights file says: step, epoch, half of a pair, shard, and its place.

Sources of the spellings: LoRA formats dossier, section 4 (read in the trainers' own code); OneTrainer's
`<time>-save-<step>-<epoch>-<step of the epoch>`: Nerogar/OneTrainer, TrainProgress.py, looked at 2026-11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

_SUFFIX = ".safetensors"
#: Folders and files that hold no adapter; diffusers too leaves out the first two (dossier, section 1.4).
_WORDS = ("optimizer", "scheduler", "random_states", "_cache")
_CACHE = re.compile(r"(?:^|[-_.])caches?(?:[-_.]|$)")
_INDEX = re.compile(r"^(.*)\.safetensors\.index(?:\.\w{1,16})?\.json$", re.IGNORECASE | re.DOTALL)
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
_NOISE = re.compile(r"[-_. ]?(high|low)[-_. ]?noise", re.IGNORECASE)
_HALF = re.compile(r"[-_. ](high|low)(?![A-Za-z0-9])|(?<![A-Za-z0-9])(high|low)[-_. /]", re.IGNORECASE)
_WAN = re.compile(r"(?<![a-z])wan", re.IGNORECASE)
_TIMED = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-(?:save|backup)-(\d{1,9})-(\d{1,9})-\d{1,9}$")
_STEP = re.compile(r"(?:[-_.](?:global)?[-_]?steps?[-_]?(\d{3,9})|_(\d{9})|_(0\d{5}))$", re.IGNORECASE)
_EPOCH = re.compile(r"(?:[-_.](?:epoch|ep)[-_]?(\d{1,6})|-(0\d{5}))$", re.IGNORECASE)
_STEP_FOLDER = re.compile(r"^(?:checkpoint|(?:global[-_]?)?step)[-_]?(\d{1,9})$", re.IGNORECASE)
_EPOCH_FOLDER = re.compile(r"^epoch[-_]?(\d{1,9})$", re.IGNORECASE)
_TIME = "#"  # stands for the time in OneTrainer's names
_SAVES = frozenset({"checkpoint", "checkpoints", "save", "backup"})
#: Kohya's names when no output name is given: the final file, and its steps.
_UNNAMED = frozenset({"last", "epoch", "at"})


class Place(IntEnum):
    """How far a file is from being the result, by the folder it lies in."""

    RESULT = 0  # where a trainer writes what it hands over
    SAVED = 1  # a save during the training: checkpoint-500/, checkpoints/, save/, backup/
    AVERAGE = 2  # ema/: the running average, a second opinion on the same training


@dataclass(frozen=True, slots=True)
class Named:
    """What a path says.

    Attributes:
        path: The path itself; of a sharded file, the path of its index.
        series: The path without step, epoch and half: equal for the steps of one training.
        place: How far it is from being the result.
        step: The training step.
        epoch: The epoch.
        noise: `high` or `low`, for the halves of a Wan 2.2 pair.
        shard: Whether it is one of several shards that no index joins.
    """

    path: str
    series: str
    place: Place = Place.RESULT
    step: int | None = None
    epoch: int | None = None
    noise: str | None = None
    shard: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def depth(self) -> int:
        """The number of folders above it; a save and a backup of one training lie equally deep."""
        return self.series.count("/")

    @property
    def numbered(self) -> bool:
        """Whether it is one of several steps by its name."""
        return self.step is not None or self.epoch is not None

    @property
    def moment(self) -> str:
        """Write `step 500`, `epoch 4`, or nothing."""
        if self.step is not None:
            return f"step {self.step:,}"
        return f"epoch {self.epoch:,}" if self.epoch is not None else ""


def index_of(path: str) -> str | None:
    """Give the path, without ending, of the weights that an index joins; None for what is no index.

    Args:
        path: A path in a listing.
    """
    found = _INDEX.match(path) if path.endswith(".json") else None
    return found[1] if found else None


def shard_of(path: str) -> str | None:
    """Give the path, without number and ending, of the weights that a shard belongs to.

    Args:
        path: A path in a listing.
    """
    stem = _stem(path)
    found = _SHARD.search(stem) if stem is not None else None
    return stem[: found.start()] if stem is not None and found else None


def left_out(path: str) -> bool:
    """Tell whether a path can't be the adapter: hidden, a trainer's state, a cache, an optimizer.

    Args:
        path: A path in a listing.
    """
    *folders, name = path.lower().split("/")
    if name.startswith(".") or any(word in name for word in _WORDS):
        return True
    return any(
        folder.startswith((".", "__macosx", "optimizer"))
        or folder.endswith("-state")
        or _CACHE.search(folder)
        for folder in folders
    )


def named(path: str, around: str = "") -> Named | None:
    """Read what a path says; None for what is no weights file.

    Args:
        path: A path in a listing.
        around: What the listing is called; halves named only `high` and `low` count beside the word Wan.
    """
    stem = index_of(path)
    shard = False
    if stem is None:
        joined = shard_of(path)
        shard = joined is not None
        stem = joined if joined is not None else _stem(path)
    if stem is None:
        return None
    noise, stem = _half(stem, weak=bool(_WAN.search(path) or _WAN.search(around)))
    *folders, name = stem.split("/")
    place, step, epoch, kept = _folders(folders)
    timed = _TIMED.search(name)
    if timed:
        step, epoch, name = int(timed[1]), int(timed[2]), _TIME
    elif not kept or kept[-1] != _TIME:
        name, step, epoch = _numbers(name, step, epoch)
    else:
        kept.pop()
        name = _TIME
    return Named(path, "/".join([*kept, name]), place, step, epoch, noise, shard)


def home_of(path: str) -> str:
    """Give the folder of the training that a file belongs to: above its steps, saves, averages and halves.

    Args:
        path: A path in a listing.
    """
    folders = path.split("/")[:-1]
    if any(_TIMED.search(folder) for folder in folders):
        first = next(place for place, folder in enumerate(folders) if _TIMED.search(folder))
        folders = folders[:first]
    while folders and (_folders(folders[-1:])[0] is not Place.RESULT or _NOISE.fullmatch(folders[-1])):
        folders.pop()
    return "/".join(folders)


def says_noise(path: str) -> bool:
    """Tell whether a path has the words `high noise` or `low noise`; `high` alone may mean anything.

    Args:
        path: A path in a listing.
    """
    return _NOISE.search(path) is not None


def _stem(path: str) -> str | None:
    return (
        path[: -len(_SUFFIX)] if path.lower().endswith(_SUFFIX) and not path.endswith("/" + _SUFFIX) else None
    )


def _half(stem: str, *, weak: bool) -> tuple[str | None, str]:
    found = _NOISE.search(stem) or (_HALF.search(stem) if weak else None)
    if found is None:
        return None, stem
    half = next(word for word in found.groups() if word)
    # a half may be a folder (high_noise/lora): the word goes, the folder stays as a place
    gone = found.end() - (1 if stem[found.start() : found.end()].endswith("/") else 0)
    return half.lower(), stem[: found.start()] + stem[gone:]


def _folders(folders: list[str]) -> tuple[Place, int | None, int | None, list[str]]:
    """Read the folders above: the place, the step and the epoch they name, and what is left of them."""
    place, step, epoch, kept = Place.RESULT, None, None, list[str]()
    for folder in folders:
        timed, stepped, aged = _TIMED.search(folder), _STEP_FOLDER.match(folder), _EPOCH_FOLDER.match(folder)
        if timed:  # OneTrainer's backup/<time>…/lora/lora is of one series with its save/<time>…
            return Place.SAVED, int(timed[1]), int(timed[2]), [*kept[:-1], "save", _TIME]
        if stepped:
            place, step, folder = max(place, Place.SAVED), int(stepped[1]), "checkpoint-#"
        elif aged:
            place, epoch, folder = max(place, Place.SAVED), int(aged[1]), "epoch-#"
        elif folder.lower() in _SAVES:
            place = max(place, Place.SAVED)
        elif folder.lower() == "ema":
            place = Place.AVERAGE
        kept.append(folder)
    return place, step, epoch, kept


def _numbers(name: str, step: int | None, epoch: int | None) -> tuple[str, int | None, int | None]:
    if (found := _STEP.search(name)) is not None:
        step = int(next(digits for digits in found.groups() if digits))
    elif (found := _EPOCH.search(name)) is not None:
        epoch = int(next(digits for digits in found.groups() if digits))
    bare = name[: found.start()] if found else name
    unnamed = bare.lower() in _UNNAMED and (found is not None or bare.lower() == "last")
    return "last" if unnamed else bare, step, epoch
