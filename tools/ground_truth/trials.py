"""Files with one thing wrong or unusual: what each condition of a file looks like in each layout."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from lorry.weights.bases.families import Family
from lorry.weights.loaders.conditions import Condition
from lorry.weights.loaders.layouts import FLAT, Layout
from tools.ground_truth.adapters import Layer, Shapes, spell, spell_one

_DOWN = re.compile(r"\.(lora_A|lora_down|lora\.down|down)\.(default\.)?weight$")
_UP = re.compile(r"\.(lora_B|lora_up|lora\.up|up)\.(default\.)?weight$")
#: One block of each text encoder: what trainers change there, with inputs and outputs.
_CLIP = {
    **{f"text_model.encoder.layers.0.self_attn.{word}_proj": (768, 768) for word in ("q", "k", "v", "out")},
    "text_model.encoder.layers.0.mlp.fc1": (3072, 768),
    "text_model.encoder.layers.0.mlp.fc2": (768, 3072),
}
#: How text encoders are spelled beside a denoiser; LoKr and LoHa of theirs were never seen.
_ENCODER_SUFFIXES = ("lora_A", "lora_down", "lora.down", "dora_A", "dora_down")
_T5 = {f"encoder.block.0.layer.0.SelfAttention.{word}": (4096, 4096) for word in "qkvo"}
#: Families whose pipelines have a CLIP text encoder that diffusers can load adapters into.
_WITH_CLIP = frozenset({"FluxTransformer2DModel", "SD3Transformer2DModel", "UNet2DConditionModel"})


def trial(
    known: Family, layout: Layout, base: list[Layer], condition: Condition
) -> tuple[Shapes, dict[str, str] | None, Layer | None] | None:
    """Make a file that meets one condition.

    Args:
        known: The family.
        layout: The layout that it is spelled in.
        base: The layers that it changes.
        condition: The condition.

    Returns:
        Its tensors, its metadata when that matters, and the module concerned when it is one of the base's;
        `None` where the layout can't meet the condition.
    """
    shapes = spell(known, layout, base)
    victim = base[len(base) // 2]
    own = spell_one(known, layout, victim)
    if condition in (Condition.UP_MISSING, Condition.DOWN_MISSING, Condition.RANKS):
        found = _one(own, _DOWN if condition is Condition.DOWN_MISSING else _UP)
        if found is None or (condition is not Condition.RANKS and len(base) < 2):
            return None
        if condition is Condition.RANKS:
            outputs, _, *kernel = shapes[found]
            return {**shapes, found: (outputs, 2, *kernel)}, None, victim
        return _without(shapes, found), None, victim
    if condition in (Condition.UPS_MISSING, Condition.DOWNS_MISSING):
        end = _DOWN if condition is Condition.DOWNS_MISSING else _UP
        rest = {name: shape for name, shape in shapes.items() if not end.search(name)}
        return (rest, None, victim) if len(rest) < len(shapes) else None
    if condition in (Condition.ALPHA_MISSING, Condition.MAGNITUDE_MISSING):
        ends = (
            (".alpha",) if condition is Condition.ALPHA_MISSING else (".dora_scale", ".lora_magnitude_vector")
        )
        gone = next((name for name in own if name.endswith(ends)), None)
        return None if gone is None or len(base) < 2 else (_without(shapes, gone), None, victim)
    if condition in (Condition.NARROW, Condition.WIDE, Condition.OUTPUTS):
        changed = _misfit(known, layout, victim, condition)
        return None if changed is None else ({**shapes, **changed}, None, victim)
    if condition in (Condition.IMAGE_NONE, Condition.IMAGE_HALF):
        return _image(known, layout, base, condition)
    added = _added(known, layout, base, condition)
    if added is not None:
        return {**shapes, **added}, None, None
    metadata = _metadata(known, condition)
    return None if metadata is None else (shapes, metadata, None)


def _image(
    known: Family, layout: Layout, base: list[Layer], condition: Condition
) -> tuple[Shapes, None, Layer | None] | None:
    """Leave image attention out, or one of its two matrices."""
    names = ("attn2.add_k_proj", "attn2.add_v_proj")
    halves = [next((layer for layer in base if layer.to[0].endswith(name)), None) for name in names]
    if halves[0] is None or halves[1] is None:
        return None
    if condition is Condition.IMAGE_NONE:
        return spell(known, layout, [layer for layer in base if layer not in halves]), None, None
    return spell(known, layout, [layer for layer in base if layer is not halves[1]]), None, halves[0]


def _added(known: Family, layout: Layout, base: list[Layer], condition: Condition) -> Shapes | None:
    first = base[0]
    stem = _stem(known, layout, first)
    if condition is Condition.STRANGER:
        return spell_one(known, layout, replace(first, name=_strange(layout)))
    if condition is Condition.OUTSIDE:
        beyond = next((found for layer in base if (found := _beyond(layer))), None)
        return None if beyond is None else spell_one(known, layout, beyond)
    if condition is Condition.DIFF:
        norm = next((block[0] for layer in base if (block := re.match(r"\w+\.\d+\.", layer.name))), "")
        named = next(iter(spell_one(known, layout, replace(first, name=f"{norm}norm3"))))
        return {named.partition("norm3")[0] + "norm3.diff": (first.shape[0],)}
    if condition is Condition.BIAS and len(base) > 1 and layout.suffix in ("lora_A", "dora_A"):
        return {f"{stem}.lora_B.bias": (first.shape[0],)}
    if condition is Condition.BIASES and layout.suffix in ("lora_A", "dora_A"):
        return {f"{_stem(known, layout, layer)}.lora_B.bias": (layer.shape[0],) for layer in base}
    if condition is Condition.TENSOR:
        return {"made.up.weight": (4, 4)}
    if condition is Condition.EMBEDDING:
        return {"bundle_emb.tok.clip_l": (2, 768)}
    if condition is Condition.CLIP and known.model["class"] in _WITH_CLIP:
        return _encoder(layout, _CLIP, known)
    if condition is Condition.T5 and known.model["class"] in (
        "FluxTransformer2DModel",
        "SD3Transformer2DModel",
    ):
        return _encoder(layout, _T5, known)
    return None


def _encoder(layout: Layout, block: Mapping[str, tuple[int, int]], known: Family) -> Shapes | None:
    """Spell a block of a text encoder as the writers of each layout do."""
    t5 = block is _T5
    prefix = {
        "diffusers": "text_encoder_3." if t5 else "text_encoder.",
        "comfyui": "text_encoders.t5xxl.transformer." if t5 else "text_encoders.clip_l.transformer.",
        "kohya": "lora_te3_" if t5 else ("lora_te_" if known.key in ("sd1", "sd2") else "lora_te1_"),
        "onetrainer": "lora_te2_" if t5 else "lora_te1_",
    }.get(layout.prefix)
    if prefix is None or layout.suffix not in _ENCODER_SUFFIXES:
        return None
    made: Shapes = {}
    for name, shape in block.items():
        words = name.replace(".", "_") if layout.prefix in FLAT else name
        tensors = spell_one(known, replace(layout, prefix="bare"), Layer(words, "", shape, ()))
        made |= {prefix + key: value for key, value in tensors.items()}
    return made


def _metadata(known: Family, condition: Condition) -> dict[str, str] | None:
    stem = known.component
    fields = {f"{stem}.r": 1, f"{stem}.lora_alpha": 2, f"{stem}.target_modules": ["to_q"]}
    if condition is Condition.CONFIG_RANK:
        fields[f"{stem}.r"] = 3
    elif condition is Condition.CONFIG_UNKNOWN:
        fields[f"{stem}.hyper_mode"] = True
    elif condition is Condition.CONFIG_JSON:
        return {"lora_adapter_metadata": "{r: 1"}
    elif condition is not Condition.CONFIG:
        return None
    return {"lora_adapter_metadata": json.dumps(fields)}


def _misfit(known: Family, layout: Layout, layer: Layer, condition: Condition) -> Shapes | None:
    if layout.suffix in ("lokr", "loha"):
        return None
    outputs, inputs, *kernel = layer.shape
    if condition is Condition.OUTPUTS:
        outputs *= 2
    else:
        inputs = inputs // 2 if condition is Condition.NARROW else inputs * 2
    return spell_one(known, layout, replace(layer, shape=(outputs, inputs, *kernel)))


def _stem(known: Family, layout: Layout, layer: Layer) -> str:
    name = next(iter(spell_one(known, layout, layer)))
    return re.split(r"\.(lora_|lora\.|down\.|lokr_|hada_)", name)[0]


def _strange(layout: Layout) -> str:
    return "single_blocks.0.processor.made_lora" if layout.prefix == "xlabs" else "made.up.to_q"


def _beyond(layer: Layer) -> Layer | None:
    """Name the block behind the last one, for layers in numbered blocks."""
    found = re.search(r"\[\d+-(\d+)\]", layer.row)
    if found is None:
        return None
    after = layer.row.replace(found[0], str(int(found[1]) + 1), 1)
    return replace(layer, name=re.sub(r"\[(\d+)-\d+\]", r"\1", after))


def _one(own: Shapes, end: re.Pattern[str]) -> str | None:
    return next((name for name in own if end.search(name)), None)


def _without(shapes: Shapes, name: str) -> Shapes:
    return {key: shape for key, shape in shapes.items() if key != name}
