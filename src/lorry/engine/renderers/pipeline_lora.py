"""Read a LoRA file for a pipeline of diffusers, whose own loader translates the names.

Which names a file may have (kohya's, ai-toolkit's, diffusers' own of several years) is diffusers' knowledge
(`lora_state_dict` of each pipeline); what comes out is A and B by the names of the pipeline's layers.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lorry.engine.renderers.mixing import Change, Mixer
from lorry.engine.renderers.strength import adapter_config, strength_of
from lorry.errors import AdapterUnusable

#: Largest rank that is taken: files of trainings go up to 128, converted whole models to 256.
LARGEST_RANK = 512

#: What A's columns (and window), and B's rows, have to be.
Shapes = tuple[tuple[int, ...], int]

_BEYOND = ("lora_magnitude_vector", "dora_scale", "lora_B.bias")


def read_lora(pipeline: Any, mixer: Mixer, path: Path) -> dict[str, Change]:
    """Read a file as changes of the pipeline's layers, in the numbers of the file.

    Args:
        pipeline: Whose loader translates the names.
        mixer: Knows the layers; names of others are skipped.
        path: The file.

    Raises:
        AdapterUnusable: It can't be read, does not fit, or is no plain LoRA.
    """
    tensors, alphas, metadata = _translated(pipeline, path)
    changes: dict[str, Change] = {}
    for name in sorted({_layer(key) for key in tensors if ".lora_" in key}):
        shapes = mixer.shapes(name)
        if shapes is None:
            continue
        down, up = (tensors.get(f"{name}.lora_{part}.weight") for part in "AB")
        if down is None or up is None:
            raise _unusable(path, f"{name} has only one of A and B", name)
        for beyond in _BEYOND:
            if f"{name}.{beyond}" in tensors:
                raise _unusable(path, f"{name}.{beyond} is more than a plain LoRA", name)
        _require_fit(path, name, shapes, down, up)
        changes[name] = Change(down, up.float() * _strength(name, int(down.shape[0]), alphas, metadata))
    return changes


def _translated(pipeline: Any, path: Path) -> tuple[dict[str, Tensor], dict[str, Any], str | None]:
    """Have diffusers translate a file's names; give its tensors, alphas, and the config in its header."""
    from safetensors import safe_open

    options: dict[str, Any] = {"weight_name": path.name, **_alphas(pipeline)}
    if hasattr(pipeline, "unet"):
        options["unet_config"] = pipeline.unet.config
    try:
        with warnings.catch_warnings(), safe_open(path, "pt") as file:
            warnings.simplefilter("ignore")
            metadata = (file.metadata() or {}).get("lora_adapter_metadata")
            found = pipeline.lora_state_dict(path.parent, **options)
    except Exception as error:
        first = " ".join(str(error).split())[:300]
        message = f"{path.name} can't be loaded: {type(error).__name__}: {first}"
        raise AdapterUnusable(message, evidence={"file": path.name}) from error
    state, alphas = (found[0], found[1]) if isinstance(found, tuple) else (found, None)
    tensors = dict(_by_peft(state))
    told = {name: value for name, value in tensors.items() if name.endswith(".alpha")}
    return tensors, {**told, **(alphas or {})}, metadata


def _alphas(pipeline: Any) -> dict[str, bool]:
    takes = inspect.signature(pipeline.lora_state_dict).parameters
    return {"return_alphas": True} if "return_alphas" in takes else {}


def _by_peft(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Call A and B as peft does: diffusers' older files say `lora.down` or `lora_linear_layer.down`."""
    for name, tensor in state.items():
        for old, new in (
            (".lora_linear_layer.down.", ".lora_A."),
            (".lora_linear_layer.up.", ".lora_B."),
            (".lora.down.", ".lora_A."),
            (".lora.up.", ".lora_B."),
            (".lora_down.", ".lora_A."),
            (".lora_up.", ".lora_B."),
        ):
            name = name.replace(old, new)
        yield name.replace(".processor.", "."), tensor


def _layer(key: str) -> str:
    return key.partition(".lora_")[0]


def _require_fit(path: Path, name: str, shapes: Shapes, down: Tensor, up: Tensor) -> None:
    inputs, outputs = shapes
    rank = int(down.shape[0]) if down.ndim else 0
    if tuple(down.shape[1:]) != inputs or tuple(up.shape[:2]) != (outputs, rank) or rank == 0:
        found = f"A {list(down.shape)} and B {list(up.shape)}"
        needed = f"[rank, {', '.join(map(str, inputs))}] and [{outputs}, rank]"
        raise _unusable(path, f"{name} has {found}, and the base needs {needed}", name)
    if rank > LARGEST_RANK:
        raise _unusable(path, f"{name} has rank {rank}, and {LARGEST_RANK} is the most", name)
    if not (torch.isfinite(down).all() and torch.isfinite(up).all()):
        raise _unusable(path, f"{name} holds NaN or infinity, and would draw black pictures", name)


def _strength(name: str, rank: int, alphas: Mapping[str, Any], metadata: str | None) -> float:
    if (alpha := alphas.get(f"{name}.alpha")) is not None:
        return float(alpha) / rank
    part, _, layer = name.partition(".")
    config = adapter_config(metadata, f"{part}.")
    return 1.0 if config is None else strength_of(config, layer, rank)


def _unusable(path: Path, sentence: str, tensor: str) -> AdapterUnusable:
    return AdapterUnusable(f"{path.name}: {sentence}.", evidence={"file": path.name, "tensor": tensor})
