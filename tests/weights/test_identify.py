"""The base model is told from names and shapes, and a wrong one is said precisely."""

from __future__ import annotations

import pytest

from lorry.weights import families, family
from lorry.weights.bases.families import layer_names
from tests.weights.faulty_adapters import flux1
from tests.weights.files import Tensors, build, icons, joined, kohya, lora
from tests.weights.test_codes import codes, report_on


def attention(blocks: int, width: int, prefix: str = "transformer.") -> Tensors:
    """Make an adapter on the joint attention of `transformer_blocks`."""
    layers = [
        (f"transformer_blocks.{n}.attn.{w}", width, width) for n in range(blocks) for w in ("to_q", "to_k")
    ]
    return lora(layers, prefix, rank=1)


@pytest.mark.parametrize("key", [known.key for known in families() if known.component != "text_model"])
def test_an_adapter_on_every_layer_is_recognised(key: str) -> None:
    """An adapter that touches all layers of a family is that family's, with all its modules counted."""
    known = family(key)
    assert known is not None
    layers = list(layer_names(known))
    slim = [
        (name, inputs, outputs) for name, inputs, outputs in layers if "ff" not in name and "mlp" not in name
    ]
    report = report_on(build(lora(slim[:400], f"{known.component}.", rank=1)))
    assert report.summary.family == key
    assert report.summary.modules == len(slim[:400])


def test_qwen_image_is_not_taken_for_flux() -> None:
    """Qwen-Image has FLUX.1's width and names; 60 blocks tell them apart (dossier, section 0, fact 4)."""
    content = build(attention(60, 3072))
    assert report_on(content).summary.family == "qwen-image"
    report = report_on(content, base="black-forest-labs/FLUX.1-dev")
    assert report.summary.family == "flux1", "what the user names overrules, as it fits some modules"
    [mismatch] = [found for found in report.findings if found.code == "BASE_MISMATCH"]
    assert "trained for Qwen-Image (60 blocks, width 3072)" in mismatch.message
    assert (
        "FLUX.1 (19 + 38 blocks, width 3072): 38 of 120 modules fit; 82 are beyond its blocks"
        in mismatch.message
    )


def test_a_flux_file_for_the_embedded_base_is_a_mismatch_only_when_asked() -> None:
    """A file of another family is no error by itself, and one when the embedded base is declared."""
    content = build(flux1())
    assert report_on(content).ok
    report = report_on(content, base="lorry/flux-icons-64")
    [mismatch] = report.errors
    assert mismatch.code == "BASE_MISMATCH"
    assert "FLUX.1 (19 + 38 blocks, width 3072)" in mismatch.message
    assert mismatch.evidence["expected"] == "flux-icons-64"


def test_every_candidate_keeps_its_reason() -> None:
    """A mismatch and an unknown base list for each family why it fits or does not."""
    for content, base in ((build(flux1()), "sdxl"), (build(lora([("h.0.attn", 8, 8)])), None)):
        [found] = [
            f
            for f in report_on(content, base=base).findings
            if "candidates" in f.evidence and "BASE_A" not in f.code
        ]
        assert len(found.evidence["candidates"]) == len(families())


def test_a_family_is_ambiguous_when_two_fit_and_a_label_decides() -> None:
    """Attention of the first 5 blocks fits FLUX.1, Qwen-Image and FLUX.2-klein-4B; a label settles it."""
    content = build(attention(5, 3072))
    [found] = [f for f in report_on(content).findings if f.code == "BASE_AMBIGUOUS"]
    assert all(name in found.message for name in ("FLUX.1", "Qwen-Image", "FLUX.2-klein-4B"))
    labelled = report_on(build(attention(5, 3072), {"modelspec.architecture": "Qwen-Image/lora"}))
    assert labelled.summary.family == "qwen-image"


def test_a_label_or_a_declaration_names_one_base_of_a_family() -> None:
    """Shapes can't tell dev from schnell; a header or `base` can, and then nothing is ambiguous."""
    labelled = report_on(build(flux1(), {"modelspec.architecture": "flux-1-dev/lora"}))
    assert labelled.summary.base == "black-forest-labs/FLUX.1-dev"
    assert "BASE_AMBIGUOUS" not in codes(labelled)
    declared = report_on(build(flux1()), base="black-forest-labs/FLUX.1-schnell")
    assert declared.summary.base == "black-forest-labs/FLUX.1-schnell"
    assert "BASE_AMBIGUOUS" not in codes(declared)


def test_an_unlisted_base_is_said_and_nothing_is_compared() -> None:
    """A base that the table lacks is no mismatch."""
    assert codes(report_on(build(icons()), base="somebody/their-model")).count("BASE_NOT_LISTED") == 1


def test_a_wrong_base_of_which_no_layer_fits_is_a_mismatch() -> None:
    """An adapter that fits no family is a mismatch with every family that is declared."""
    report = report_on(build(lora([("h.0.attn", 8, 8)])), base="flux1")
    assert {"BASE_UNKNOWN", "BASE_MISMATCH"} <= set(codes(report))


def test_damaged_modules_do_not_hide_the_family() -> None:
    """A file keeps its family when some of its modules have wrong sizes."""
    layers = [(f"single_transformer_blocks.{n}.proj_out", 1280, 256 if n else 255) for n in range(6)]
    report = report_on(build(lora(layers)))
    assert report.summary.family == "flux-icons-64"
    [found] = report.errors
    assert found.evidence["expected"] == (1280, 256)
    assert found.evidence["found"] == [1280, 255]


@pytest.mark.parametrize(("width", "key"), [(768, "sd1"), (1024, "sd2"), (2048, "sdxl")])
def test_u_nets_differ_by_their_text_width(width: int, key: str) -> None:
    """`attn2.to_k` has 768 inputs in SD1, 1024 in SD2 and 2048 in SDXL (dossier 1.3)."""
    name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    assert report_on(build(kohya(name, width, 640))).summary.family == key


def test_the_kohya_names_of_sdxl_are_known() -> None:
    """Kohya writes SDXL with the original names: input, middle and output blocks."""
    names = ["input_blocks_4_1", "middle_block_1", "output_blocks_5_1"]
    widths = [640, 1280, 640]
    parts = (
        kohya(f"lora_unet_{name}_transformer_blocks_1_attn1_to_q", w, w)
        for name, w in zip(names, widths, strict=True)
    )
    report = report_on(build(joined(parts)))
    assert report.summary.family == "sdxl"
    assert report.summary.modules == 3
