"""Whatever the file: it is converted, or refused by an error of ours that leaves nothing behind."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lorry.errors import LorryError
from lorry.weights import check
from lorry.weights.convert.conversion import convert
from lorry.weights.convert.options import Layout, Options
from tests.weights.convert.deltas import KOHYA, pair, save
from tests.weights.files import Made, build, joined, noise, scalar

SOUND = build(
    joined(
        [
            pair("lora_unet_final_layer_linear", 3072, 64, rank=1, alpha=3.0, words=KOHYA),
            pair("lora_unet_img_in", 64, 3072, rank=1, alpha=1.0, words=KOHYA, seed=1),
        ]
    ),
    {"lora_adapter_metadata": '{"transformer.r": 1, "transformer.lora_alpha": 2}', "ss_steps": "7"},
)
HEADER = 8 + int.from_bytes(SOUND[:8], "little")

PLACES = st.integers(0, HEADER + 200)
LAYOUTS = st.sampled_from([None, *Layout])


def never_raises_anything_else(content: bytes, to: Layout | None, lossy: bool) -> None:
    """Convert, and look at what is left behind."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "x.safetensors"
        source.write_bytes(content)
        out = Path(folder) / "out"
        try:
            done = convert(source, out, Options(to=to, lossy=lossy, base="flux1"))
        except LorryError:
            assert [path.name for path in Path(folder).iterdir()] == ["x.safetensors"]
        else:
            assert done.file.is_file()
            if to in (None, Layout.DIFFUSERS):
                assert check(done.file, base="flux1").ok


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(PLACES, st.integers(0, 255)), min_size=1, max_size=3), LAYOUTS, st.booleans())
def test_changed_bytes(changes: list[tuple[int, int]], to: Layout | None, lossy: bool) -> None:
    """A sound file with any bytes of its header changed is converted or refused."""
    content = bytearray(SOUND)
    for place, value in changes:
        content[place] = value
    never_raises_anything_else(bytes(content), to, lossy)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, len(SOUND) - 1), LAYOUTS)
def test_cut_files(length: int, to: Layout | None) -> None:
    """A file that ends anywhere before its end is refused."""
    never_raises_anything_else(SOUND[:length], to, True)


WORDS = (
    "lora_A.weight",
    "lora_B.weight",
    "lora_down.weight",
    "lora_up.weight",
    "lora_mid.weight",
    "alpha",
    "diff",
    "lokr_w1",
    "lokr_w1_a",
    "lokr_w1_b",
    "lokr_w2",
    "lokr_w2_a",
    "lokr_w2_b",
    "lokr_t2",
    "hada_w1_a",
    "hada_w1_b",
    "hada_w2_a",
    "hada_w2_b",
    "hada_t1",
    "dora_scale",
    "lora_B.bias",
    "oft_blocks",
    "lora_A.default.weight",
)
PREFIXES = (
    "transformer.proj_out",
    "diffusion_model.final_layer.linear",
    "lora_unet_img_in",
    "lora_te1_x",
    "img_in",
    "base_model.model.proj_out",
    "text_encoder.text_model.encoder.layers.0.mlp.fc1",
    "lycoris_proj_out",
    "model.layers.0.self_attn.q_proj",
)
SHAPES = st.lists(st.sampled_from([0, 1, 2, 64, 3072]), max_size=4).map(tuple)


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(PREFIXES), st.sampled_from(WORDS)).map(".".join),
        st.tuples(SHAPES, st.sampled_from(["F32", "BF16", "F16", "F64", "I8", "F8_E4M3"])),
        max_size=6,
    ),
    LAYOUTS,
    st.booleans(),
)
def test_tensors_of_any_name_and_shape(
    drawn: dict[str, tuple[tuple[int, ...], str]], to: Layout | None, lossy: bool
) -> None:
    """Tensors that make no sense together are converted or refused."""
    tensors: dict[str, Made] = {}
    for name, (shape, dtype) in drawn.items():
        small = tuple(min(length, 64) for length in shape) if len(shape) > 2 else shape
        tensors[name] = (
            scalar(1.0) if name.endswith(".alpha") and dtype == "F32" else noise(*small, dtype=dtype)
        )
    never_raises_anything_else(build(tensors), to, lossy)


def test_memory_is_that_of_a_module_not_of_the_file(tmp_path: Path) -> None:
    """A file of 30 MB is converted with a few times its largest module, which takes 1.6 MB decoded."""
    names = [f"lora_unet_double_blocks_{n}_{w}_attn_qkv" for n in range(19) for w in ("img", "txt")]
    tensors: dict[str, Made] = {}
    for name in names:
        tensors |= {
            f"{name}.lora_down.weight": noise(32, 3072, dtype="BF16"),
            f"{name}.lora_up.weight": noise(9216, 32, dtype="BF16"),
            f"{name}.alpha": scalar(24.0),
        }
    source = save(tmp_path / "x.safetensors", tensors)
    assert source.stat().st_size > 29_000_000
    del tensors
    convert(source, tmp_path / "warm")  # what is loaded once does not count
    tracemalloc.start()
    try:
        done = convert(source, tmp_path / "out")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert done.layers == 3 * len(names)
    assert peak < 8_000_000
