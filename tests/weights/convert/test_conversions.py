"""Every conversion of the dossier's table (section 6), by its values: the result acts as the source did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lorry.errors import ConversionRefused
from lorry.weights import check
from tests.weights.convert.deltas import KOHYA, close, dtypes, pair, probe, random, read, seen, stored
from tests.weights.convert.running import rerun, run
from tests.weights.files import Tensors, build, joined, scalar

BLOCK = "transformer_blocks.0"
TO_Q = (f"{BLOCK}.attn.to_q", 3072, 3072)


def source(tensors: Tensors) -> dict[str, np.ndarray]:
    """Decode tensors that were made for a file."""
    from tests.weights.convert.deltas import numbers

    return {name: numbers(made.dtype, made.data).reshape(made.shape) for name, made in tensors.items()}


def test_1_fused_layers_of_flux1_are_split(tmp_path: Path) -> None:
    """Fused qkv and linear1 become diffusers' layers: they share the matrix at the input."""
    tensors = joined(
        [
            pair("diffusion_model.double_blocks.3.img_attn.qkv", 3072, 9216, seed=1),
            pair("diffusion_model.single_blocks.5.linear1", 3072, 21504, seed=2),
            pair("diffusion_model.double_blocks.3.txt_mlp.2", 12288, 3072, seed=3),
            pair("diffusion_model.final_layer.adaLN_modulation.1", 3072, 6144, seed=4),
        ]
    )
    done, after = run(tmp_path, tensors)
    before = source(tensors)
    qkv = seen(before, "diffusion_model.double_blocks.3.img_attn.qkv")
    for place, word in enumerate(("to_q", "to_k", "to_v")):
        found = seen(after, f"transformer.transformer_blocks.3.attn.{word}")
        assert close(qkv[3072 * place : 3072 * (place + 1)], found, 1e-12)
    linear = seen(before, "diffusion_model.single_blocks.5.linear1")
    block = "transformer.single_transformer_blocks.5"
    parts = [seen(after, f"{block}.{word}") for word in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")]
    assert close(linear, np.concatenate(parts), 1e-12)
    scale_first = seen(before, "diffusion_model.final_layer.adaLN_modulation.1")
    swapped = np.concatenate([scale_first[3072:], scale_first[:3072]])
    assert close(swapped, seen(after, "transformer.norm_out.linear"), 1e-12)
    assert (done.modules, done.layers, done.after.modules) == (4, 9, 9)
    assert done.losses is None
    assert check(done.file).ok


@pytest.mark.parametrize("prefix", ["base_model.model.", "", "transformer.base_model.model."])
def test_2_and_3_prefixes(tmp_path: Path, prefix: str) -> None:
    """What PEFT, DiffSynth or a broken export put before the names becomes `transformer.`, bit for bit."""
    tensors = pair(f"{prefix}{TO_Q[0]}", *TO_Q[1:], dtype="BF16")
    done, after = run(tmp_path, tensors)
    before = source(tensors)
    for name, values in before.items():
        assert np.array_equal(after[f"transformer.{name.removeprefix(prefix)}"], values)
    assert done.after.layout == "diffusers"
    assert done.largest_change < 1e-12


@pytest.mark.parametrize("word", ["default", "default_0", "ours"])
def test_4_adapter_names_leave_the_keys(tmp_path: Path, word: str) -> None:
    """`lora_A.default.weight` becomes `lora_A.weight`."""
    tensors = {
        name.replace(".weight", f".{word}.weight"): made
        for name, made in pair(f"transformer.{TO_Q[0]}", *TO_Q[1:]).items()
    }
    done, after = run(tmp_path, tensors)
    assert set(after) == {f"transformer.{TO_Q[0]}.lora_{matrix}.weight" for matrix in "AB"}
    assert any(word in step for step in done.steps)


@pytest.mark.parametrize(("alpha", "words"), [(1.0, "exact"), (8.0, "exact"), (3.0, "rounded to BF16")])
def test_5_alpha_is_multiplied_in(tmp_path: Path, alpha: float, words: str) -> None:
    """Strength goes into the matrix at the output: exact for powers of two, else by half a last bit."""
    tensors = pair(f"transformer.{TO_Q[0]}", *TO_Q[1:], alpha=alpha, words=KOHYA, dtype="BF16")
    done, after = run(tmp_path, tensors, base="flux1")
    assert set(after) == {f"transformer.{TO_Q[0]}.lora_{matrix}.weight" for matrix in "AB"}
    before = seen(source(tensors), f"transformer.{TO_Q[0]}", KOHYA)
    assert close(before, seen(after, f"transformer.{TO_Q[0]}"), 0.0 if words == "exact" else 2**-8)
    assert any(words in step for step in done.steps)
    assert dtypes(done.file) == {"BF16"}


@pytest.mark.parametrize("prefix", ["", "diffusion_model.", "lora_unet_"])
def test_6_and_7_wan(tmp_path: Path, prefix: str) -> None:
    """Wan's own names, bare or musubi's underscores, also when only some blocks are there."""
    flat = prefix == "lora_unet_"
    layers = [
        ("blocks.7.self_attn.q", 5120, 5120),
        ("blocks.7.ffn.0", 5120, 13824),
        ("blocks.31.cross_attn.o", 5120, 5120),
    ]
    words = KOHYA if flat else ("lora_A", "lora_B")
    names = [prefix + (name.replace(".", "_") if flat else name) for name, _, _ in layers]
    tensors = joined(
        pair(name, inputs, outputs, seed=place, words=words, alpha=2.0 if flat else None)
        for place, (name, (_, inputs, outputs)) in enumerate(zip(names, layers, strict=True))
    )
    _, after = run(tmp_path, tensors)
    wanted = ("blocks.7.attn1.to_q", "blocks.7.ffn.net.0.proj", "blocks.31.attn2.to_out.0")
    for name, layer in zip(names, wanted, strict=True):
        assert close(seen(source(tensors), name, words), seen(after, f"transformer.{layer}"))


def test_6_to_comfyui_bare_wan_gets_its_prefix(tmp_path: Path) -> None:
    """Bare native names only get `diffusion_model.` when ComfyUI's layout is asked for."""
    tensors = pair("blocks.7.self_attn.q", 5120, 5120)
    _, after = run(tmp_path, tensors, to="comfyui")
    assert set(after) == {f"diffusion_model.{name}" for name in tensors}


def test_8_z_image(tmp_path: Path) -> None:
    """Z-Image's fused qkv and its out become to_q, to_k, to_v and to_out.0."""
    tensors = joined(
        [
            pair("diffusion_model.layers.2.attention.qkv", 3840, 11520, seed=1),
            pair("diffusion_model.layers.2.attention.out", 3840, 3840, seed=2),
            pair("diffusion_model.context_refiner.1.feed_forward.w1", 3840, 10240, seed=3),
        ]
    )
    _, after = run(tmp_path, tensors)
    before = source(tensors)
    layer = "transformer.layers.2.attention"
    parts = [seen(after, f"{layer}.{word}") for word in ("to_q", "to_k", "to_v")]
    assert close(seen(before, "diffusion_model.layers.2.attention.qkv"), np.concatenate(parts))
    assert close(seen(before, "diffusion_model.layers.2.attention.out"), seen(after, f"{layer}.to_out.0"))
    assert "transformer.context_refiner.1.feed_forward.w1.lora_A.weight" in after


@pytest.mark.parametrize(
    ("name", "size", "base", "layer"),
    [
        (
            "lora_unet_transformer_blocks_5_attn1_to_q",
            (2048, 2048),
            "ltx-2b",
            "transformer_blocks.5.attn1.to_q",
        ),
        (
            "lora_unet_joint_blocks_3_x_block_mlp_fc1",
            (1536, 6144),
            "sd3-medium",
            "transformer_blocks.3.ff.net.0.proj",
        ),
        (
            "lora_transformer_transformer_blocks_0_norm1_linear",
            (3072, 18432),
            "flux1",
            "transformer_blocks.0.norm1.linear",
        ),
        (
            "lycoris_transformer_blocks_0_norm1_linear",
            (3072, 18432),
            "flux1",
            "transformer_blocks.0.norm1.linear",
        ),
        (
            "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q",
            (640, 640),
            "sdxl",
            "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        ),
        (
            "transformer.double_blocks.0.img_attn.qkv.1",
            (3072, 3072),
            "flux1",
            "transformer_blocks.0.attn.to_k",
        ),
        (
            "double_blocks.0.processor.proj_lora2",
            (3072, 3072),
            "flux1",
            "transformer_blocks.0.attn.to_add_out",
        ),
    ],
)
def test_9_any_spelling_through_the_table(
    tmp_path: Path, name: str, size: tuple[int, int], base: str, layer: str
) -> None:
    """Flattened, split and attention-processor names become layers of the table."""
    words = ("down", "up") if ".processor." in name else KOHYA
    tensors = pair(name, *size, alpha=None if ".processor." in name else 4.0, words=words)
    _, after = run(tmp_path, tensors, base=base)
    component = "unet" if base == "sdxl" else "transformer"
    assert close(seen(source(tensors), name, words), seen(after, f"{component}.{layer}"))


def test_10_what_blocks_loaders_is_left_out(tmp_path: Path) -> None:
    """T5, bundled embeddings and full differences go, each is said; CLIP stays under its diffusers name."""
    clip = "text_model_encoder_layers_0_self_attn_q_proj"
    tensors = joined(
        [
            pair("lora_unet_double_blocks_0_img_attn_proj", 3072, 3072, alpha=2.0, words=KOHYA),
            pair(f"lora_te1_{clip}", 768, 768, alpha=1.0, words=KOHYA, seed=5),
            pair("lora_te3_encoder_block_0_layer_0_SelfAttention_q", 4096, 4096, alpha=2.0, words=KOHYA),
            {"bundle_emb.tok.clip_l": random(2, 768, seed=1)},
            {"lora_unet_double_blocks_1_img_attn_proj.diff": random(4, 4, seed=2)},
        ]
    )
    done, after = run(tmp_path, tensors)
    modules = {name.partition(".lora_")[0] for name in after}
    text = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
    assert modules == {"transformer.transformer_blocks.0.attn.to_out.0", text}
    assert close(seen(source(tensors), f"lora_te1_{clip}", KOHYA), seen(after, text))
    said = "; ".join(done.steps)
    assert all(word in said for word in ("T5 left out", "embeddings left out", "full differences"))


def test_10_what_other_loaders_read_is_a_loss_for_them(tmp_path: Path) -> None:
    """ComfyUI reads full differences and A1111 embeddings: leaving them out is a loss there."""
    tensors = {
        **pair("lora_unet_double_blocks_0_img_attn_proj", 3072, 3072, alpha=2.0, words=KOHYA),
        "bundle_emb.tok.clip_l": random(2, 768, seed=1),
        "lora_unet_double_blocks_1_img_attn_proj.diff": random(4, 4, seed=2),
    }
    with pytest.raises(ConversionRefused, match="full differences"):
        run(tmp_path, tensors, to="comfyui")
    done, after = rerun(tmp_path / "in", tmp_path / "out", to="kohya", lossy=True)
    assert len(after) == 3
    assert sum("left out" in step for step in done.steps) == 2


def test_10_the_config_in_the_header_goes_into_the_weights(tmp_path: Path) -> None:
    """lora_adapter_metadata states the strength of the source, and is gone from the result."""
    tensors = pair(f"transformer.{TO_Q[0]}", *TO_Q[1:], rank=4)
    config = '{"transformer.r": 4, "transformer.lora_alpha": 16, "transformer.novelty": 1}'
    done, after = run(tmp_path, tensors, {"lora_adapter_metadata": config, "software": "x"})
    before = 4.0 * seen(source(tensors), f"transformer.{TO_Q[0]}")
    assert close(before, seen(after, f"transformer.{TO_Q[0]}"))
    metadata = read(done.file)[1]
    assert "lora_adapter_metadata" not in metadata
    assert metadata["software"] == "x"
    assert metadata["converted_by"].startswith("lorry ")


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ('{"transformer.r": 4, "transformer.lora_alpha": 8, "transformer.use_rslora": true}', 4.0),
        ('{"transformer.r": 8, "transformer.lora_alpha": 8}', 2.0),
        ('{"r": 4, "lora_alpha": 4, "alpha_pattern": {"to_q": 2}}', 0.5),
    ],
)
def test_10_every_way_of_stating_strength_in_the_header(tmp_path: Path, config: str, scale: float) -> None:
    """Rank-stabilised scales, a rank that the tensors contradict, and patterns are read as peft does."""
    tensors = pair(f"transformer.{TO_Q[0]}", *TO_Q[1:], rank=4)
    _, after = run(tmp_path, tensors, {"lora_adapter_metadata": config})
    assert close(
        scale * seen(source(tensors), f"transformer.{TO_Q[0]}"), seen(after, f"transformer.{TO_Q[0]}")
    )


