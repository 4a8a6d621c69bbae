"""Adapters for text models: told from those for pictures, their names straightened, how they are wrapped.

PEFT saves `base_model.model.` before a layer's own name. What stands there instead decides whether it
applies anything at all (LoRA formats dossier, section 1.5), so the wrapping is kept beside the plain name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lorry.weights.adapter.keys import Part, Role
from lorry.weights.adapter.modules import Adapter, Module
from lorry.weights.files.header import Tensor

PREFIX = "base_model.model."

_TASKS = frozenset(
    {"CAUSAL_LM", "SEQ_2_SEQ_LM", "SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"}
)
# A CLIP text encoder has `encoder.layers`, Z-Image `layers.0.attention`: neither is a text model.
_TEXT = re.compile(
    r"(?:^|(?<!encoder)\.)layers\.\d+\.(?:self_attn|mlp|block_sparse_moe)\.|(?:^|\.)(?:embed_tokens|lm_head)$"
)
_PICTURE = re.compile(
    r"(?:^|\.)(?:\w*transformer_blocks|(?:double|single)_blocks|(?:down|up|mid|input|middle|output)_blocks?"
    r"|joint_blocks|attentions)\."
)
_PREFIXES = re.compile(r"(?:base_model\.model\.)*")
_HEADS = ("layers.", "embed_tokens", "norm.")
_EMBEDDING = {"lora_embedding_A": Role.DOWN, "lora_embedding_B": Role.UP}


class Wrapping(StrEnum):
    """What stands before the layers' own names."""

    RIGHT = "peft"  # base_model.model. once, as save_pretrained writes it
    BARE = "bare"  # nothing: the layer's own name
    DOUBLE = "double-wrapped"  # base_model.model. twice or more
    HEADLESS = "headless"  # base_model.model. and not the model's own `model.`
    BARE_HEADLESS = "bare-headless"  # neither


@dataclass(frozen=True, slots=True)
class TextAdapter:
    """An adapter for a text model.

    Attributes:
        adapter: Its modules by their plain names (`model.layers.0.self_attn.q_proj`); the layout of each
            is its wrapping. Its strangers are tensors that belong to nothing.
        wrapping: The most frequent wrapping.
        whole: Whole tensors of the base (`modules_to_save`, trained biases), with their plain names.
    """

    adapter: Adapter
    wrapping: Wrapping
    whole: tuple[tuple[str, Tensor], ...]


def is_text(adapter: Adapter, config: Mapping[str, Any]) -> bool:
    """Tell an adapter for text from one for pictures: by its layers' names, then by its task.

    Args:
        adapter: The file's modules.
        config: The fields of adapter_config.json; empty where there is none.
    """
    named = [module for module in adapter.denoiser if not module.flat]
    if not named:
        return False
    text = sum(_TEXT.search(module.name) is not None for module in named)
    if 2 * text > len(named):
        return True
    pictures = any(_PICTURE.search(f"{module.name}.") for module in named)
    return config.get("task_type") in _TASKS and not pictures


def straightened(adapter: Adapter) -> TextAdapter:
    """Give an adapter for text with the plain names of its layers.

    Args:
        adapter: The file's modules, as `read_adapter` groups them.
    """
    modules = tuple(_plain(module) for module in adapter.denoiser)
    others = tuple(module for module in adapter.modules if module.part is not Part.DENOISER)
    whole, strangers = [], []
    for tensor in adapter.strangers:
        named = _whole(tensor.name)
        if named is None:
            strangers.append(tensor)
        else:
            whole.append((named, tensor))
    plain = Adapter((*modules, *others), modules, tuple(strangers), adapter.embeddings)
    return TextAdapter(plain, Wrapping(plain.layout or Wrapping.RIGHT), tuple(whole))


def plain_name(name: str) -> tuple[str, int, bool]:
    """Take the wrapping off a layer's name.

    Args:
        name: The name in the file, without the matrix's suffix.

    Returns:
        The plain name, how often `base_model.model.` stood before it, and whether it had its own head.
    """
    wrapped = _PREFIXES.match(name)
    length = wrapped.end() if wrapped else 0
    name, times = name[length:], length // len(PREFIX)
    # Before transformers 4.52 the text part of a model that sees was called `language_model.model`.
    if name.startswith("language_model."):
        rest = name.removeprefix("language_model.")
        if rest.startswith(("model.", "lm_head")):
            return (rest if rest.startswith("lm_head") else f"model.language_model.{rest[6:]}"), times, True
        return f"model.{name}", times, False
    if name.startswith(_HEADS):
        return f"model.{name}", times, False
    return name, times, True


def _plain(module: Module) -> Module:
    """Straighten one module; matrices of an embedding become the pair that they are."""
    name = f"{PREFIX}{module.name}" if module.layout == "peft" else module.name
    name = f"transformer.{name}" if module.layout == "diffusers" else name  # GPT-2's own word
    plain, times, headed = plain_name(name)
    tensors = dict(module.tensors)
    for tensor in tensors.get(Role.OTHER, ()):
        role = _EMBEDDING.get(tensor.name.rpartition(".")[2])
        if role is not None:
            tensors[role] = (tensor,)
            tensors[Role.OTHER] = tuple(other for other in tensors[Role.OTHER] if other is not tensor)
    spelling = module.spelling
    if not tensors.get(Role.OTHER, True):
        del tensors[Role.OTHER]
        spelling = spelling or "lora_A"
    layout = str(_wrapping(times, headed))
    return Module(plain, layout, module.part, module.flat, spelling, module.adapter, tensors)


def _wrapping(times: int, headed: bool) -> Wrapping:
    if times > 1:
        return Wrapping.DOUBLE
    if times:
        return Wrapping.RIGHT if headed else Wrapping.HEADLESS
    return Wrapping.BARE if headed else Wrapping.BARE_HEADLESS


def _whole(name: str) -> str | None:
    """Name the layer of a whole tensor that PEFT saves beside the matrices; `None` for any other."""
    plain, _, _ = plain_name(name)
    stem, _, last = plain.rpartition(".")
    if last not in ("weight", "bias") or "lora_" in stem:
        return None
    for word in (".base_layer", ".original_module"):
        stem = stem.removesuffix(word)
    stem, _, _ = stem.partition(".modules_to_save")
    known = _TEXT.search(f"{stem}.") or stem.endswith(("embed_tokens", "lm_head", "score", "classifier"))
    return stem if known or "norm" in stem.rpartition(".")[2] else None
