"""The strength that training meant: alpha tensors, or the LoraConfig that diffusers wrote into the header.

Where a loader looks and what it does with each: LoRA formats dossier, section 1.1 (scale sources).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorry.model.report import Finding
from lorry.model.verdict import Outcome
from lorry.weights.adapter.keys import Part, Role
from lorry.weights.adapter.modules import Adapter, Module
from lorry.weights.catalogue import counted, finding, some
from lorry.weights.files.header import Header, Tensor
from lorry.weights.files.source import ByteSource

CONFIG = "lora_adapter_metadata"
_COMPONENTS = ("transformer.", "unet.", "text_encoder.", "text_encoder_2.", "text_encoder_3.")
LARGEST_ALPHA, LARGEST_SCALE = 1000.0, 64.0  # LoRA formats dossier, section 6, ALPHA_BAD
_SCALARS = {
    "F32": "<f",
    "F16": "<e",
    "F64": "<d",
    "I64": "<q",
    "I32": "<i",
    "I16": "<h",
    "I8": "<b",
    "U8": "<B",
}

# The fields of peft 0.21.2's LoraConfig: diffusers hands the header's fields to it, and it refuses others.
PEFT_FIELDS = frozenset({
    "task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision",
    "inference_mode", "r", "target_modules", "exclude_modules", "lora_alpha", "lora_dropout",
    "fan_in_fan_out", "bias", "use_rslora", "modules_to_save", "init_lora_weights", "layers_to_transform",
    "layers_pattern", "rank_pattern", "alpha_pattern", "megatron_config", "megatron_core",
    "trainable_token_indices", "loftq_config", "eva_config", "corda_config", "lora_ga_config", "use_dora",
    "velora_config", "alora_invocation_tokens", "use_qalora", "qalora_group_size", "monteclora_config",
    "layer_replication", "runtime_config", "lora_bias", "target_parameters", "use_bdlora", "arrow_config",
    "kasa_config", "ensure_weight_tying",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Strength:
    """What is known of the strength: the common alpha, and everything found about it."""

    alpha: float | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Stated:
    """A module and its alpha; `None` when its tensor holds no single number."""

    module: Module
    alpha: float | None

    @property
    def scale(self) -> float | None:
        """Alpha over rank: what the module's difference is multiplied by."""
        return None if self.alpha is None or not self.module.rank else self.alpha / self.module.rank

    @property
    def bad(self) -> bool:
        """Whether it is no number, negative, or beyond any sensible strength."""
        if self.alpha is None or not math.isfinite(self.alpha):
            return True
        return not 0 <= self.alpha <= LARGEST_ALPHA or (self.scale or 0) > LARGEST_SCALE


def judge_strength(source: ByteSource, adapter: Adapter, header: Header, outcome: Outcome) -> Strength:
    """Read every statement of the strength and judge it.

    Args:
        source: The file; the alpha tensors are read from it.
        adapter: The file's modules.
        header: The file's header.
        outcome: What the loader for the file's base does with its layout.
    """
    alphas = [
        Stated(module, _scalar(source, header, tensor))
        for module in adapter.modules
        if (tensor := module.one(Role.ALPHA)) is not None and _is_near(source, header, tensor)
    ]
    stated = any(Role.ALPHA in module.tensors for module in adapter.modules)
    config, findings = _config(header)
    findings += _alphas(alphas, outcome)
    findings += _missing(adapter)
    if stated and config:
        number = sum(Role.ALPHA in module.tensors for module in adapter.modules)
        message = f"{counted(number, 'alpha tensor')} and the header's {CONFIG} both state the strength."
        findings.append(finding("ALPHA_META_CONFLICT", message, subject=CONFIG, tensors=number))
    findings += _config_findings(config, adapter)
    common = {stated.alpha for stated in alphas if stated.module.part is Part.DENOISER}
    common = common or {None if stated else _number(config.get("lora_alpha"))}
    alpha = common.pop() if len(common) == 1 else None
    return Strength(alpha if alpha is None or math.isfinite(alpha) else None, tuple(findings))


def _is_near(source: ByteSource, header: Header, tensor: Tensor) -> bool:
    """Tell whether a tensor's number can be read: of a file far away only the beginning was fetched."""
    return header.data_start + tensor.end <= source.reach