def test_10_alpha_tensors_come_before_the_header(tmp_path: Path) -> None:
    """Where both state a strength, the tensors are believed, as loaders do."""
    tensors = pair(f"transformer.{TO_Q[0]}", *TO_Q[1:], rank=4, alpha=2.0)
    _, after = run(tmp_path, tensors, {"lora_adapter_metadata": '{"transformer.lora_alpha": 64}'})
    assert close(seen(source(tensors), f"transformer.{TO_Q[0]}"), seen(after, f"transformer.{TO_Q[0]}"))


def test_10_a_config_that_cannot_be_read_needs_alpha(tmp_path: Path) -> None:
    """A strength that nobody can read is asked for, not guessed."""
    tensors = pair(f"transformer.{TO_Q[0]}", *TO_Q[1:], rank=4)
    with pytest.raises(ConversionRefused, match="strength") as refused:
        run(tmp_path, tensors, {"lora_adapter_metadata": "{"})
    assert "--alpha" in refused.value.fix
    _, after = rerun(tmp_path / "in", tmp_path / "out", alpha=8.0)
    assert close(2.0 * seen(source(tensors), f"transformer.{TO_Q[0]}"), seen(after, f"transformer.{TO_Q[0]}"))


@pytest.mark.parametrize(
    ("dtype", "written"), [("F32", "F32"), ("F16", "F16"), ("BF16", "BF16"), ("F64", "BF16")]
)
def test_11_data_types(tmp_path: Path, dtype: str, written: str) -> None:
    """Types that loaders compute with stay; 64 bits become bfloat16."""
    tensors = pair(f"transformer.{TO_Q[0]}", *TO_Q[1:], dtype=dtype)
    done, after = run(tmp_path, tensors)
    assert dtypes(done.file) == {written}
    tolerance = 2**-8 if dtype == "F64" else 0.0
    assert close(
        seen(source(tensors), f"transformer.{TO_Q[0]}"), seen(after, f"transformer.{TO_Q[0]}"), tolerance
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [("bf16", 2**-8), ("f16", 2**-10), ("f32", 0.0)])
def test_11_a_data_type_that_is_asked_for(tmp_path: Path, dtype: str, tolerance: float) -> None:
    """Any of the three types can be had, and how far numbers are rounded is within its last bit."""
    tensors = pair(f"transformer.{TO_Q[0]}", *TO_Q[1:])
    done, after = run(tmp_path, tensors, dtype=dtype)
    assert dtypes(done.file) == {dtype.upper()}
    assert close(
        seen(source(tensors), f"transformer.{TO_Q[0]}"), seen(after, f"transformer.{TO_Q[0]}"), tolerance
    )


