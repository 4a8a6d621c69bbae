"""Read tensor names: which part of the model, which layer, which matrix (LoRA formats dossier, section 1.1).

The three axes of a name (prefix, module, suffix) are told apart one by one; no whole format is enumerated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a tensor is to its layer."""

    DOWN = "down"  # the matrix at the input, [rank, in]: lora_A, lora_down
    UP = "up"  # the matrix at the output, [out, rank]: lora_B, lora_up
    MID = "mid"  # the Tucker core of a convolution
    ALPHA = "alpha"  # the trained strength: it acts as alpha / rank
    DORA = "dora"  # magnitude vectors
    LOKR = "lokr"  # factors of a Kronecker product
    LOHA = "loha"  # factors of a Hadamard product
    OTHER = "other"  # OFT, GLoRA, IA3, trained norms
    DIFF = "diff"  # a full difference of weights or biases
    BIAS = "bias"  # the bias of a LoRA matrix
    UNKNOWN = "unknown"  # nothing that an adapter has


class Part(StrEnum):
    """Which part of a pipeline a tensor changes."""

    DENOISER = "denoiser"  # the transformer or U-Net
    CLIP = "clip"  # a CLIP text encoder
    T5 = "t5"  # a T5 text encoder
    EMBEDDING = "embedding"  # textual-inversion vectors bundled into the file


@dataclass(frozen=True, slots=True)
class Key:
    """A tensor's name, taken apart.

    Attributes:
        layout: Who spells prefixes like this: `diffusers`, `comfyui`, `kohya` …
        part: The part of the pipeline.
        module: The layer's name without prefix and suffix.
        flat: Whether its dots were turned into underscores.
        role: What the tensor is to the layer.
        spelling: `lora_A` (PEFT's words) or `lora_down` (kohya's words); empty for other roles.
        adapter: PEFT's adapter name where it was left inside the key.
    """

    layout: str
    part: Part
    module: str
    flat: bool
    role: Role
    spelling: str = ""
    adapter: str | None = None


# Longest first where one begins another. The prefixes of the denoiser, then those of text encoders.
_PREFIXES: tuple[tuple[str, str, Part, bool], ...] = (
    ("transformer.base_model.model.", "double-wrapped", Part.DENOISER, False),
    ("unet.base_model.model.", "double-wrapped", Part.DENOISER, False),
    ("base_model.model.", "peft", Part.DENOISER, False),
    ("diffusion_model.", "comfyui", Part.DENOISER, False),
    ("transformer.", "diffusers", Part.DENOISER, False),
    ("unet.", "diffusers", Part.DENOISER, False),
    ("lora_unet_", "kohya", Part.DENOISER, True),
    ("lora_transformer_", "onetrainer", Part.DENOISER, True),
    ("lycoris_", "lycoris", Part.DENOISER, True),
    ("text_encoders.t5xxl.", "comfyui", Part.T5, False),
    ("text_encoders.", "comfyui", Part.CLIP, False),
    ("text_encoder_2.", "diffusers", Part.CLIP, False),
    ("text_encoder_3.", "diffusers", Part.T5, False),
    ("text_encoder.", "diffusers", Part.CLIP, False),
    ("lora_te", "kohya", Part.CLIP, True),
    ("bundle_emb.", "onetrainer", Part.EMBEDDING, False),
    ("emb_params", "embedding", Part.EMBEDDING, False),
)

