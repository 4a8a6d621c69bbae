"""Which file among those that a trainer left is the adapter, and why.

How it works: every path is read once (names.py); what can't be the adapter is left out; the place nearest to
the result decides, then the depth; of the steps of one training the final file is taken, else the last step.
Sources: LoRA formats dossier, section 4 ("A watcher must tell …").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lorry.model.report import Finding
from lorry.weights.catalogue import counted, finding, some
from lorry.weights.files.listing import Listing
from lorry.weights.trainers.names import Named, Place, index_of, left_out, named, says_noise, shard_of

#: Names of a result that come before all others, and who saves under them.
PREFERRED = {
    "pytorch_lora_weights.safetensors": "diffusers",
    "adapter_model.safetensors": "PEFT",
    "model.safetensors.index.json": "transformers",
}
_UNFINISHED = (".incomplete", ".part", ".tmp", ".crdownload")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".gguf")
_DENOISERS = ("transformer", "unet", "prior")  # the component of a pipeline that draws
_OTHER = {"high": "low", "low": "high"}
_AT_MOST = 50  # files that a finding's evidence lists


@dataclass(frozen=True, slots=True)
class Choice:
    """The file that is meant.

    Attributes:
        path: The file, as the listing spells it; of sharded weights, their index.
        why: One sentence.
        others: The other weights files that could have been meant, by path.
        partner: The other half of a Wan 2.2 pair.
    """

    path: str
    why: str
    others: tuple[str, ...] = ()
    partner: str | None = None


def choose(listing: Listing) -> Choice | Finding:
    """Choose the weights file, or say why none can be chosen.

    Args:
        listing: Everything that lies there.
    """
    candidates = _candidates(listing)
    if not candidates:
        return _missing(listing)
    place, depth = min((each.place, each.depth) for each in candidates)
    near = [each for each in candidates if (each.place, each.depth) == (place, depth)]
    near, why = _preferred(near, listing)
    pairs, near = _paired(near)
    chosen, reason = _best(near)
    if len(chosen) != 1:
        return _multiple(listing, chosen)
    [taken] = chosen
    partner = pairs.get(taken.path)
    others = tuple(each.path for each in candidates if each.path not in (taken.path, partner))
    return _choice(taken, why or reason, others, partner, listing)


def judge_pair(path: str, listing: Listing) -> Finding | None:
    """Report a half of a Wan 2.2 pair whose other half is not there.

    Args:
        path: The file that is looked at.
        listing: What lies around it.
    """
    half = named(path) if says_noise(path) else None
    if half is None or half.noise is None or partner_of(path, listing) is not None:
        return None
    message = (
        f"{half.name} is the {half.noise}-noise half of a Wan 2.2 pair, and the "
        f"{_OTHER[half.noise]}-noise half is not there."
    )
    return finding("WAN_PAIR", message, subject=half.name, half=half.noise)


def partner_of(path: str, listing: Listing) -> str | None:
    """Find the other half of a Wan 2.2 pair: the same name with high for low, of the same step.

    Args:
        path: The file that is looked at.
        listing: What lies around it.
    """
    half = named(path, listing.name)
    if half is None or half.noise is None:
        return None
    for entry in listing.entries:
        other = named(entry.path, listing.name)
        if other and other.noise == _OTHER[half.noise] and _twin(other) == _twin(half):
            return entry.path
    return None


def _candidates(listing: Listing) -> list[Named]:
    """Every file that could be meant; shards that an index joins are one."""
    joined = {stem for entry in listing.entries if (stem := index_of(entry.path)) is not None}
    loose: set[str] = set()
    found: list[Named] = []
    for entry in listing.entries:
        if not entry.name.lower().endswith((".safetensors", ".json")) or left_out(entry.path):
            continue
        stem = shard_of(entry.path)
        if stem is not None and (stem in joined or stem in loose):
            continue
        if stem is not None:
            loose.add(stem)
        each = named(entry.path, listing.name)
        if each is not None:
            found.append(each)
    return found


def _preferred(near: list[Named], listing: Listing) -> tuple[list[Named], str | None]:
    """Keep what bears a name that says it is the result, or the part of a pipeline that draws."""
    for name, saver in PREFERRED.items():
        found = [each for each in near if each.name == name]
        if found:
            why = f"{name} is the name that {saver} gives to its result."
            return found, why if len(found) == 1 and len(near) > 1 and not found[0].numbered else None
    homes = {entry.folder for entry in listing.entries if entry.name == "model_index.json"}
    for component in _DENOISERS:
        found = [each for each in near if _in_pipeline(each.path, component, homes)]
        if found and len(near) > 1:
            plain = [
                each for each in found if each.name.count(".") == 1 or each.name.count(".index.json") == 1
            ]
            return plain or found, f"It is the {component} of a whole diffusers pipeline."
    return near, None


def _in_pipeline(path: str, component: str, homes: set[str]) -> bool:
    folder = path.rpartition("/")[0]
    home, _, last = folder.rpartition("/")
    return last == component and home in homes


def _paired(near: list[Named]) -> tuple[dict[str, str], list[Named]]:
    """Let the high-noise half stand for a pair: diffusers loads it into the first of the two transformers."""
    low = {_twin(each): each.path for each in near if each.noise == "low"}
    high = {_twin(each): each.path for each in near if each.noise == "high"}
    pairs = {path: low[twin] for twin, path in high.items() if twin in low}
    gone = set(pairs.values())
    return pairs, [each for each in near if each.path not in gone]


def _twin(each: Named) -> tuple[str, int | None, int | None]:
    return each.series, each.step, each.epoch


def _best(near: list[Named]) -> tuple[list[Named], str]:
    """Choose the final file, or the last step of one training; several when nothing tells."""
    if len(near) == 1:
        only = near[0]
        return (
            near,
            f"Only {only.moment} is there." if only.numbered else "It is the only weights file there.",
        )
    final = [each for each in near if not each.numbered]
    if len(final) > 1:
        final = _originals(final)
    ends = {each.series for each in final}
    steps = [each for each in near if each.numbered and each.series not in ends]
    if len(final) == 1 and not steps:
        total = counted(len(near), "file")
        return (
            final,
            f"It is the final one of {total}: its name has no step, and the others are its steps or copies.",
        )
    last = [each for series in _by_series(steps) for each in _last(series)]
    if len(last) == 1 and not final:
        why = f"Only numbered steps are there, and {last[0].moment} is the last of {len(near):,}."
        return last, why
    return [*final, *last], ""


def _originals(final: list[Named]) -> list[Named]:
    """Leave out copies for ComfyUI: `tok_comfy` beside `tok` is the same adapter once more."""
    series = {each.series for each in final}
    return [
        each for each in final if not any(_copy(each.series, end) in series for end in ("comfy", "comfyui"))
    ]


def _copy(series: str, ending: str) -> str | None:
    lower = series.lower()
    return series[: -len(ending) - 1] if lower.endswith((f"_{ending}", f"-{ending}")) else None


def _by_series(steps: Iterable[Named]) -> list[list[Named]]:
    groups: dict[str, list[Named]] = {}
    for each in steps:
        groups.setdefault(each.series, []).append(each)
    return list(groups.values())


def _last(series: Sequence[Named]) -> list[Named]:
    """The last step; where some names count steps and some epochs, nothing compares the two."""
    stepped = [each for each in series if each.step is not None]
    aged = [each for each in series if each.step is None]
    last = [max(stepped, key=lambda each: (each.step or 0, -len(each.path)))] if stepped else []
    return last + ([max(aged, key=lambda each: each.epoch or 0)] if aged else [])


def _choice(
    taken: Named, why: str, others: tuple[str, ...], partner: str | None, listing: Listing
) -> Choice | Finding:
    if taken.shard:
        prefix = shard_of(taken.path)
        shards = sum(shard_of(entry.path) == prefix for entry in listing.entries)
        message = f"{listing.name} holds {counted(shards, 'shard')} of one checkpoint without the index."
        return finding(
            "SHARD_INDEX", message, subject=taken.name, fix="Copy the .safetensors.index.json beside them."
        )
    if index_of(taken.path) is not None:
        why = f"{why[:-1]}, and it is the index that joins the shards."
    if taken.place is Place.AVERAGE:
        why = f"{why[:-1]}, and only averaged (EMA) weights are there."
    if partner is not None:
        why = f"{why[:-1]}, and as the high-noise half it stands for its pair with {partner}."
    return Choice(taken.path, why, others, partner)


def _multiple(listing: Listing, chosen: Sequence[Named]) -> Finding:
    files = sorted(chosen, key=lambda each: each.path)
    names = [f"{each.path} ({each.moment})" if each.numbered else each.path for each in files]
    message = f"{listing.name} holds {len(files):,} .safetensors files that could be meant: {some(names)}."
    shown = files[:_AT_MOST]
    steps = {each.path: each.moment for each in shown if each.numbered}
    return finding("NAME_MULTIPLE", message, files=[each.path for each in shown], steps=steps)


def _missing(listing: Listing) -> Finding:
    """Say what is there instead, the most telling first."""
    paths = [entry.path for entry in listing.entries]
    unfinished = [path for path in paths if path.lower().endswith(_UNFINISHED)]
    telling = [path for path in paths if path.lower().endswith((".safetensors", *_PICKLES))]
    shown = list(dict.fromkeys([*unfinished, *telling, *paths]))
    there = some(shown) or "nothing"
    message = f"{listing.name} holds no .safetensors file that could be the adapter; it has {there}."
    if unfinished:
        message = f"{message[:-1]}, and {unfinished[0]} is not finished."
    return finding("FILE_MISSING", message, files=shown[:_AT_MOST])
