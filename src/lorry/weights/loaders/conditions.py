"""What else a loader stumbles over: conditions of a file that no layout tells, and whom they concern.

Each was tried with the real loader, for each family and layout that it takes; `data` says what it does then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from lorry.weights.adapter.keys import Part, Role
from lorry.weights.adapter.modules import Adapter, Module
from lorry.weights.adapter.strength import CONFIG, PEFT_FIELDS
from lorry.weights.bases.fit import Fit, Misfit


class Condition(StrEnum):
    """A condition, and the sentence that says what the file has."""

    UP_MISSING = "up-missing"  # a module without its matrix at the output
    UPS_MISSING = "ups-missing"  # no module with its matrix at the output
    DOWN_MISSING = "down-missing"  # a module without its matrix at the input
    DOWNS_MISSING = "downs-missing"  # no module with its matrix at the input
    ALPHA_MISSING = "alpha-missing"  # some modules with alpha, some without
    MAGNITUDE_MISSING = "magnitude-missing"  # some modules with DoRA's magnitudes, some without
    RANKS = "ranks"  # the two matrices of a module have different ranks
    STRANGER = "stranger"  # a module whose name is no layer's
    OUTSIDE = "outside"  # a module whose block number is beyond the model's blocks
    NARROW = "narrow"  # a module for fewer inputs than the layer has
    WIDE = "wide"  # a module for more inputs than the layer has
    OUTPUTS = "outputs"  # a module for other outputs than the layer has
    IMAGE_NONE = "image-none"  # no image attention, for a model that has it (Wan)
    IMAGE_HALF = "image-half"  # one of the two matrices of image attention (Wan)
    DIFF = "diff"  # a full difference instead of matrices
    BIAS = "bias"  # some modules with a bias at the output matrix, some without
    BIASES = "biases"  # every module with a bias at the output matrix
    NOTHING = "nothing"  # no module at all that the loader takes
    TENSOR = "tensor"  # a tensor that belongs to no adapter
    EMBEDDING = "embedding"  # bundled textual-inversion vectors
    CLIP = "clip"  # modules of a CLIP text encoder
    T5 = "t5"  # modules of the T5 text encoder
    CONFIG = "config"  # a LoraConfig in the header
    CONFIG_RANK = "config-rank"  # a LoraConfig in the header whose rank is not the tensors'
    CONFIG_UNKNOWN = "config-unknown"  # a LoraConfig in the header with a field that PEFT doesn't know
    CONFIG_JSON = "config-json"  # a LoraConfig in the header that is no JSON


class Effect(StrEnum):
    """What a loader does when it meets a condition."""

    LOADED = "loaded"  # nothing else than without it
    SKIPPED = "skipped"  # it leaves the modules concerned out, without an error
    RANDOM = "random"  # it changes the layers concerned with memory that nobody wrote
    IGNORED = "ignored"  # it changes nothing at all, without an error
    TWICE = "twice"  # it applies the strength twice
    DROPPED = "dropped"  # it does not read the strength
    BREAKS = "breaks"  # it loads, and the first picture raises
    REFUSED = "refused"  # it raises


#: What the file has, as the end of a sentence that begins with the number of modules or tensors concerned.
WORDS: dict[Condition, str] = {
    Condition.UP_MISSING: "without the matrix at the output (lora_B)",
    Condition.UPS_MISSING: "and none with the matrix at the output (lora_B)",
    Condition.DOWN_MISSING: "without the matrix at the input (lora_A)",
    Condition.DOWNS_MISSING: "and none with the matrix at the input (lora_A)",
    Condition.ALPHA_MISSING: "without alpha, where others have it",
    Condition.MAGNITUDE_MISSING: "without DoRA's magnitudes, where others have them",
    Condition.RANKS: "with matrices of two ranks",
    Condition.STRANGER: "whose name is no layer's",
    Condition.OUTSIDE: "beyond the model's blocks",
    Condition.NARROW: "for fewer inputs than the layer has",
    Condition.WIDE: "for more inputs than the layer has",
    Condition.OUTPUTS: "for other outputs than the layer has",
    Condition.IMAGE_NONE: "without any for image attention, which the model has",
    Condition.IMAGE_HALF: "of image attention, without its other matrix",
    Condition.DIFF: "with a full difference",
    Condition.BIAS: "with a bias, where others have none",
    Condition.BIASES: "with a bias",
    Condition.NOTHING: "and none that it takes",
    Condition.TENSOR: "of no adapter",
    Condition.EMBEDDING: "of bundled embeddings",
    Condition.CLIP: "of a CLIP text encoder",
    Condition.T5: "of the T5 text encoder",
    Condition.CONFIG: f"in the header's {CONFIG}",
    Condition.CONFIG_RANK: f"in the header's {CONFIG}, for another rank than the tensors'",
    Condition.CONFIG_UNKNOWN: f"in the header's {CONFIG}, with fields that PEFT 0.21 doesn't know",
    Condition.CONFIG_JSON: f"in the header's {CONFIG}, which is no JSON",
}

_IMAGE = "attn2.add_k_proj"
_MATRICES = frozenset({Role.DOWN, Role.UP, Role.LOKR, Role.LOHA, Role.DORA, Role.OTHER, Role.OFT})


@dataclass(frozen=True, slots=True)
class Met:
    """A condition that a file meets: how many modules or tensors it concerns, and which modules."""

    condition: Condition
    count: int
    modules: frozenset[int] = frozenset()

    @property
    def words(self) -> str:
        """Say it: `3 modules without alpha, where others have it`."""
        if self.condition.startswith("config"):
            return f"the strength {WORDS[self.condition]}"
        thing = "tensor" if self.condition in (Condition.TENSOR, Condition.EMBEDDING) else "module"
        return f"{self.count} {thing}{'' if self.count == 1 else 's'} {WORDS[self.condition]}"


def changes(module: Module) -> bool:
    """Tell whether a module means to change a layer with matrices.

    Args:
        module: The module.
    """
    return not _MATRICES.isdisjoint(module.tensors)


def conditions(adapter: Adapter, fit: Fit, metadata: Mapping[str, str]) -> Iterator[Met]:
    """List the conditions that a file meets; the modules concerned are given by their `id`.

    Args:
        adapter: The file's modules.
        fit: How they lie on the family.
        metadata: The file's metadata.
    """
    meaning = [module for module in adapter.denoiser if changes(module)]
    yield from _halves(meaning)
    yield from _places(fit)
    yield from _image(fit)
    full = [module for module in adapter.denoiser if Role.DIFF in module.tensors]
    if full:
        yield Met(Condition.DIFF, len(full), frozenset(id(module) for module in full if not changes(module)))
    biased = [module for module in meaning if Role.BIAS in module.tensors]
    if 0 < len(biased) < len(meaning):
        plain = frozenset(id(module) for module in meaning if Role.BIAS not in module.tensors)
        yield Met(Condition.BIAS, len(biased), plain)
    else:
        yield from _met(Condition.BIASES, biased)
    for condition, part in ((Condition.CLIP, Part.CLIP), (Condition.T5, Part.T5)):
        yield from _met(condition, [module for module in adapter.modules if module.part is part])
    # diffusers' old names for text encoders are no adapter's here, and nothing objects to them there.
    odd = [tensor.name for tensor in adapter.strangers if not tensor.name.startswith("text_encoder")]
    for condition, wanted in ((Condition.TENSOR, False), (Condition.STRANGER, True)):
        count = sum(("lora" in name) is wanted for name in odd)
        if count:
            yield Met(condition, count)
    if adapter.embeddings:
        yield Met(Condition.EMBEDDING, len(adapter.embeddings))
    if CONFIG in metadata:
        yield Met(_config(metadata[CONFIG], meaning, fit.family.component), 1)


def _halves(meaning: list[Module]) -> Iterator[Met]:
    """Judge what belongs together in one module, and what all modules have in common."""
    pairs = [module for module in meaning if module.spelling]
    for role, some, none in (
        (Role.UP, Condition.UP_MISSING, Condition.UPS_MISSING),
        (Role.DOWN, Condition.DOWN_MISSING, Condition.DOWNS_MISSING),
    ):
        halves = [module for module in pairs if role not in module.tensors]
        yield from _met(none if len(halves) == len(pairs) else some, halves)
    yield from _met(Condition.RANKS, [m for m in pairs if m.paired and not m.sound])
    for condition, role in ((Condition.ALPHA_MISSING, Role.ALPHA), (Condition.MAGNITUDE_MISSING, Role.DORA)):
        having = sum(role in module.tensors for module in meaning)
        if 0 < having < len(meaning):
            yield from _met(condition, [module for module in meaning if role not in module.tensors])


def _places(fit: Fit) -> Iterator[Met]:
    yield from _met(Condition.STRANGER, [module for module in fit.strangers if changes(module)])
    yield from _met(Condition.OUTSIDE, [module for module in fit.outside if changes(module)])
    kinds: dict[Condition, list[Module]] = {}
    for misfit in fit.misfits:
        kinds.setdefault(_misfit(misfit), []).append(misfit.module)
    for condition, modules in kinds.items():
        yield from _met(condition, modules)


def _image(fit: Fit) -> Iterator[Met]:
    """Look for image attention: diffusers puts zeros there when a file has not both of its matrices."""
    if not any(template.endswith(_IMAGE) for template in fit.family.layers):
        return
    kinds: dict[str, list[tuple[int, Module]]] = {}
    blocks: set[int] = set()
    for row, members in fit.fitting:
        name = row.targets(members[0][0])[0].name
        if name.startswith("blocks."):
            blocks.update(at[0] for at, _ in members)
        if "attn2" in name:
            end = name.rpartition(".")[2]
            kinds.setdefault(end, []).extend((at[0], module) for at, module in members)
    # It counts the blocks of the file and then looks at so many from the first on.
    keys = {block for block, _ in kinds.get("to_k", ()) if block < len(blocks)}
    halves = [kinds.get(end, []) for end in ("add_k_proj", "add_v_proj")]
    if all(halves) or not keys:
        return
    lost = [module for half in halves for block, module in half if block in keys]
    yield Met(Condition.IMAGE_NONE, len(keys))
    yield from _met(Condition.IMAGE_HALF, lost)


def _misfit(misfit: Misfit) -> Condition:
    inputs, outputs = misfit.module.size
    # Other outputs are worse than other inputs: no loader widens a layer at its output.
    if inputs is None or inputs == misfit.row.inputs or outputs not in (None, misfit.row.outputs):
        return Condition.OUTPUTS
    return Condition.NARROW if inputs < misfit.row.inputs else Condition.WIDE


def _met(condition: Condition, modules: list[Module]) -> Iterator[Met]:
    if modules:
        yield Met(condition, len(modules), frozenset(map(id, modules)))


def _config(text: str, meaning: list[Module], component: str) -> Condition:
    """Judge the LoraConfig in the header as far as it keeps a file from loading."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return Condition.CONFIG_JSON
    if not isinstance(fields, dict):
        return Condition.CONFIG_JSON
    start = f"{component}."
    own = {name.removeprefix(start): value for name, value in fields.items() if name.startswith(start)}
    if not own.keys() <= PEFT_FIELDS:
        return Condition.CONFIG_UNKNOWN
    patterned = own.get("rank_pattern") or {}
    ranks = {module.rank for module in meaning if module.rank}
    return Condition.CONFIG if patterned or ranks <= {own.get("r", 8)} else Condition.CONFIG_RANK
