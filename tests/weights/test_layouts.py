"""What a diffusers-style loader does with each spelling, as measured in LoRA formats dossier 1.4."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorry.errors import OptionInvalid, SourceNotFound
from lorry.model.verdict import Outcome
from lorry.weights import family, predicted_modules
from lorry.weights.adapter.keys import Part, Role, read_key
from lorry.weights.bases.families import Family, layer_names
from tests.weights.files import Tensors, build, icons, joined, kohya, lora, pair
from tests.weights.test_codes import codes, report_on


def known(key: str) -> Family:
    """Find a family that must be there."""
    found = family(key)
    assert found is not None
    return found


NATIVE = [
    *((f"double_blocks.{n}.{w}_attn.qkv", 3072, 9216) for n in range(19) for w in ("img", "txt")),
    *((f"single_blocks.{n}.linear1", 3072, 21504) for n in range(38)),
]


def flat(name: str) -> str:
    """Turn a layer's dots into underscores, as kohya's trainers do."""
    return name.replace(".", "_")


def spelled_down(tensors: Tensors) -> Tensors:
    """Respell PEFT's words as kohya's, without alpha."""
    return {
        name.replace("lora_A", "lora_down").replace("lora_B", "lora_up"): t for name, t in tensors.items()
    }


COMFY = "diffusion_model."
NORM = ("transformer_blocks.0.norm1.linear", 3072, 18432)
FLUX1: dict[str, tuple[Outcome, Tensors]] = {
    "bare diffusers": (Outcome.IGNORED, lora([("transformer_blocks.0.attn.to_q", 3072, 3072)], "")),
    "diffusers": (Outcome.OK, lora([("transformer_blocks.0.attn.to_q", 3072, 3072)])),
    "comfyui diffusers": (Outcome.IGNORED, lora([NORM], COMFY)),
    "comfyui native": (Outcome.IGNORED, lora([("double_blocks.0.img_mlp.0", 3072, 12288)], COMFY)),
    "comfyui native kohya": (Outcome.OK, kohya("diffusion_model.double_blocks.0.img_mlp.0", 3072, 12288)),
    "peft": (Outcome.REFUSED, lora([NORM], "base_model.model.")),
    "kohya native": (Outcome.OK, kohya("lora_unet_double_blocks_0_img_mlp_0", 3072, 12288)),
    "kohya diffusers": (Outcome.REFUSED, kohya("lora_unet_transformer_blocks_0_norm1_linear", 3072, 18432)),
    "onetrainer": (Outcome.OK, kohya("lora_transformer_transformer_blocks_0_attn_to_q", 3072, 3072)),
    "onetrainer, a layer that is refused": (
        Outcome.REFUSED, kohya("lora_transformer_transformer_blocks_0_norm1_linear", 3072, 18432),
    ),
    "onetrainer, no alpha": (
        Outcome.REFUSED, kohya("lora_transformer_transformer_blocks_0_norm1_linear", 3072, 18432, alpha=None),
    ),
    "lycoris": (Outcome.REFUSED, kohya("lycoris_transformer_blocks_0_norm1_linear", 3072, 18432)),
    "diffusers, down and alpha": (
        Outcome.ALPHA_DROPPED, kohya("transformer.transformer_blocks.0.norm1.linear", 3072, 18432),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FLUX1)
def test_flux1_layouts_have_their_measured_outcome(name: str) -> None:
    """For FLUX.1 each spelling is reported as its loader treats it, and counted so."""
    outcome, tensors = FLUX1[name]
    report = report_on(build(tensors), base="flux1")
    assert ("KEYS_PREFIX" in codes(report)) is (outcome in (Outcome.IGNORED, Outcome.REFUSED))
    assert report.summary.modules == (1 if outcome in (Outcome.OK, Outcome.ALPHA_DROPPED) else 0)
    found = [f.evidence["outcome"] for f in report.findings if f.code == "KEYS_PREFIX"]
    assert found in ([], [str(outcome)])


def test_fused_layers_count_as_the_layers_they_become() -> None:
    """A kohya file on all native linears of FLUX.1 becomes 418 diffusers layers (dossier, section 6)."""
    layers = [
        *NATIVE,
        *((f"double_blocks.{n}.{w}_attn.proj", 3072, 3072) for n in range(19) for w in ("img", "txt")),
        *((f"double_blocks.{n}.{w}_mlp.{m}", *size) for n in range(19) for w in ("img", "txt")
          for m, size in ((0, (3072, 12288)), (2, (12288, 3072)))),
        *((f"single_blocks.{n}.linear2", 15360, 3072) for n in range(38)),
    ]  # fmt: skip
    tensors = joined(kohya(f"lora_unet_{flat(name)}", i, o, rank=1) for name, i, o in layers)
    report = report_on(build(tensors))
    assert report.summary.family == "flux1"
    assert report.summary.modules == 418
    assert report.summary.alpha == 1.0


def test_z_image_reads_only_part_of_the_comfyui_layout() -> None:
    """Z-Image's fused qkv is ignored in the ComfyUI layout, its feed-forward is loaded (dossier 1.4)."""
    layers = [("layers.0.attention.qkv", 3840, 11520), ("layers.0.feed_forward.w1", 3840, 10240)]
    report = report_on(build(lora(layers, "diffusion_model.")))
    assert report.summary.family == "z-image"
    assert report.summary.modules == 1
    assert "KEYS_PREFIX" in codes(report)