def test_11_eight_bits_become_bfloat16(tmp_path: Path) -> None:
    """E4M3 fits into bfloat16 exactly."""
    from tests.weights.files import Made

    name = f"transformer.{TO_Q[0]}"
    codes = np.random.default_rng(1).integers(0x20, 0x50, size=2 * 3072).astype("u1")
    tensors = {
        f"{name}.lora_A.weight": Made("F8_E4M3", (2, 3072), codes.tobytes()),
        f"{name}.lora_B.weight": Made("F8_E4M3", (3072, 2), codes.tobytes()),
    }
    done, after = run(tmp_path, tensors)
    exponent, mantissa = (codes >> 3).astype(int), (codes & 7) / 8
    assert np.array_equal(after[f"{name}.lora_A.weight"].ravel(), (1 + mantissa) * 2.0 ** (exponent - 7))
    assert dtypes(done.file) == {"BF16"}


@pytest.mark.parametrize(("tail", "word"), [(bytes(5000), "zeros"), (b"\r\n", "line ends")])
def test_11_padding_behind_the_weights_is_cut_off(tmp_path: Path, tail: bytes, word: str) -> None:
    """Zeros of a preallocated file and line ends of a text copy go, and it is said."""
    file = tmp_path / "x.safetensors"
    file.write_bytes(build(pair(f"transformer.{TO_Q[0]}", *TO_Q[1:])) + tail)
    done, after = rerun(file, tmp_path / "out")
    assert len(after) == 2
    assert any(word in step and f"{len(tail):,} bytes" in step for step in done.steps)


