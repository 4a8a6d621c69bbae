"""What is wrong with a PEFT adapter for text: its adapter_config.json, its names, what servers refuse.

What PEFT 0.21.2 does with each fault was measured (LoRA formats dossier, section 1.5, and the ground truth
of this project's tests); what servers refuse was read in vLLM's source.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from lorry.model.report import Finding, Mend
from lorry.model.verdict import Outcome
from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.peft_config import COPY, FILE, PeftConfig
from lorry.weights.adapter.strength import LARGEST_ALPHA, LARGEST_SCALE, PEFT_FIELDS
from lorry.weights.adapter.structure import structure_findings
from lorry.weights.adapter.text import PREFIX, TextAdapter, Wrapping
from lorry.weights.catalogue import counted, finding, some
from lorry.weights.files.header import Header

_NEEDED = ("r", "lora_alpha", "target_modules")  # vLLM demands them; PEFT takes 8, 8 and a guess
#: Layers that servers of text adapters apply LoRAs to (dossier 1.5). vLLM takes embed_tokens and lm_head too
#: where a model's class allows, Fireworks never.
SERVED = frozenset({
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3", "gate",
    "qkv_proj", "gate_up_proj",
})  # fmt: skip
_LOCAL = re.compile(r"^(?:[./~\\]|[A-Za-z]:[\\/])|\\|/.*/")
_PUBLIC = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")
#: What is judged here instead, in the words of text models.
_OTHERWISE = frozenset({"KEYS_ADAPTER_NAME", "ALGO_DORA", "KEYS_MIXED"})
_WRAPPINGS = {
    Wrapping.BARE: f"lack `{PREFIX}` at the beginning",
    Wrapping.DOUBLE: f"begin with `{PREFIX}` more than once",
    Wrapping.HEADLESS: f"have `{PREFIX}`, but not the model's own `model.` behind it",
    Wrapping.BARE_HEADLESS: f"lack both `{PREFIX}` and the model's own `model.`",
}


def judge_peft(
    text: TextAdapter, header: Header, config: PeftConfig, outcome: Outcome = Outcome.UNKNOWN
) -> Iterator[Finding]:
    """Judge an adapter for text: tensors, names, configuration, and what servers refuse.

    Args:
        text: The adapter.
        header: The file's header.
        config: The adapter_config.json beside it.
        outcome: What PEFT does with the wrapping of the names, where the family is known.
    """
    yield from (found for found in structure_findings(text.adapter, header) if found.code not in _OTHERWISE)
    yield from _names(text, outcome)
    if config.flaw is not None:
        yield config.flaw
    else:
        yield from _type(config)
        yield from _fields(config)
        yield from _ranks(text, config)
        yield from _agreement(text, config)
        yield from _alpha(config)
        yield from _base(config)
        newer = sorted(set(config.fields) - PEFT_FIELDS)
        if newer:
            message = f"{FILE} has {some(newer)}, which PEFT 0.21 does not know."
            yield finding("META_NEWER_PEFT", message, subject=FILE, fields=newer[:50])
    yield from _servers(text, config)


def _names(text: TextAdapter, outcome: Outcome) -> Iterator[Finding]:
    modules = text.adapter.denoiser
    words = Counter(module.layout for module in modules)
    wrong = {word: count for word, count in words.items() if word != Wrapping.RIGHT}
    if wrong and (len(words) > 1 or outcome is not Outcome.OK):
        said = "; ".join(f"{count:,} {_WRAPPINGS[Wrapping(word)]}" for word, count in wrong.items())
        first = next(module for module in modules if module.layout in wrong)
        message = f"Of {counted(len(modules), 'module')} {said}; PEFT would apply nothing of them."
        subject = next((tensor.name for found in first.tensors.values() for tensor in found), first.name)
        yield finding("PEFT_PREFIX", message, subject=subject, found=dict(words))
    named = [module for module in modules if module.adapter is not None]
    if named:
        does = "PEFT loads them" if named[0].adapter == "default" else "PEFT ignores them"
        left = str(named[0].adapter)[:40]
        message = (
            f"{counted(len(named), 'module')} with the adapter name {left!r} left in the keys; "
            f"{does}, and servers such as vLLM refuse the file."
        )
        yield finding("KEYS_ADAPTER_NAME", message, subject=some([named[0].name]), modules=len(named))


def _type(config: PeftConfig) -> Iterator[Finding]:
    kind = config.fields.get("peft_type")
    if kind != "LORA":
        said = (
            "has no peft_type" if "peft_type" not in config.fields else f"says peft_type {str(kind)[:40]!r}"
        )
        yield finding("PEFT_CONFIG_TYPE", f"{FILE} {said}.", subject="peft_type", found=str(kind)[:40])


def _fields(config: PeftConfig) -> Iterator[Finding]:
    missing = [name for name in _NEEDED if config.fields.get(name) is None]
    if missing:
        message = f"{FILE} lacks {some(missing)}; vLLM refuses that, and PEFT takes its own defaults."
        yield finding("PEFT_CONFIG_FIELDS", message, subject=missing[0], missing=missing)
    sound = {
        "r": config.rank is not None,
        "lora_alpha": config.alpha is not None,
        "target_modules": config.targets is not None or isinstance(config.fields.get("target_modules"), str),
    }
    odd = [name for name, fits in sound.items() if name not in missing and not fits]
    if odd:
        said = ", ".join(f"{name} is {str(config.fields[name])[:40]!r}" for name in odd)
        yield finding(
            "PEFT_CONFIG_FIELDS", f"{FILE} has values of a wrong kind: {said}.", subject=odd[0], fields=odd
        )


def _ranks(text: TextAdapter, config: PeftConfig) -> Iterator[Finding]:
    # PEFT takes 8 where nothing is stated.
    torn = [
        (module, stated)
        for module in text.adapter.denoiser
        if module.rank
        and config.targeted(module)
        and (stated := config.rank_of(module.name) or 8) != module.rank
    ]
    if torn:
        module, stated = torn[0]
        message = (
            f"{FILE} says rank {stated}, but {some([module.name])} has rank {module.rank} "
            f"({len(torn)} of {counted(len(text.adapter.denoiser), 'module')} differ); PEFT refuses the file."
        )
        yield finding(
            "PEFT_CONFIG_FIELDS", message, subject=some([module.name]), expected=stated, found=module.rank
        )


def _agreement(text: TextAdapter, config: PeftConfig) -> Iterator[Finding]:
    """Compare what the configuration announces with what the file holds."""
    modules = text.adapter.denoiser
    left = [module.name for module in modules if not config.targeted(module)]
    if left:
        number = f"{len(left)} of {counted(len(modules), 'module')}"
        message = f"target_modules in {FILE} leave out {number}: {some(left, 2)}; PEFT ignores them."
        yield finding("PEFT_CONFIG_FIELDS", message, subject="target_modules", modules=left[:50])
    lacking = config.lacking(name for name, _ in text.whole)
    if lacking:
        named = f"modules_to_save in {FILE} names {some(lacking)}"
        message = f"{named}, and the file has no such layer; PEFT refuses it."
        yield finding(
            "PEFT_CONFIG_FIELDS", message, subject="modules_to_save", mend=Mend.NO, layers=lacking[:50]
        )
    vectors = sum(Role.DORA in module.tensors for module in modules)
    if config.dora and vectors < len(modules):
        number = f"{len(modules) - vectors} of {counted(len(modules), 'module')}"
        message = f"use_dora in {FILE} is true, but {number} have no magnitudes."
        yield finding("PEFT_CONFIG_FIELDS", message, subject="use_dora", mend=Mend.NO, found=vectors)
    if vectors and not config.dora:
        message = (
            f"{vectors} modules have DoRA magnitudes, but use_dora in {FILE} is not true; PEFT ignores them."
        )
        yield finding("PEFT_CONFIG_FIELDS", message, subject="use_dora", mend=Mend.NO, found=vectors)


def _alpha(config: PeftConfig) -> Iterator[Finding]:
    alpha, scale = config.alpha, config.scale
    if alpha == 0:
        yield finding("ALPHA_ZERO", f"lora_alpha in {FILE} is 0.", subject="lora_alpha")
    elif alpha is not None and (
        not math.isfinite(alpha) or not 0 < alpha <= LARGEST_ALPHA or (scale or 0) > LARGEST_SCALE
    ):
        message = f"lora_alpha in {FILE} is {alpha:g} (rank {config.rank})."
        yield finding("ALPHA_BAD", message, subject="lora_alpha")
    if config.fields.get("use_rslora") is True and scale is not None and math.isfinite(scale):
        message = f"use_rslora is true: the scale is {alpha:g} / √{config.rank} = {scale:.3g}."
        yield finding("PEFT_RSLORA", message, subject="use_rslora", scale=scale)


def _base(config: PeftConfig) -> Iterator[Finding]:
    name = config.base
    if name is None:
        yield finding("PEFT_BASE_LOCAL", f"{FILE} names no base model.", subject="base_model_name_or_path")
    elif COPY.search(name):
        message = f"{FILE} names {name[:120]}, a quantised copy, as the base model."
        yield finding("PEFT_BASE_LOCAL", message, subject="base_model_name_or_path", found=name[:200])
    elif _LOCAL.search(name) or not _PUBLIC.match(name):
        message = f"{FILE} names the local path {name[:120]} as the base model."
        yield finding("PEFT_BASE_LOCAL", message, subject="base_model_name_or_path", found=name[:200])


def _servers(text: TextAdapter, config: PeftConfig) -> Iterator[Finding]:
    """Say what servers of adapters refuse, whatever PEFT does."""
    modules = text.adapter.denoiser
    last = Counter(module.name.rpartition(".")[2] for module in modules)
    odd = {word: count for word, count in last.items() if word not in SERVED}
    if odd:
        said = ", ".join(f"{count} {word}" for word, count in sorted(odd.items())[:5])
        subject = next(module.name for module in modules if module.name.rpartition(".")[2] in odd)
        number = f"{sum(odd.values())} of {counted(len(modules), 'module')}"
        message = f"{number} change layers that servers do not take: {said}."
        yield finding("PEFT_TARGETS", message, subject=subject, found=dict(sorted(odd.items())[:20]))
    whole = sorted({name for name, _ in text.whole} | set(config.saved))
    if whole:
        message = f"The adapter replaces {counted(len(whole), 'layer')} as a whole: {some(whole)}."
        yield finding("PEFT_MODULES_TO_SAVE", message, subject=whole[0], layers=whole[:50])
    vectors = sum(Role.DORA in module.tensors for module in modules)
    if config.dora or vectors:
        message = f"The adapter is a DoRA: {vectors} of {counted(len(modules), 'module')} have magnitudes."
        yield finding("PEFT_DORA", message, subject="use_dora", modules=vectors)