def _scalar(source: ByteSource, header: Header, tensor: Tensor) -> float | None:
    """Decode a tensor of one number; `None` for another count or a type that is not decoded here."""
    if tensor.count != 1:
        return None
    data = source.read(header.data_start + tensor.begin, tensor.end - tensor.begin)
    if tensor.dtype == "BF16":  # the upper half of a 32-bit float
        data, form = b"\0\0" + data, "<f"
    else:
        form = _SCALARS.get(tensor.dtype, "")
    return float(struct.unpack(form, data)[0]) if form and len(data) == struct.calcsize(form) else None


def _alphas(alphas: Sequence[Stated], outcome: Outcome) -> Iterator[Finding]:
    zero = [stated.module.name for stated in alphas if stated.alpha == 0]
    if zero:
        yield finding("ALPHA_ZERO", f"alpha is 0 in {some(zero)}.", subject=zero[0], modules=zero)
    bad = [stated for stated in alphas if stated.bad]
    if bad:
        name = bad[0].module.name
        first = f"alpha is {_shown(bad[0].alpha)} in {name} (rank {bad[0].module.rank})"
        names = [stated.module.name for stated in bad]
        yield finding(
            "ALPHA_BAD", f"{first}; bad in {len(bad)} of {len(alphas)}.", subject=name, modules=names
        )
    factors = {1 / stated.scale for stated in alphas if stated.scale}
    if outcome is Outcome.ALPHA_DROPPED and factors - {1.0}:
        percent = f"{100 * max(factors):.0f}%"
        message = f"The loader drops alpha: the LoRA would act at {percent} of the trained strength."
        yield finding("ALPHA_DROPPED", message, factor=max(factors))


def _missing(adapter: Adapter) -> Iterator[Finding]:
    without = [m for m in adapter.denoiser if m.spelling == "lora_down" and Role.ALPHA not in m.tensors]
    if without:
        number = counted(len(without), "module")
        message = f"{number} of kohya's spelling without alpha: {some([m.name for m in without], 2)}."
        yield finding("ALPHA_MISSING", message, subject=without[0].name, modules=len(without))


def _config(header: Header) -> tuple[dict[str, Any], list[Finding]]:
    """Read the LoraConfig in the header: its fields without the component's name."""
    text = header.metadata.get(CONFIG)
    if text is None:
        return {}, []
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        said = error.msg if isinstance(error, json.JSONDecodeError) else "it can't be read"
        return {}, [finding("META_JSON", f"The header's {CONFIG} is no JSON: {said}.", subject=CONFIG)]
    if not isinstance(fields, dict):
        return {}, [finding("META_JSON", f"The header's {CONFIG} is JSON, but no object.", subject=CONFIG)]
    config: dict[str, Any] = {}
    for name, value in fields.items():
        component = next((start for start in _COMPONENTS if name.startswith(start)), "")
        if component in ("transformer.", "unet.", ""):
            config[name.removeprefix(component)] = value
    return config, []


def _config_findings(config: Mapping[str, Any], adapter: Adapter) -> Iterator[Finding]:
    newer = sorted(set(config) - PEFT_FIELDS)
    if newer:
        message = f"The header's {CONFIG} has {some(newer)}, which PEFT 0.21 does not know."
        yield finding("META_NEWER_PEFT", message, subject=CONFIG, fields=newer)
    if "r" not in config:
        return
    torn = [(m, stated) for m in adapter.denoiser if m.rank and (stated := _stated_rank(config, m)) != m.rank]
    if torn:
        module, told = torn[0]
        stated = told if type(told) is int else str(told)[:20]
        message = f"The header's {CONFIG} says rank {stated}, but {module.name} has rank {module.rank}."
        yield finding("META_RANK_MISMATCH", message, subject=module.name, expected=stated, found=module.rank)


def _stated_rank(config: Mapping[str, Any], module: Module) -> object:
    """Look a module's rank up as peft does, taking patterns as plain names (a file's regex is never run)."""
    patterns = config.get("rank_pattern")
    for pattern, rank in (patterns if isinstance(patterns, dict) else {}).items():
        name = pattern.removeprefix("^").removesuffix("$").replace("\\", "")
        if module.name == name or module.name.endswith("." + name):
            return rank
    return config["r"]


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if isinstance(value, float) or abs(value) < 2**63 else math.inf


def _shown(alpha: float | None) -> str:
    return "no number" if alpha is None else f"{alpha:g}"
