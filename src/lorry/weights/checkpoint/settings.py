"""The config.json of a checkpoint: its architecture, what it says of data types, whether it is quantised."""

from __future__ import annotations

import json
from dataclasses import dataclass

from lorry.model.report import Finding
from lorry.weights.catalogue import finding

FILE = "config.json"
LARGEST = 4_000_000  # bytes; a classifier's labels make some hundred thousand


@dataclass(frozen=True, slots=True)
class CheckpointConfig:
    """What a config.json says.

    Attributes:
        architecture: The class that loads it (`LlamaForCausalLM`, `FluxTransformer2DModel`).
        kind: transformers' `model_type`.
        dtype: The data type that it announces.
        quantised: How it is quantised, where it is.
        findings: What is wrong with it.
    """

    architecture: str | None = None
    kind: str | None = None
    dtype: str | None = None
    quantised: str | None = None
    findings: tuple[Finding, ...] = ()


def read_checkpoint_config(text: str | None) -> CheckpointConfig:
    """Read a checkpoint's config.json.

    Args:
        text: Its text; `None` when there is none.
    """
    if not text or not text.strip():
        return _odd(f"The checkpoint lies without its {FILE}.")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        said = error.msg if isinstance(error, json.JSONDecodeError) else "it can't be read"
        return _odd(f"{FILE} is no JSON: {said}.")
    if not isinstance(document, dict):
        return _odd(f"{FILE} is JSON, but no object.")
    named = document.get("architectures")
    architecture = named[0] if isinstance(named, list) and named else document.get("_class_name")
    quantised = document.get("quantization_config")
    method = quantised.get("quant_method") if isinstance(quantised, dict) else None
    found = CheckpointConfig(
        _word(architecture),
        _word(document.get("model_type")),
        _word(document.get("dtype") or document.get("torch_dtype")),
        _word(method) or ("yes" if isinstance(quantised, dict) else None),
    )
    if found.architecture is None:
        said = (
            f"the model_type {found.kind} alone" if found.kind else "neither architectures nor a model_type"
        )
        odd = _odd(f"{FILE} names {said}; no loader knows the class.").findings
        return CheckpointConfig(None, found.kind, found.dtype, found.quantised, odd)
    return found


def _odd(message: str) -> CheckpointConfig:
    return CheckpointConfig(findings=(finding("CHECKPOINT_CONFIG", message, subject=FILE),))


def _word(value: object) -> str | None:
    return value[:80] if isinstance(value, str) and value.strip() else None