def test_only_the_diffusers_layout_reaches_the_embedded_base() -> None:
    """The embedded base takes `transformer.<layer>.lora_A/B`, with or without alpha; all else is ignored."""
    layers = [("transformer_blocks.0.attn.to_q", 256, 256)]
    assert report_on(build(lora(layers))).summary.modules == 1
    for tensors in (
        lora(layers, ""),
        lora(layers, "diffusion_model."),
        lora(layers, "base_model.model."),
        spelled_down(lora(layers)),
        kohya("lora_unet_transformer_blocks_0_attn_to_q", 256, 256),
    ):
        report = report_on(build(tensors))
        assert report.summary.family == "flux-icons-64"
        assert report.summary.modules == 0
        assert not report.ok


def test_flattened_names_are_reversible() -> None:
    """Within a family no two layers become the same name when dots become underscores (dossier 1.3)."""
    for key in ("flux-icons-64", "flux1", "qwen-image", "z-image", "sdxl"):
        names = [name for name, _, _ in layer_names(known(key))]
        assert len({flat(name) for name in names}) == len(names)


def test_predicted_modules_counts_what_a_loader_changes(tmp_path: Path) -> None:
    """The prediction is what the family's usual loader changes: nothing of a file that it refuses."""
    path = tmp_path / "lora.safetensors"
    tensors = icons()
    path.write_bytes(build(tensors))
    assert predicted_modules(path, "flux-icons-64") == 30
    assert predicted_modules(path, "lorry/flux-icons-64") == 30
    assert predicted_modules(path, "flux1") == 0
    path.write_bytes(build({**tensors, **pair("transformer.no.such.layer", 256, 256)}))
    assert predicted_modules(path, "flux-icons-64") == 30
    path.write_bytes(build({**tensors, **pair("transformer_blocks.0.attn.to_out.0", 256, 256)}))
    assert predicted_modules(path, "flux-icons-64") == 30, "the bare layer is ignored"
    del tensors["transformer.transformer_blocks.0.attn.to_q.lora_B.weight"]
    path.write_bytes(build(tensors))
    assert predicted_modules(path, "flux-icons-64") == 0, "a matrix without its partner is refused"
    path.write_bytes(b"<html>")
    assert predicted_modules(path, "flux-icons-64") == 0
    path.write_bytes(build(icons())[:-5])
    assert predicted_modules(path, "flux-icons-64") == 0


def test_predicted_modules_says_what_is_wrong_with_the_call(tmp_path: Path) -> None:
    """A missing file and an unknown family are errors of the caller, not zeros."""
    with pytest.raises(SourceNotFound):
        predicted_modules(tmp_path / "none", "flux1")
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(OptionInvalid, match="flux9"):
        predicted_modules(tmp_path / "x", "flux9")


@pytest.mark.parametrize(
    ("name", "layout", "module", "role"),
    [
        ("transformer.a.b.lora_A.weight", "diffusers", "a.b", Role.DOWN),
        ("transformer.a.b.lora_B.default_0.weight", "diffusers", "a.b", Role.UP),
        ("unet.a.attn1.processor.to_out_lora.up.weight", "diffusers", "a.attn1.to_out.0", Role.UP),
        ("unet.a.to_q.lora.down.weight", "diffusers", "a.to_q", Role.DOWN),
        (
            "double_blocks.3.processor.qkv_lora1.up.weight",
            "xlabs",
            "double_blocks.3.processor.qkv_lora1",
            Role.UP,
        ),
        ("lora_unet_a_b.alpha", "kohya", "a_b", Role.ALPHA),
        ("diffusion_model.a.lokr_w2_b", "comfyui", "a", Role.LOKR),
        ("base_model.model.a.lora_magnitude_vector.default.weight", "peft", "a", Role.DORA),
        ("transformer.a.lora_magnitude_vector", "diffusers", "a", Role.DORA),
        ("transformer.base_model.model.a.lora_A.weight", "double-wrapped", "a", Role.DOWN),
        ("double_blocks.0.img_attn.proj.lora_B.bias", "bare", "double_blocks.0.img_attn.proj", Role.BIAS),
        ("model.mlp.down.weight", "bare", "model.mlp.down.weight", Role.UNKNOWN),
    ],
)
def test_a_key_is_taken_apart(name: str, layout: str, module: str, role: Role) -> None:
    """Prefix, layer and matrix are told apart on their own (dossier 1.1)."""
    key = read_key(name)
    assert (key.layout, key.module, key.role) == (layout, module, role)


def test_t5_is_told_from_clip_by_its_layers() -> None:
    """`lora_te2_` is T5 with OneTrainer and CLIP-G elsewhere: the layer's name decides (dossier 1.1)."""
    assert read_key("lora_te2_encoder_block_0_layer_0_SelfAttention_q.lora_up.weight").part is Part.T5
    assert read_key("lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_up.weight").part is Part.CLIP
