"""The base model is told from names and shapes, and a wrong one is said precisely."""

from __future__ import annotations

import pytest

from lorry.weights import families, family
from lorry.weights.adapter.modules import read_adapter
from lorry.weights.bases.families import layer_names
from lorry.weights.bases.fitness import Judgement, judge_base
from lorry.weights.bases.identify import fit_to, noise_level
from lorry.weights.bases.names import to_diffusers
from lorry.weights.files.header import read_header
from lorry.weights.files.source import MemorySource
from tests.weights.faulty_adapters import flux1
from tests.weights.files import Tensors, build, icons, joined, kohya, lora, noise, pair, scalar
from tests.weights.test_codes import codes, report_on

KINDS = ("transformer_blocks", "single_transformer_blocks", "blocks")


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


def identity_of(content: Tensors, *labels: str, declared: str | None = None, file: str = "") -> Judgement:
    """Judge an adapter's base without the rest of the check."""
    header = read_header(MemorySource("x.safetensors", build(content)))
    return judge_base(read_adapter(header), header, labels, declared, file)


def every_block(key: str, *names: str) -> Tensors:
    """Make an adapter on the layers of a family whose names end so."""
    known = family(key)
    assert known is not None
    return lora([layer for layer in layer_names(known) if layer[0].endswith(names)], rank=1)


@pytest.mark.parametrize(
    ("inputs", "bases"),
    [
        (64, ["FLUX.1-dev", "FLUX.1-schnell", "FLUX.1-Kontext-dev", "FLUX.1-Krea-dev"]),
        (128, ["FLUX.1-dev", "FLUX.1-Canny-dev", "FLUX.1-Depth-dev"]),
        (384, ["FLUX.1-Fill-dev"]),
    ],
)
@pytest.mark.parametrize("name", ["transformer.x_embedder", "diffusion_model.img_in"])
def test_the_input_layer_tells_the_siblings_of_flux(name: str, inputs: int, bases: list[str]) -> None:
    """Fill takes 384 inputs and Control 128, also as a LoRA for dev (dossier 1.2); the rest takes 64."""
    judgement = identity_of({**flux1(name.partition(".")[0] + "."), **pair(name, inputs, 3072)})
    assert judgement.fit is not None
    assert judgement.fit.family.key == "flux1"
    assert not judgement.fit.misfits
    assert [base.id.partition("/")[2] for base in judgement.fit.bases] == bases
    assert (judgement.base is None) == (len(bases) > 1)


def test_another_sibling_than_the_declared_one_is_a_mismatch() -> None:
    """A file with Fill's input layer is not for dev, though the family is the same."""
    content = {**flux1(), **pair("transformer.x_embedder", 384, 3072)}
    judgement = identity_of(content, declared="black-forest-labs/FLUX.1-dev")
    [mismatch] = [found for found in judgement.findings if found.code == "BASE_MISMATCH"]
    assert "x_embedder takes 384 inputs in the file and 64 or 128 in black-forest-labs/FLUX.1-dev" in (
        mismatch.message
    )
    fill = identity_of(content, declared="black-forest-labs/FLUX.1-Fill-dev")
    assert "BASE_MISMATCH" not in [found.code for found in fill.findings]


def test_what_is_declared_is_what_the_report_is_about() -> None:
    """When the declared family fits all modules as well as another does, it is taken without an error."""
    content = attention(5, 3072)
    for key in ("flux1", "qwen-image", "flux2-klein-4b"):
        judgement = identity_of(content, declared=key)
        assert judgement.fit is not None
        assert judgement.fit.family.key == key
        assert judgement.confidence == 1.0
        assert "BASE_MISMATCH" not in [found.code for found in judgement.findings]


def test_a_declared_base_overrules_a_label() -> None:
    """The label may be wrong; it is said as a warning, and the declared base model is taken."""
    judgement = identity_of(flux1(), "flux-1-schnell", declared="black-forest-labs/FLUX.1-dev")
    assert judgement.base is not None
    assert judgement.base.id == "black-forest-labs/FLUX.1-dev"


def test_confidence_is_shared_among_equal_fits() -> None:
    """One family that all modules fit is sure; three are a third each; damaged modules take their share."""
    assert identity_of(flux1()).confidence == 1.0
    shared = identity_of(attention(5, 3072))
    assert shared.confidence == pytest.approx(1 / (1 + len(shared.identity.rivals)))
    assert len(shared.identity.rivals) >= 2
    damaged = {**flux1(), **pair("transformer.transformer_blocks.0.attn.to_q", 100, 3072)}
    assert identity_of(damaged).confidence == pytest.approx(56 / 57)
    assert identity_of(lora([("h.0.attn", 8, 8)])).confidence is None


def test_a_file_name_settles_what_nothing_else_does() -> None:
    """A name decides between families that fit equally and between base models, after every label."""
    content = attention(5, 3072)
    by_name = identity_of(content, file="my_qwen_image_style.safetensors")
    assert by_name.fit is not None
    assert by_name.fit.family.key == "qwen-image"
    labelled = identity_of(content, "flux1", file="my_qwen_image_style.safetensors")
    assert labelled.fit is not None
    assert labelled.fit.family.key == "flux1"
    kontext = identity_of(flux1(), file="toy-flux-kontext-v2.safetensors")
    assert kontext.base is not None
    assert kontext.base.id == "black-forest-labs/FLUX.1-Kontext-dev"


