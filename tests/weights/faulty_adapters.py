"""One sound file with one faulty adapter for each code that is about what the tensors mean."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.weights.files import (
    ICON_LAYERS,
    Made,
    Tensors,
    build,
    icons,
    joined,
    kohya,
    lora,
    noise,
    pair,
    scalar,
    with_number,
    zeros,
)

_Q = "transformer.transformer_blocks.0.attn.to_q"
_FLUX1 = [(f"transformer_blocks.{n}.attn.to_q", 3072, 3072) for n in range(19)] + [
    (f"single_transformer_blocks.{n}.proj_out", 15360, 3072) for n in range(38)
]


def flux1(prefix: str = "transformer.") -> Tensors:
    """Make a rank-1 adapter over all blocks of FLUX.1."""
    return lora(_FLUX1, prefix, rank=1)


def _with(name: str, tensor: Made, base: Tensors | None = None) -> bytes:
    return build({**(base or icons()), name: tensor})


def _without(name: str) -> bytes:
    return build({key: tensor for key, tensor in icons().items() if key != name})


def _renamed(change: Callable[[str], str]) -> bytes:
    return build({change(name): tensor for name, tensor in icons().items()})


def _cast(dtype: str) -> bytes:
    return build(joined(pair(f"transformer.{name}", i, o, dtype=dtype) for name, i, o in ICON_LAYERS))


def _config(**fields: object) -> dict[str, str]:
    return {
        "lora_adapter_metadata": json.dumps({f"transformer.{name}": value for name, value in fields.items()})
    }


def _zero_up(every: int) -> bytes:
    tensors = icons()
    ups = [name for name in tensors if "lora_B" in name]
    return build({**tensors, **{name: zeros(*tensors[name].shape) for name in ups[::every]}})


def _tail() -> bytes:
    content = build(icons())
    return content[:-20_000] + bytes(20_000)


#: Code → the content of a file that provokes it; other findings may come along.
FAULTY: dict[str, Callable[[], bytes]] = {
    "PAIR_MISSING": lambda: _without(f"{_Q}.lora_B.weight"),
    "PAIR_RANK": lambda: _with(f"{_Q}.lora_B.weight", noise(256, 8)),
    "PAIR_SHAPE": lambda: _with(f"{_Q}.lora_A.weight", noise(512)),
    "RANK_VARIES": lambda: build({**icons(), **pair(_Q, 256, 256, rank=4)}),
    "KEYS_ADAPTER_NAME": lambda: _renamed(lambda name: name.replace(".weight", ".default.weight")),
    "KEYS_PREFIX": lambda: _renamed(lambda name: name.removeprefix("transformer.")),
    "KEYS_MIXED": lambda: build({**icons(), **pair("transformer_blocks.0.attn.to_out.0", 256, 256)}),
    "KEYS_UNKNOWN": lambda: _with("transformer.some.weight", noise(4, 4)),
    "SHAPE_MODULE": lambda: _with(f"{_Q}.lora_A.weight", noise(2, 100)),
    "TE_CLIP": lambda: build({**icons(), **pair("text_encoder.text_model.layers.0.q_proj", 8, 8)}),
    "TE_T5": lambda: build({**icons(), **kohya("lora_te3_encoder_block_0_layer_0_SelfAttention_q", 8, 8)}),
    "BUNDLED_EMBEDDING": lambda: _with("bundle_emb.tok.t5", noise(2, 8)),
    "BASE_UNKNOWN": lambda: build(lora([("model.layers.0.self_attn.q_proj", 64, 64)], "base_model.model.")),
    "BASE_AMBIGUOUS": lambda: build(flux1()),
    "BASE_PARTIAL": lambda: build(lora(ICON_LAYERS[:3])),
    "BASE_LABEL": lambda: build(icons(), {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"}),
    "ALPHA_MISSING": lambda: build(kohya("lora_unet_double_blocks_0_img_mlp_0", 3072, 12288, alpha=None)),
    "ALPHA_ZERO": lambda: _with(f"{_Q}.alpha", scalar(0)),
    "ALPHA_BAD": lambda: _with(f"{_Q}.alpha", scalar(float("nan"))),
    "ALPHA_DROPPED": lambda: build(
        kohya("transformer.transformer_blocks.0.ff.net.0.proj", 3072, 12288, alpha=1)
    ),
    "ALPHA_META_CONFLICT": lambda: build({**icons(), f"{_Q}.alpha": scalar(2)}, _config(r=2, lora_alpha=2)),
    "META_JSON": lambda: build(icons(), {"lora_adapter_metadata": "{r: 2"}),
    "META_NEWER_PEFT": lambda: build(icons(), _config(r=2, lora_alpha=2, hyper_mode=True)),
    "META_RANK_MISMATCH": lambda: build(icons(), _config(r=16, lora_alpha=16)),
    "ALGO_LOKR": lambda: build(
        {"diffusion_model.x.lokr_w1": noise(16, 16), "diffusion_model.x.lokr_w2": noise(8, 8)}
    ),
    "ALGO_LOHA": lambda: build({f"lora_unet_x.hada_w{n}_{s}": noise(8, 8) for n in (1, 2) for s in "ab"}),
    "ALGO_DORA": lambda: _with(f"{_Q}.lora_magnitude_vector", noise(256)),
    "ALGO_OFT": lambda: _with(f"{_Q}.oft_blocks", noise(4, 8, 8)),
    "DORA_PER_INPUT": lambda: _with(
        "lora_unet_x.dora_scale", noise(1, 64), {**icons(), **kohya("lora_unet_x", 64, 128)}
    ),
    "ALGO_OTHER": lambda: _with(f"{_Q}.w_norm", noise(256)),
    "ALGO_DIFF": lambda: _with("transformer.norm_out.linear.diff", noise(512, 256)),
    "ALGO_CONTROL": lambda: _with(f"{_Q}.lora_B.bias", noise(256)),
    "DTYPE_FP8": lambda: _cast("F8_E4M3"),
    "DTYPE_F6F4": lambda: build(
        {
            f"{_Q}.lora_A.weight": Made("F4", (2, 256), b"\x21" * 256),
            f"{_Q}.lora_B.weight": Made("F6_E2M3", (256, 2), b"\x21" * 384),
        }
    ),
    "DTYPE_UNREADABLE": lambda: _cast("I8"),
    "DTYPE_FP64": lambda: _cast("F64"),
    "DTYPE_MIXED": lambda: build({**icons(), **pair(_Q, 256, 256, dtype="BF16")}),
    "VAL_NAN": lambda: _with(f"{_Q}.lora_A.weight", with_number(noise(2, 256), float("nan"), 9)),
    "VAL_INF": lambda: _with(f"{_Q}.lora_A.weight", with_number(noise(2, 256), float("-inf"))),
    "VAL_ZERO_B_ALL": lambda: _zero_up(1),
    "VAL_ZERO_B_SOME": lambda: _zero_up(5),
    "VAL_ZERO_TAIL": _tail,
    "VAL_HUGE": lambda: _with(f"{_Q}.lora_A.weight", with_number(noise(2, 256), -4e6)),
    "PRIVACY_META": lambda: build(icons(), {"ss_tag_frequency": json.dumps({"10_tok": {"a dog": 4}})}),
    "TRIGGER_MISSING": lambda: build(icons()),
}