def test_11_anything_else_behind_the_weights_stays_a_fault(tmp_path: Path) -> None:
    """Bytes that are no padding may be anything: nothing is cut off."""
    file = tmp_path / "x.safetensors"
    file.write_bytes(build(pair(f"transformer.{TO_Q[0]}", *TO_Q[1:])) + bytes(100) + b"weights")
    with pytest.raises(ConversionRefused, match="107 bytes"):
        rerun(file, tmp_path / "out")


def test_metadata_that_is_no_text_becomes_text(tmp_path: Path) -> None:
    """The library refuses numbers in the metadata; written as text they are accepted."""
    done, _ = run(tmp_path, pair(f"transformer.{TO_Q[0]}", *TO_Q[1:]), {"steps": 100, "software": "x"})
    metadata = read(done.file)[1]
    assert (metadata["steps"], metadata["software"]) == ("100", "x")


def test_mixed_spellings_become_one(tmp_path: Path) -> None:
    """A file of two layouts comes out in one."""
    tensors = joined(
        [
            pair(f"transformer.{TO_Q[0]}", *TO_Q[1:]),
            pair("lora_unet_double_blocks_0_img_mlp_0", 3072, 12288, alpha=1.0, words=KOHYA, seed=1),
        ]
    )
    _, after = run(tmp_path, tensors)
    assert all(name.startswith("transformer.transformer_blocks.0.") for name in after)
    assert close(
        seen(source(tensors), "lora_unet_double_blocks_0_img_mlp_0", KOHYA),
        seen(after, "transformer.transformer_blocks.0.ff.net.0.proj"),
    )