_DOWN_UP = {"lora_down": Role.DOWN, "lora_up": Role.UP, "lora_mid": Role.MID}
_OLD_DOWN_UP = {"down": Role.DOWN, "up": Role.UP}  # behind `.lora`, `_lora`, and XLabs' `_lora1`, `_lora2`
_PEFT = {"lora_A": Role.DOWN, "lora_B": Role.UP}
_LAST: dict[str, Role] = {
    "alpha": Role.ALPHA,
    "dora_scale": Role.DORA,
    "lora_magnitude_vector": Role.DORA,
    **dict.fromkeys(
        ("oft_blocks", "on_input", "w_norm", "b_norm", "lora_embedding_A", "lora_embedding_B"), Role.OTHER
    ),
    **dict.fromkeys(("diff", "diff_b", "set_weight"), Role.DIFF),
}
_FACTORS = {"lokr_": Role.LOKR, "hada_": Role.LOHA}
_NAMED = frozenset({*_PEFT, "lora_magnitude_vector"})  # what PEFT puts an adapter's name behind
_OTHER_MATRICES = frozenset({"a1", "a2", "b1", "b2", "oft_R"})
_NUMBER = re.compile(r"\.([0-9]{1,9})(?=\.|$)")
_FLAT_NUMBER = re.compile(r"_([0-9]{1,9})(?=_|$)")


def read_key(name: str) -> Key:
    """Take a tensor's name apart.

    Args:
        name: The name in the header.
    """
    module, role, spelling, adapter = _suffix(name)
    layout, part, flat = "bare", Part.DENOISER, False
    for prefix, *found in _PREFIXES:
        if module.startswith(prefix):
            layout, part, flat = found  # type: ignore[assignment]
            module = module[len(prefix) :]
            break
    if ".processor." in module:
        layout = "xlabs"
    if part is Part.CLIP and ("encoder_block_" in module or ".block." in module):
        part = Part.T5  # OneTrainer numbers T5 as lora_te2_, where SDXL has its second CLIP
    return Key(layout, part, module, flat, role, spelling, adapter)


def pattern(module: str, flat: bool) -> tuple[str, tuple[int, ...]]:
    """Split a layer's name into its words and its numbers.

    Args:
        module: A layer's name.
        flat: Whether its dots were turned into underscores.

    Returns:
        The name with `*` for each number, and the numbers.
    """
    pieces = (_FLAT_NUMBER if flat else _NUMBER).split(module)
    return "*".join(pieces[::2]), tuple(map(int, pieces[1::2]))


def _suffix(name: str) -> tuple[str, Role, str, str | None]:
    """Split off what names the matrix: the rest, its role, its spelling, and a leaked adapter name."""
    rest, _, last = name.rpartition(".")
    role = _LAST.get(last) or _FACTORS.get(last[:5])
    if role is not None:
        return rest, role, "", None
    if last in ("weight", "bias"):
        stem, _, word = rest.rpartition(".")
        named = _matrix(stem, word, last == "bias")
        if named is not None:
            return (*named, None)
        before, _, matrix = stem.rpartition(".")
        named = _matrix(before, matrix, last == "bias") if matrix in _NAMED else None
        if named is not None:
            return (*named, word)
    return name, Role.UNKNOWN, "", None


def _matrix(stem: str, word: str, bias: bool) -> tuple[str, Role, str] | None:
    """Tell what `stem.word.weight` is: the layer, the role and the spelling."""
    if word in _PEFT:
        return stem, Role.BIAS if bias else _PEFT[word], "lora_A"
    if bias:
        return None
    if word in _DOWN_UP:
        return stem, _DOWN_UP[word], "lora_down"
    if word in _OLD_DOWN_UP and stem.rstrip("12").endswith((".lora", "_lora")):
        return _old_stem(stem), _OLD_DOWN_UP[word], "lora_down"
    if word in _OTHER_MATRICES:
        return stem, Role.OTHER, ""
    return (stem, Role.DORA, "") if word == "lora_magnitude_vector" else None


def _old_stem(stem: str) -> str:
    """Undo the names of old diffusers: `attn.to_q.lora.down` and `attn.processor.to_q_lora.down`."""
    if stem.endswith(".lora"):
        return stem[: -len(".lora")]
    if ".processor.to_" in stem:
        layer = stem.replace(".processor.", ".").removesuffix("_lora")
        return f"{layer}.0" if layer.endswith(".to_out") else layer
    return stem
