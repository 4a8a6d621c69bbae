"""Foretell what PEFT and vLLM do with an adapter for text, from its tensors and its adapter_config.json.

What the names lead to is in the loaders' tables; here is what the configuration adds: what it makes a loader
refuse, and the modules for which it makes no room.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

from lorry.model.verdict import Outcome, Prediction
from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Module
from lorry.weights.adapter.peft import SERVED
from lorry.weights.adapter.peft_config import FILE, PeftConfig
from lorry.weights.adapter.text import TextAdapter, Wrapping
from lorry.weights.bases.fit import Fit
from lorry.weights.catalogue import counted, some
from lorry.weights.loaders.layouts import Layout
from lorry.weights.loaders.predict import predict
from lorry.weights.loaders.tables import table

#: The largest rank that vLLM can be started for, and the one that it is started for by itself.
LARGEST_RANK, USUAL_RANK = 512, 16  # vllm/config/lora.py, MaxLoRARanks, read

#: Experts' matrices that PEFT 0.21.2 puts together, as transformers 5 holds them in one tensor (measured).
_FUSED = (("w1", "w3"), ("w2",), ("gate_proj", "up_proj"), ("down_proj",))
#: What vLLM takes besides linear layers, where the model's class names them (Llama, Qwen, Mistral, Gemma do).
_ENDS = frozenset({"embed_tokens", "lm_head"})
_DEFAULT = 8  # PEFT's rank and alpha where none is stated


def predict_text(text: TextAdapter, config: PeftConfig, fit: Fit | None, loader: str) -> Prediction:
    """Foretell what a loader does with an adapter for text.

    Args:
        text: The adapter.
        config: Its adapter_config.json.
        fit: How its plain modules lie on the family of its base; `None` when none is known.
        loader: `peft` or `vllm`.
    """
    modules = text.adapter.denoiser
    judge, has_room = _RULES[loader]
    for why in judge(text, config, fit):
        return Prediction(loader, Outcome.REFUSED, 0, len(modules), f"{loader} refuses the file: {why}.")
    there = tuple(module for module in modules if has_room(module, config))
    if modules and not there:
        return _ignored(loader, len(modules))
    found = predict(replace(text.adapter, modules=there, denoiser=there), fit, loader)
    if found.outcome is Outcome.IGNORED:
        return _ignored(loader, len(modules))
    return _with_config(replace(found, expected=len(modules)), text, config)


def predictions_of_text(text: TextAdapter, config: PeftConfig, fit: Fit | None) -> tuple[Prediction, ...]:
    """Foretell what PEFT and vLLM do.

    Args:
        text: The adapter.
        config: Its adapter_config.json.
        fit: How its plain modules lie on the family of its base; `None` when none is known.
    """
    return tuple(predict_text(text, config, fit, loader) for loader in _RULES)


def wrapping_outcome(text: TextAdapter, fit: Fit | None) -> Outcome:
    """Tell what PEFT does with the most frequent wrapping of the names.

    Args:
        text: The adapter.
        fit: How its plain modules lie on the family of its base; `None` when none is known.
    """
    if fit is None:
        return Outcome.UNKNOWN
    return Outcome.OK if _is_found(str(text.wrapping), fit) else Outcome.IGNORED


def _peft_refuses(text: TextAdapter, config: PeftConfig, fit: Fit | None) -> Iterator[str]:
    """List what makes PEFT raise, as measured with 0.21.2."""
    if config.flaw is not None:
        yield config.flaw.message.rstrip(".")
        return
    kind = config.fields.get("peft_type")
    if kind != "LORA":
        yield f"{FILE} has the peft_type {str(kind)[:40]!r}"
    if config.saved and (text.wrapping is not Wrapping.RIGHT or config.lacking(n for n, _ in text.whole)):
        yield f"modules_to_save names {some(list(config.saved))}, which it does not find in the file"
    if fit is None:
        return
    if config.targets is not None:
        words = {template.rpartition(".")[2] for template in fit.family.layers}
        if words.isdisjoint(target.rpartition(".")[2] for target in config.targets):
            yield f"no layer of {fit.family.name} is one of the target_modules"
    found = {layout: _is_found(layout, fit) for layout in {m.layout for m in text.adapter.denoiser}}
    reached = [m for m, _, _ in fit.matched if found[m.layout] and _peft_has_room(m, config)]
    torn = [m for m in reached if m.rank and m.rank != (config.rank_of(m.name) or _DEFAULT)]
    if torn:
        stated = config.rank_of(torn[0].name) or _DEFAULT
        yield f"{some([torn[0].name])} has rank {torn[0].rank}, and {FILE} says {stated}"
    yield from _halved_experts(reached, _experts_of(fit))


def _vllm_refuses(text: TextAdapter, config: PeftConfig, fit: Fit | None) -> Iterator[str]:
    """List what makes vLLM raise, as read in vllm/lora/peft_helper.py, lora_model.py and utils.py."""
    if config.flaw is not None:
        yield config.flaw.message.rstrip(".")
        return
    fields = config.fields
    missing = [name for name in ("r", "lora_alpha", "target_modules") if fields.get(name) is None]
    if missing:
        yield f"{FILE} lacks {some(missing)}"
    if config.saved:
        yield f"it does not take modules_to_save ({some(list(config.saved))})"
    if config.dora:
        yield "it does not take DoRA"
    if fields.get("bias") not in (None, "none"):
        yield "it does not take biases"
    modules = text.adapter.denoiser
    largest = max((module.rank or 0 for module in modules), default=0)
    if largest > LARGEST_RANK:
        yield f"rank {largest} is above {LARGEST_RANK}"
    odd = [m.name for m in modules if m.adapter is not None or not m.tensors.keys() <= {Role.DOWN, Role.UP}]
    odd += [tensor.name for tensor in text.adapter.strangers]
    odd += [tensor.name for _, tensor in text.whole if not tensor.name.endswith(".base_layer.weight")]
    if odd:
        number = counted(len(odd), "name")
        yield f"{number} with another end than lora_A.weight or lora_B.weight: {some(odd, 1)}"
    strange = sorted({word for m in modules if (word := m.name.rpartition(".")[2]) not in SERVED | _ENDS})
    if strange and (fit is None or fit.strangers):
        yield f"it applies no LoRA to {some(strange)}"


def _peft_has_room(module: Module, config: PeftConfig) -> bool:
    # PEFT calls the adapter `default` itself: that name in a key does no harm, and any other does.
    return config.targeted(module) and module.adapter in (None, "default")


_RULES: dict[
    str,
    tuple[
        Callable[[TextAdapter, PeftConfig, Fit | None], Iterator[str]], Callable[[Module, PeftConfig], bool]
    ],
] = {
    "peft": (_peft_refuses, _peft_has_room),
    "vllm": (_vllm_refuses, lambda module, config: True),  # noqa: ARG005 - it reads the file alone
}


def _is_found(wrapping: str, fit: Fit) -> bool:
    """Tell whether PEFT finds the layers of a family behind a wrapping."""
    tables = table("peft")
    known = tables.families.get(fit.family.key) if tables else None
    entry = known.entry(Layout(wrapping, fit.naming, "lora_A", False)) if known else None
    return entry is not None and entry.acts


def _experts_of(fit: Fit) -> int:
    """Count the experts of each block of a family."""
    spans = [row.ranges[-1] for module, row, _ in fit.matched if ".experts." in module.name]
    return spans[0][1] - spans[0][0] + 1 if spans else 0


def _halved_experts(modules: list[Module], experts: int) -> Iterator[str]:
    """Experts of a block are put together, so that each must be there when one is."""
    blocks: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for module in modules:
        block, _, rest = module.name.partition(".experts.")
        if rest and module.sound:
            blocks[block][rest.rpartition(".")[2]] += 1
    for block, words in blocks.items():
        for pair in _FUSED:
            there = [words.get(word, 0) for word in pair]
            if any(there) and set(there) != {experts}:
                yield f"{some([block])} has only some experts' {' and '.join(pair)}, which it puts together"


def _with_config(found: Prediction, text: TextAdapter, config: PeftConfig) -> Prediction:
    """Add to what the tensors lead to what the configuration changes in the strength."""
    if found.outcome is not Outcome.OK:
        return found
    if found.loader == "peft":
        vectors = sum(Role.DORA in module.tensors for module in text.adapter.denoiser)
        if vectors and not config.dora:
            said = f"peft changes {counted(found.modules, 'layer')} and drops their DoRA magnitudes."
            return replace(found, outcome=Outcome.MAGNITUDE_DROPPED, sentence=said)
        if config.alpha is None:
            said = (
                f"peft changes {counted(found.modules, 'layer')} as if alpha were {_DEFAULT}: none is stated."
            )
            return replace(found, outcome=Outcome.ALPHA_DROPPED, sentence=said)
    ranks = text.adapter.ranks
    if found.loader == "vllm" and ranks is not None and ranks.max > USUAL_RANK:
        said = f"{found.sentence.rstrip('.')} when it is started with --max-lora-rank {ranks.max} or more."
        return replace(found, sentence=said)
    return found


def _ignored(loader: str, modules: int) -> Prediction:
    said = f"{loader} ignores all {counted(modules, 'module')} and answers as the plain base model."
    return Prediction(loader, Outcome.IGNORED, 0, modules, said)