def test_reverse_layers_of_their_own_get_the_rank_of_all(tmp_path: Path) -> None:
    """to_q, to_k and to_v with their own input matrices fuse to a rank three times as high, exactly."""
    tensors = joined(
        pair(f"transformer.{BLOCK}.attn.to_{word}", 3072, 3072, seed=place)
        for place, word in enumerate("qkv")
    )
    _, after = run(tmp_path, tensors, to="kohya")
    name = "lora_unet_double_blocks_0_img_attn_qkv"
    assert after[f"{name}.lora_down.weight"].shape == (6, 3072)
    before = source(tensors)
    parts = [seen(before, f"transformer.{BLOCK}.attn.to_{word}") for word in "qkv"]
    assert close(np.concatenate(parts), seen(after, name, KOHYA), 1e-12)


def test_reverse_layers_with_one_input_matrix_keep_the_rank(tmp_path: Path) -> None:
    """What was split from one fused layer fuses back bit for bit, and a missing part is zero."""
    tensors = pair("lora_unet_double_blocks_0_img_attn_qkv", 3072, 9216, alpha=2.0, words=KOHYA)
    done, _ = run(tmp_path, tensors)
    done, after = rerun(done.file, tmp_path / "back", to="kohya")
    before = source(tensors)
    assert set(after) == set(before)
    assert all(np.array_equal(after[name], before[name]) for name in before)
    half = pair(f"transformer.{BLOCK}.attn.to_k", 3072, 3072)
    _, after = run(tmp_path / "half", half, to="comfyui")
    found = seen(after, "diffusion_model.double_blocks.0.img_attn.qkv")
    assert not found[:3072].any()
    assert not found[6144:].any()
    assert close(seen(source(half), f"transformer.{BLOCK}.attn.to_k"), found[3072:6144])


def test_comfyui_states_alpha_only_where_folding_would_round(tmp_path: Path) -> None:
    """A power of two goes into the weights; for another strength an alpha tensor keeps every bit."""
    tensors = joined(
        [
            pair("lora_unet_double_blocks_0_img_mlp_0", 3072, 12288, alpha=1.0, words=KOHYA, dtype="BF16"),
            pair(
                "lora_unet_double_blocks_1_img_mlp_0",
                3072,
                12288,
                alpha=3.0,
                words=KOHYA,
                dtype="BF16",
                seed=1,
            ),
        ]
    )
    _, after = run(tmp_path, tensors, to="comfyui")
    assert [name for name in after if name.endswith(".alpha")] == [
        "diffusion_model.double_blocks.1.img_mlp.0.alpha"
    ]
    for block in (0, 1):
        before = seen(source(tensors), f"lora_unet_double_blocks_{block}_img_mlp_0", KOHYA)
        assert close(before, seen(after, f"diffusion_model.double_blocks.{block}.img_mlp.0"), 1e-12)


