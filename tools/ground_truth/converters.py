"""What is known of single converters of diffusers 0.42.1 that no trial of single layers shows."""

from __future__ import annotations

import re

from lorry.weights.bases.families import Family
from lorry.weights.loaders.layouts import Layout

#: Converters that name every layer they want: the rows, and whether the blocks are counted from the file.
_DOUBLE = (
    "img_attn.qkv", "img_attn.proj", "img_mlp.0", "img_mlp.2", "img_mod.lin",
    "txt_attn.qkv", "txt_attn.proj", "txt_mlp.0", "txt_mlp.2", "txt_mod.lin",
)  # fmt: skip
_SINGLE = ("linear1", "linear2", "modulation.lin")
_WAN = (
    *(f"{attention}.{word}" for attention in ("self_attn", "cross_attn") for word in "qkvo"),
    "cross_attn.k_img", "cross_attn.v_img", "ffn.0", "ffn.2",
)  # fmt: skip


def exactly(known: Family, layout: Layout) -> tuple[tuple[str, ...], bool]:
    """Name the layers that a converter wants all of, and whether of the blocks in the file only.

    `_convert_fal_kontext_lora_to_diffusers` and `_convert_musubi_wan_lora_to_diffusers` of diffusers 0.42.1.
    """
    if layout.naming == "native" and not layout.prefix.startswith("lycoris"):
        if known.model["class"] == "FluxTransformer2DModel" and layout.prefix == "peft":
            wanted = {f"double_blocks.*.{word}" for word in _DOUBLE} | {
                f"single_blocks.*.{word}" for word in _SINGLE
            }
            return _templates(known, wanted | {"final_layer.linear"}), False
        if known.model["class"] == "WanTransformer3DModel" and layout.prefix == "kohya":
            return _templates(known, {f"blocks.*.{word}" for word in _WAN}), True
    return (), False


def together(known: Family, layout: Layout) -> tuple[str, ...]:
    """Name the layers of which a converter wants all or none: Wan's image attention, by its two names.

    `_convert_non_diffusers_wan_lora_to_diffusers` of diffusers 0.42.1.
    """
    wan = known.model["class"] == "WanTransformer3DModel"
    if wan and layout.prefix == "comfyui" and layout.naming == "native":
        return _templates(known, {"blocks.*.cross_attn.k_img", "blocks.*.cross_attn.v_img"})
    return ()


def _templates(known: Family, wanted: set[str]) -> tuple[str, ...]:
    return tuple(name for name in known.native if re.sub(r"\[\d+-\d+\]", "*", name) in wanted)
