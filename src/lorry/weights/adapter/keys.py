"""Read tensor names: which part of the model, which layer, which matrix (LoRA formats dossier, section 1.1).

The three axes of a name (prefix, module, suffix) are told apart one by one; no whole format is enumerated.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """What a tensor is to its layer."""

    DOWN = "down"  # the matrix at the input, [rank, in]: lora_A, lora_down
    UP = "up"  # the matrix at the output, [out, rank]: lora_B, lora_up
    MID = "mid"  # the Tucker core of a convolution
    ALPHA = "alpha"  # the trained strength: it acts as alpha / rank
    DORA = "dora"  # magnitude vectors
    LOKR = "lokr"  # factors of a Kronecker product
    LOHA = "loha"  # factors of a Hadamard product
    OFT = "oft"  # orthogonal rotations
    OTHER = "other"  # GLoRA, IA3, trained norms
    DIFF = "diff"  # a full difference of weights or biases
    BIAS = "bias"  # the bias of a LoRA matrix
    UNKNOWN = "unknown"  # nothing that an adapter has


class Part(StrEnum):
    """Which part of a pipeline a tensor changes."""

    DENOISER = "denoiser"  # the transformer or U-Net
    CLIP = "clip"  # a CLIP text encoder
    T5 = "t5"  # a T5 text encoder
    EMBEDDING = "embedding"  # textual-inversion vectors bundled into the file


#: Where a layer is: who spells prefixes like this, the part of the pipeline, its name, whether that is flat.
Place = tuple[str, Part, str, bool]
#: What the end of a tensor's name says: the rest of the name, the role, its spelling, a leaked adapter name.
Ending = tuple[str, Role, str, str | None]


class Key(NamedTuple):
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

_MEANING = {prefix: (layout, part, flat) for prefix, layout, part, flat in _PREFIXES}
_PREFIX = re.compile("|".join(re.escape(prefix) for prefix, *_ in _PREFIXES)).match

_DOWN_UP = {"lora_down": Role.DOWN, "lora_up": Role.UP, "lora_mid": Role.MID}
_OLD_DOWN_UP = {"down": Role.DOWN, "up": Role.UP}  # behind `.lora`, `_lora`, and XLabs' `_lora1`, `_lora2`
_PEFT = {"lora_A": Role.DOWN, "lora_B": Role.UP}

#: The endings of nearly every file, behind `.lora_`; looked up before anything else.
_PLAIN: dict[str, tuple[Role, str, None]] = {
    "A.weight": (Role.DOWN, "lora_A", None),
    "B.weight": (Role.UP, "lora_A", None),
    "down.weight": (Role.DOWN, "lora_down", None),
    "up.weight": (Role.UP, "lora_down", None),
    "mid.weight": (Role.MID, "lora_down", None),
}
_LAST: dict[str, Role] = {
    "alpha": Role.ALPHA,
    "dora_scale": Role.DORA,
    "oft_blocks": Role.OFT,
    "lora_magnitude_vector": Role.DORA,
    **dict.fromkeys(("on_input", "w_norm", "b_norm", "lora_embedding_A", "lora_embedding_B"), Role.OTHER),
    **dict.fromkeys(("diff", "diff_b", "set_weight"), Role.DIFF),
}
_FACTORS = {"lokr_": Role.LOKR, "hada_": Role.LOHA}
_NAMED = frozenset({*_PEFT, "lora_magnitude_vector"})  # what PEFT puts an adapter's name behind
_OTHER_MATRICES = {**dict.fromkeys(("a1", "a2", "b1", "b2"), Role.OTHER), "oft_R": Role.OFT}
_NUMBER = re.compile(r"\.([0-9]{1,9})(?=\.|$)")
_FLAT_NUMBER = re.compile(r"_([0-9]{1,9})(?=_|$)")


def read_key(name: str) -> Key:
    """Take a tensor's name apart.

    Args:
        name: The name in the header.
    """
    layer, role, spelling, adapter = read_ending(name)
    return Key(*read_place(layer), role, spelling, adapter)


def read_place(layer: str) -> Place:
    """Take the beginning of a name off, which says what part of the pipeline it belongs to.

    Args:
        layer: A tensor's name without its ending.
    """
    known = _PREFIX(layer)
    if known is None:
        layout, part, flat, module = "bare", Part.DENOISER, False, layer
    else:
        end = known.end()
        layout, part, flat = _MEANING[layer[:end]]
        module = layer[end:]
    if ".processor." in module:
        layout = "xlabs"
    if part is Part.CLIP and ("encoder_block_" in module or ".block." in module):
        part = Part.T5  # OneTrainer numbers T5 as lora_te2_, where SDXL has its second CLIP
    return layout, part, module, flat


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


def read_ending(name: str) -> Ending:
    """Split off what names the matrix.

    Args:
        name: A tensor's name.
    """
    layer, _, last = name.rpartition(".lora_")
    plain = _PLAIN.get(last)
    if plain is not None:
        return layer, *plain
    layer, _, last = name.rpartition(".")
    role = _LAST.get(last) or _FACTORS.get(last[:5])
    if role is not None:
        return layer, role, "", None
    if last in ("weight", "bias"):
        stem, _, word = layer.rpartition(".")
        named = _matrix(stem, word, last == "bias")
        if named is not None:
            return *named, None
        before, _, matrix = stem.rpartition(".")
        named = _matrix(before, matrix, last == "bias") if matrix in _NAMED else None
        if named is not None:
            return *named, word
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
        return stem, _OTHER_MATRICES[word], ""
    return (stem, Role.DORA, "") if word == "lora_magnitude_vector" else None


def _old_stem(stem: str) -> str:
    """Undo the names of old diffusers: `attn.to_q.lora.down` and `attn.processor.to_q_lora.down`."""
    if stem.endswith(".lora"):
        return stem[: -len(".lora")]
    if ".processor.to_" in stem:
        layer = stem.replace(".processor.", ".").removesuffix("_lora")
        return f"{layer}.0" if layer.endswith(".to_out") else layer
    return stem