def test_lokr_with_a_loss(tmp_path: Path) -> None:
    """A LoKr is refused without --lossy, and with it the loss that is stated is the true one."""
    rng = np.random.default_rng(7)
    name = f"lycoris_{TO_Q[0].replace('.', '_')}"
    w1, w2 = rng.normal(size=(16, 16)), rng.normal(size=(192, 192)) * 0.01
    tensors = {f"{name}.lokr_w1": stored(w1), f"{name}.lokr_w2": stored(w2), f"{name}.alpha": scalar(1.0)}
    with pytest.raises(ConversionRefused, match="rank 3072") as refused:
        run(tmp_path, tensors, base="flux1")
    assert "--lossy --rank" in refused.value.fix
    done, after = rerun(tmp_path / "in", tmp_path / "out", base="flux1", lossy=True, rank=64)
    assert after[f"transformer.{TO_Q[0]}.lora_A.weight"].shape == (64, 3072)
    values = np.sort(np.outer(*(np.linalg.svd(w, compute_uv=False) for w in (w1, w2))).ravel())[::-1]
    lost = float((values[64:] ** 2).sum() / (values**2).sum())
    assert done.losses is not None
    assert done.losses.total**2 == pytest.approx(lost, rel=1e-3)
    assert done.losses.modules[0].energy == pytest.approx(lost, rel=1e-3)
    assert f"{100 * lost:.3g}%" in str(done.losses)


def test_lokr_that_fits_is_exact(tmp_path: Path) -> None:
    """Small factors have a small rank: the LoKr is written out without a loss, also when it is split."""
    rng = np.random.default_rng(8)
    name = "diffusion_model.joint_blocks.0.x_block.attn.qkv"
    parts = {"w1": (4, 4), "w2_a": (1152, 2), "w2_b": (2, 384)}
    tensors = {f"{name}.lokr_{word}": stored(rng.normal(size=shape) * 0.1) for word, shape in parts.items()}
    tensors[f"{name}.alpha"] = scalar(1.0)
    done, after = run(tmp_path, tensors, base="sd3-medium")
    found = source(tensors)
    full = 0.5 * np.kron(found[f"{name}.lokr_w1"], found[f"{name}.lokr_w2_a"] @ found[f"{name}.lokr_w2_b"])
    got = [seen(after, f"transformer.{BLOCK}.attn.to_{word}") for word in "qkv"]
    assert close(full @ probe(1536), np.concatenate(got), 1e-5)
    assert done.losses is None
    assert after[f"transformer.{BLOCK}.attn.to_q.lora_A.weight"].shape == (8, 1536)


def test_loha(tmp_path: Path) -> None:
    """A LoHa of rank 3 is a LoRA of rank 9; cut to 4, the loss is stated."""
    rng = np.random.default_rng(9)
    name = f"lora_unet_{TO_Q[0].replace('.', '_')}"
    shapes = {"w1_a": (3072, 3), "w1_b": (3, 3072), "w2_a": (3072, 3), "w2_b": (3, 3072)}
    tensors = {f"{name}.hada_{word}": stored(rng.normal(size=shape) * 0.1) for word, shape in shapes.items()}
    tensors[f"{name}.alpha"] = scalar(3.0)
    found = source(tensors)
    one, two = (found[f"{name}.hada_{w}_a"] @ found[f"{name}.hada_{w}_b"] for w in ("w1", "w2"))
    full = (one * two) @ probe(3072)
    done, after = run(tmp_path, tensors, base="flux1")
    assert close(full, seen(after, f"transformer.{TO_Q[0]}"), 1e-5)
    assert done.losses is None
    done, after = rerun(tmp_path / "in", tmp_path / "cut", base="flux1", lossy=True, rank=4)
    assert after[f"transformer.{TO_Q[0]}.lora_A.weight"].shape[0] == 4
    assert done.losses is not None
    assert 0.3 < done.losses.total < 0.9


