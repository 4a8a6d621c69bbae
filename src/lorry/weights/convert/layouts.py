"""How each layout writes a layer's name, its matrices and its strength (LoRA formats dossier, 1.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from lorry.weights.adapter.keys import Part
from lorry.weights.adapter.modules import Module
from lorry.weights.convert.options import Layout
from lorry.weights.convert.reading import encoder_prefix


class States(StrEnum):
    """How a layout states a strength that is not 1."""

    FOLDED = "folded"  # it can't: the scale is multiplied into the weights
    NEEDED = "needed"  # multiplied in where that is exact, an alpha tensor where it is not
    ALPHA = "alpha"  # an alpha tensor for every module, as its trainers write
    CONFIG = "config"  # in adapter_config.json


@dataclass(frozen=True, slots=True)
class Spelling:
    """A layout's words.

    Attributes:
        prefix: What stands before a layer of the denoiser; `{}` is its component.
        flat: Whether dots become underscores.
        native: Whether layers have the original names where those differ.
        down: What follows for the matrix at the input.
        up: What follows for the matrix at the output.
        states: How strength is stated.
        file: What the weights are called in a folder; `None` where loaders take any name.
    """

    prefix: str
    flat: bool
    native: bool
    down: str
    up: str
    states: States
    file: str | None


_PEFT = (".lora_A.weight", ".lora_B.weight")
_KOHYA = (".lora_down.weight", ".lora_up.weight")
SPELLINGS = {
    Layout.DIFFUSERS: Spelling(
        "{}.", False, False, *_PEFT, States.FOLDED, "pytorch_lora_weights.safetensors"
    ),
    Layout.COMFYUI: Spelling("diffusion_model.", False, True, *_PEFT, States.NEEDED, None),
    Layout.KOHYA: Spelling("lora_unet_", True, True, *_KOHYA, States.ALPHA, None),
    Layout.PEFT: Spelling(
        "base_model.model.", False, False, *_PEFT, States.CONFIG, "adapter_model.safetensors"
    ),
}

_CLIP = re.compile(r"text_model_encoder_layers_(\d+)_(self_attn|mlp)_(q_proj|k_proj|v_proj|out_proj|fc1|fc2)")
_T5 = re.compile(r"encoder_block_(\d+)_layer_(\d)_(SelfAttention|DenseReluDense)_(q|k|v|o|wi_0|wi_1|wi|wo)")
_NUMBERED = re.compile(r"^\d_")  # what is left of `lora_te1_`


class Encoder(StrEnum):
    """Which text encoder a module changes."""

    CLIP_L = "clip_l"
    CLIP_G = "clip_g"
    T5 = "t5xxl"


_DIFFUSERS = {Encoder.CLIP_L: "text_encoder", Encoder.CLIP_G: "text_encoder_2"}
_NUMBERS = {Encoder.CLIP_L: "1", Encoder.CLIP_G: "2", Encoder.T5: "3"}


def key_name(layout: Layout, component: str, layer: str) -> str:
    """Write a layer of the denoiser as a layout does, without what names the matrix.

    Args:
        layout: The layout.
        component: `transformer` or `unet`.
        layer: The layer's dotted name, original or of diffusers as the layout has it.
    """
    spelling = SPELLINGS[layout]
    return spelling.prefix.format(component) + (layer.replace(".", "_") if spelling.flat else layer)


def encoder_of(module: Module) -> tuple[Encoder, str] | None:
    """Tell which text encoder a module changes, and its dotted layer there.

    Args:
        module: A module of a text encoder.

    Returns:
        `None` when the names are none that are known.
    """
    prefix = encoder_prefix(module)
    name = module.name
    if module.flat:
        number = name[:1] if _NUMBERED.match(name) else "1"
        name = _dotted(name.removeprefix(f"{number}_").removeprefix("_"))
        found = {"1": Encoder.CLIP_L, "2": Encoder.CLIP_G, "3": Encoder.T5}.get(number)
    elif prefix == "text_encoders." or prefix.startswith("text_encoders.t5"):
        word, _, name = f"{prefix}{name}".removeprefix("text_encoders.").partition(".")
        found = next((each for each in Encoder if each.value == word), None)
        name = name.removeprefix("transformer.")
    else:
        found = Encoder.CLIP_G if prefix == "text_encoder_2." else Encoder.CLIP_L
    if module.part is Part.T5:
        found = Encoder.T5
    return (found, name) if found is not None and name else None


def encoder_key(layout: Layout, encoder: Encoder, layer: str, *, numbered: bool) -> str | None:
    """Write a text encoder's layer as a layout does.

    Args:
        layout: The layout.
        encoder: The encoder.
        layer: The layer's dotted name.
        numbered: Whether the family's pipelines have several encoders.

    Returns:
        `None` when the layout's loaders don't take that encoder.
    """
    if layout is Layout.DIFFUSERS:
        component = _DIFFUSERS.get(encoder)
        return f"{component}.{layer}" if component else None
    if layout is Layout.COMFYUI:
        return f"text_encoders.{encoder}.transformer.{layer}"
    if layout is Layout.KOHYA:
        number = _NUMBERS[encoder] if numbered else ""
        return f"lora_te{number}_{layer.replace('.', '_')}"
    return None


def _dotted(name: str) -> str:
    """Give a flattened text encoder's layer its dots; empty when it is none that is known."""
    clip = _CLIP.fullmatch(name)
    if clip:
        return "text_model.encoder.layers.{}.{}.{}".format(*clip.groups())
    t5 = _T5.fullmatch(name)
    return "encoder.block.{}.layer.{}.{}.{}".format(*t5.groups()) if t5 else ""
