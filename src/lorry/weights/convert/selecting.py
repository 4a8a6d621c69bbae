"""Tell which modules of a source can be converted, and note what forbids it: everything at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from lorry.errors import ConversionRefused
from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Module
from lorry.weights.catalogue import counted, some
from lorry.weights.convert.numbers import DECODED
from lorry.weights.convert.options import Layout
from lorry.weights.convert.reading import Given
from lorry.weights.convert.strengths import Said

_RETRAIN = "Train a plain LoRA, or merge it into its base model."
_SAVE = "Save the weights again from the trainer."
_ALPHA = "Say what alpha was in training with `--alpha N`."
_FORBIDDEN = (
    ("dora", "of DoRA, whose magnitudes can't be folded without the base model's weights", _RETRAIN),
    ("bias", "with biases (a control LoRA)", _RETRAIN),
    ("other", "of another kind (OFT, GLoRA, IA3, norms)", _RETRAIN),
    ("torn", "with matrices that can't be multiplied", _SAVE),
    ("dtype", "with a data type that can't be decoded", "Save the weights again as bfloat16."),
)
_KINDS = ((Role.DORA, "dora"), (Role.BIAS, "bias"), (Role.OFT, "other"), (Role.OTHER, "other"))
#: Layouts whose loaders read LoRAs and nothing beside them (dossier, section 1.4); others read more.
_LORA_ONLY = frozenset({Layout.DIFFUSERS, Layout.PEFT})
_PRODUCTS = frozenset({Role.LOKR, Role.LOHA})


@dataclass(slots=True)
class Notes:
    """What is noted while a conversion is planned: what happens, and what keeps it from being made.

    Attributes:
        lossy: Whether something may get lost.
        steps: What happens, in words.
        doubts: What forbids the conversion, each with what to do about it.
        questions: What only the user knows: strengths that nothing states.
        losses: Those of them that `--lossy` allows.
    """

    lossy: bool = False
    steps: list[str] = field(default_factory=list)
    doubts: list[tuple[str, str]] = field(default_factory=list)
    questions: list[tuple[str, str]] = field(default_factory=list)
    losses: list[tuple[str, str]] = field(default_factory=list)

    def refuse(self, sentence: str, fix: str) -> None:
        """Note what forbids the conversion."""
        self.doubts.append((sentence, fix))

    def lose(self, what: str, fix: str = "Allow it with `--lossy`.") -> None:
        """Note what would get lost: a step where that is allowed, else what forbids the conversion."""
        if self.lossy:
            self.steps.append(what)
        else:
            self.losses.append((f"{what}: something would be lost.", fix))

    def settle(self) -> None:
        """Refuse when anything forbids the conversion.

        Raises:
            ConversionRefused: With every reason.
        """
        reasons = [*self.doubts, *self.questions, *self.losses]
        if reasons:
            message, fix = reasons[0]
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            said = [sentence for sentence, _ in reasons]
            raise ConversionRefused(message + more, fix=fix, evidence={"reasons": said})


def usable(given: Given, layout: Layout, notes: Notes) -> list[Module]:
    """Give the modules that can be converted.

    Args:
        given: The source.
        layout: The layout to write.
        notes: Takes what is left out, and what forbids the conversion.
    """
    kinds: dict[str, list[Module]] = {}
    for module in given.modules:
        kinds.setdefault(_kind(module), []).append(module)
    for kind, words, fix in _FORBIDDEN:
        if kinds.get(kind):
            names = some([module.name for module in kinds[kind]], 2)
            notes.refuse(f"{counted(len(kinds[kind]), 'module')} {words}: {names}.", fix)
    full = [module.name for module in kinds.get("diff", [])]
    embeddings = [tensor.name for tensor in given.adapter.embeddings]
    if layout in _LORA_ONLY:
        if full:
            layers = counted(len(full), "layer")
            notes.steps.append(f"full differences of {layers} left out: {layout} never reads them")
        if embeddings:
            tensors = counted(len(embeddings), "tensor")
            notes.steps.append(f"{tensors} of embeddings left out: {layout} never reads them")
    else:
        leave("layer", "with full differences", full, notes)
        leave("tensor", "of embeddings", embeddings, notes)
    leave("module", "without both matrices", [module.name for module in kinds.get("alone", [])], notes)
    adapter = given.text.adapter if given.text is not None else given.adapter
    leave("tensor", "of no adapter", [tensor.name for tensor in adapter.strangers], notes)
    _judge_strength(given, kinds.get("good", []), notes)
    return kinds.get("good", [])


def leave(thing: str, words: str, names: Sequence[str], notes: Notes) -> None:
    """Leave something out that a loader might have used: only when losing something is allowed.

    Args:
        thing: What it is.
        words: Which ones.
        names: Their names; nothing is noted for none.
        notes: Takes it.
    """
    if names:
        notes.lose(f"{counted(len(names), thing)} {words} left out: {some(list(names))}")


def _judge_strength(given: Given, modules: Sequence[Module], notes: Notes) -> None:
    found = [(module, given.stated.of(module)) for module in modules]
    unsaid = [module.name for module, strength in found if strength.said is Said.NOBODY]
    if unsaid and given.stated.header_broken:
        question = "The header's lora_adapter_metadata states the strength and can't be read."
        notes.questions.append((question, _ALPHA))
    elif unsaid and given.text is not None:
        question = f"Nothing states alpha, so the strength of {some(unsaid, 2)} is unknown."
        notes.questions.append((question, _ALPHA))
    bad = [(m.name, s.scale) for m, s in found if s.scale == 0 or not math.isfinite(s.scale)]
    if bad:
        name, scale = bad[0]
        notes.refuse(f"The strength of {counted(len(bad), 'module')} is none: {name} has {scale:g}.", _SAVE)


def _kind(module: Module) -> str:
    roles = set(module.tensors)
    for role, name in _KINDS:
        if role in roles:
            return name
    if not roles & {*_PRODUCTS, Role.UP, Role.DOWN}:
        return "diff" if Role.DIFF in roles else "alone"
    tensors = [t for role, found in module.tensors.items() if role is not Role.ALPHA for t in found]
    if any(tensor.dtype not in DECODED for tensor in tensors):
        return "dtype"
    if any(0 in tensor.shape for tensor in tensors):
        return "torn"
    if roles & _PRODUCTS:
        return "torn" if None in module.size else "good"
    if not module.paired:
        return "alone"
    return "good" if module.sound else "torn"