def test_a_reduced_rank_states_what_is_lost(tmp_path: Path) -> None:
    """Cutting a LoRA's rank needs --lossy, and loses what the smallest singular values hold."""
    tensors = joined(
        [
            pair("transformer.x_embedder", 64, 3072, rank=8, alpha=4.0),
            pair("transformer.proj_out", 3072, 64, rank=4),
        ]
    )
    with pytest.raises(ConversionRefused, match="rank of 1 layer, up to 8"):
        run(tmp_path, tensors, rank=4)
    done, after = rerun(tmp_path / "in", tmp_path / "out", rank=4, lossy=True)
    found = source(tensors)
    down, up = (found[f"transformer.x_embedder.lora_{word}.weight"] for word in "AB")
    values = np.linalg.svd(up @ down, compute_uv=False)[:8]
    lost = float((values[4:] ** 2).sum() / (values**2).sum())
    assert done.losses is not None
    assert [loss.module for loss in done.losses.modules] == ["x_embedder"]
    assert done.losses.modules[0].energy == pytest.approx(lost, rel=1e-3)
    assert after["transformer.x_embedder.lora_A.weight"].shape[0] == 4
    assert np.array_equal(
        after["transformer.proj_out.lora_A.weight"], found["transformer.proj_out.lora_A.weight"]
    )


def test_a_tucker_convolution_keeps_its_rank(tmp_path: Path) -> None:
    """A convolution with a core becomes a plain one: down takes the core in."""
    name = "lora_unet_down_blocks_0_resnets_0_conv1"
    tensors = {
        f"{name}.lora_down.weight": random(4, 320, 1, 1, seed=1),
        f"{name}.lora_mid.weight": random(4, 4, 3, 3, seed=2),
        f"{name}.lora_up.weight": random(320, 4, 1, 1, seed=3),
        f"{name}.alpha": scalar(2.0),
    }
    _, after = run(tmp_path, tensors, base="sdxl")
    found = source(tensors)
    down, mid, up = (found[f"{name}.lora_{word}.weight"] for word in ("down", "mid", "up"))
    full = 0.5 * np.einsum("op,prhw,ri->oihw", up[..., 0, 0], mid, down[..., 0, 0]).reshape(320, -1)
    layer = "unet.down_blocks.0.resnets.0.conv1"
    assert after[f"{layer}.lora_A.weight"].shape == (4, 320, 3, 3)
    assert close(full @ probe(2880), seen(after, layer), 1e-5)


def test_two_text_encoders_with_one_name_stay_apart(tmp_path: Path) -> None:
    """SDXL's encoders have layers of one name and other sizes; each keeps its own weights."""
    layer = "text_model.encoder.layers.0.self_attn.q_proj"
    tensors = joined(
        [
            pair("unet.down_blocks.1.attentions.0.proj_in", 640, 640),
            pair(f"text_encoder.{layer}", 768, 768, seed=1),
            pair(f"text_encoder_2.{layer}", 1280, 1280, seed=2),
        ]
    )
    done, after = run(tmp_path, tensors, to="kohya")
    for number, prefix in ((1, "text_encoder"), (2, "text_encoder_2")):
        name = f"lora_te{number}_{layer.replace('.', '_')}"
        assert close(seen(source(tensors), f"{prefix}.{layer}"), seen(after, name, KOHYA))
    _, after = rerun(done.file, tmp_path / "back")
    assert set(after) == set(tensors)
    _, after = rerun(done.file, tmp_path / "without", drop_text_encoders=True)
    assert all(name.startswith("unet.") for name in after)


def test_saved_files_are_read_by_the_library(tmp_path: Path) -> None:
    """The official library reads what was written, header filled up with spaces and all."""
    from safetensors import safe_open

    done, after = run(
        tmp_path, pair(f"transformer.{TO_Q[0]}", *TO_Q[1:], alpha=1.0, words=KOHYA), to="kohya", base="flux1"
    )
    with safe_open(done.file, "np") as opened:
        for name in opened.keys():  # noqa: SIM118 - not a dictionary
            assert np.array_equal(opened.get_tensor(name), after[name])