def test_image_to_video_is_told_from_text_to_video() -> None:
    """Wan 2.1 for images has keys and values of the image; without them both fit, the smaller first."""
    own = identity_of(every_block("wan2.1-i2v-14b", "attn2.add_k_proj", "attn2.to_q"))
    assert own.fit is not None
    assert own.fit.family.key == "wan2.1-i2v-14b"
    assert not own.identity.rivals
    both = identity_of(every_block("wan-14b", "attn1.to_q", "ffn.net.2"))
    assert both.fit is not None
    assert both.fit.family.key == "wan-14b"
    assert [fit.family.key for fit in both.identity.rivals] == ["wan2.1-i2v-14b"]


@pytest.mark.parametrize("key", ["wan-14b", "wan2.1-1.3b", "wan2.2-5b"])
def test_the_sizes_of_wan_differ_by_their_width(key: str) -> None:
    """Widths 5120, 1536 and 3072 tell them apart, and a label for all sizes is no contradiction."""
    judgement = identity_of(every_block(key, "attn1.to_q", "attn2.to_k"), "wan")
    assert judgement.fit is not None
    assert judgement.fit.family.key == key
    assert "BASE_LABEL" not in [found.code for found in judgement.findings]


@pytest.mark.parametrize(
    ("file", "level"),
    [
        ("style_high_noise.safetensors", "high"),
        ("style_000002000_low_noise.safetensors", "low"),
        ("Wan22-Style-HIGH.safetensors", "high"),
        ("style.lownoise.safetensors", "low"),
        ("flower.safetensors", None),
        ("highland_slow.safetensors", None),
        ("high_to_low.safetensors", None),
    ],
)
def test_a_wan_pair_is_told_by_the_file_names(file: str, level: str | None) -> None:
    """The tensors of both files have the same shapes; only the names say which is which."""
    assert noise_level(file) == level


def test_a_pair_of_wan_is_for_the_models_with_two_transformers() -> None:
    """A name with a noise level leaves Wan 2.2 A14B; a label of the family leaves the question open."""
    content = every_block("wan-14b", "attn1.to_q", "ffn.net.2")
    pair_of_two = identity_of(content, "wan_2.2_14b", file="style_high_noise.safetensors")
    [found] = [found for found in pair_of_two.findings if found.code == "BASE_AMBIGUOUS"]
    assert found.evidence["candidates"] == [
        "Wan-AI/Wan2.2-T2V-A14B-Diffusers",
        "Wan-AI/Wan2.2-I2V-A14B-Diffusers",
    ]


def test_kronecker_and_hadamard_factors_identify_too() -> None:
    """The size of a layer is the product of LoKr's factors, and the outer sizes of LoHa's (dossier 1.1)."""
    lokr: Tensors = {}
    loha: Tensors = {}
    for block in range(30):
        name = f"diffusion_model.layers.{block}.feed_forward.w1"
        lokr |= {f"{name}.lokr_w1": noise(16, 16), f"{name}.lokr_w2_a": noise(640, 2)}
        lokr |= {f"{name}.lokr_w2_b": noise(2, 240), f"{name}.alpha": scalar(2)}
        for factor in ("w1", "w2"):
            loha |= {f"{name}.hada_{factor}_a": noise(10240, 2), f"{name}.hada_{factor}_b": noise(2, 3840)}
    for content in (lokr, loha):
        judgement = identity_of(content)
        assert judgement.fit is not None
        assert judgement.fit.family.key == "z-image"
        assert judgement.fit.share == 1.0
        assert not judgement.identity.rivals


def test_the_reasons_of_all_families_are_kept() -> None:
    """Each family has its sentence, the best first."""
    reasons = identity_of(flux1()).reasons
    assert len(reasons) == len(families())
    assert reasons[0] == "FLUX.1 (19 + 38 blocks, width 3072): all 57 modules fit"


@pytest.mark.parametrize("key", [known.key for known in families()])
@pytest.mark.parametrize("prefix", ["transformer.", "lora_transformer_"])
def test_groups_are_judged_as_their_modules_are(key: str, prefix: str) -> None:
    """Whatever the family, each module is counted once, and named where its own name is a layer's."""
    known = family(key)
    assert known is not None
    names = [f"{kind}.{n}.attn.{w}" for n in (0, 3, 7, 40) for w in ("to_q", "to_out.0") for kind in KINDS]
    flat = prefix.endswith("_")
    content = lora([(name.replace(".", "_") if flat else name, 8, 8) for name in names], prefix, rank=1)
    adapter = read_adapter(read_header(MemorySource("x.safetensors", build(content))))
    found = fit_to(adapter, known)
    layers = {module.name for module in adapter.denoiser if to_diffusers(known, module.name, module.flat)}
    assert {misfit.module.name for misfit in found.misfits} | {m.name for m, _, _ in found.matched} == layers
    assert found.total == len(names)
    parts = (found.matched, found.misfits, found.outside, found.strangers)
    assert sum(map(len, parts)) == found.total
