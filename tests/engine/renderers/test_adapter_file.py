"""Reading adapter files: shapes, strengths, number formats, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorry.engine.renderers import base_model, matching_layers
from lorry.engine.renderers.adapter_file import LARGEST_RANK, AdapterFile, read_adapter
from lorry.engine.renderers.rows import PackedAdapter, Rows, Stack, pack
from lorry.errors import AdapterUnusable
from tests.engine.renderers.adapters import BLOCKS, SAMPLES, SINGLE, lora, write, write_bfloat16

A, B = f"transformer.{SINGLE}.lora_A.weight", f"transformer.{SINGLE}.lora_B.weight"


def _read(path: Path) -> AdapterFile:
    return read_adapter(path, base_model())


def _packed(path: Path) -> PackedAdapter:
    return pack(_read(path))


def _strength(path: Path) -> float:
    """Compare the packed B of the one layer with the file's."""
    _, up = _packed(path).layers[SINGLE]
    return float(np.linalg.norm(up) / np.linalg.norm(lora((SINGLE,))[B]))


def test_packs_every_layer_as_it_is_fed(tmp_path: Path) -> None:
    """A and B are transposed, and there is nothing else."""
    tensors = lora((SINGLE,), rank=3)
    path = write(tmp_path / "a.safetensors", tensors)
    assert (len(_read(path).layers), _read(path).rank) == (1, 3)
    assert _read(path).size == tensors[A].nbytes + tensors[B].nbytes
    assert list(_packed(path).layers) == [SINGLE]
    down, up = _packed(path).layers[SINGLE]
    assert np.array_equal(down, tensors[A].T)
    assert np.array_equal(up, tensors[B].T)


def test_strength_is_one_when_the_file_says_nothing(tmp_path: Path) -> None:
    """A file without alpha acts as trained with alpha = rank."""
    assert _strength(write(tmp_path / "a.safetensors", lora((SINGLE,)))) == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(), (1,)])
def test_alpha_tensor_over_rank(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """An alpha tensor, scalar or of one element, gives alpha / rank."""
    tensors = lora((SINGLE,)) | {f"transformer.{SINGLE}.alpha": np.full(shape, 8, np.float32)}
    assert _strength(write(tmp_path / "a.safetensors", tensors)) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"r": 4, "lora_alpha": 16}, 4.0),
        ({"r": 4, "lora_alpha": 16, "use_rslora": True}, 16 / math.sqrt(4)),
        ({"r": 8, "lora_alpha": 8, "rank_pattern": {SINGLE: 4}}, 2.0),
        ({"r": 4, "lora_alpha": 4, "alpha_pattern": {"attn.to_q": 2}}, 0.5),
        ({"r": 4, "lora_alpha": 4, "alpha_pattern": {"attn.to_k": 2}}, 1.0),
    ],
)
def test_strength_from_the_header(tmp_path: Path, config: dict[str, Any], expected: float) -> None:
    """The LoraConfig in the header gives alpha / rank, or alpha / sqrt(rank) with rslora, patterns first."""
    path = write(tmp_path / "a.safetensors", lora((SINGLE,)), config)
    assert _strength(path) == pytest.approx(expected)


def test_half_precision_reads_as_the_same_numbers(tmp_path: Path) -> None:
    """F16 and BF16 files give float32 within their own precision (2^-11 and 2^-8)."""
    tensors = lora(BLOCKS[:3])
    full = _packed(write(tmp_path / "f32.safetensors", tensors)).layers
    halves = {name: values.astype(np.float16) for name, values in tensors.items()}
    for path, precision in (
        (write(tmp_path / "f16.safetensors", halves), 2**-11),
        (write_bfloat16(tmp_path / "bf16.safetensors", tensors), 2**-7),  # cut, not rounded
    ):
        for name, parts in _packed(path).layers.items():
            for part, exact in zip(parts, full[name], strict=True):
                assert np.allclose(part, exact, rtol=precision, atol=1e-6)


def test_unknown_layers_are_not_counted(tmp_path: Path) -> None:
    """Tensors that match no layer of the base are skipped, with or without the right prefix."""
    strange = {
        "transformer.transformer_blocks.99.attn.to_q.lora_A.weight": np.zeros((4, 3072), np.float32),
        "transformer.transformer_blocks.99.attn.to_q.lora_B.weight": np.zeros((3072, 4), np.float32),
        "unet.mid.lora_A.weight": np.zeros((4, 8), np.float32),
    }
    assert len(_read(write(tmp_path / "a.safetensors", lora(BLOCKS[:5]) | strange)).layers) == 5
    nothing = _read(write(tmp_path / "b.safetensors", strange))
    assert (len(nothing.layers), nothing.rank) == (0, 0)


def test_prediction_from_names_is_what_is_loaded(tmp_path: Path) -> None:
    """matching_layers, which reads names alone, foretells the number of layers that loading fills."""
    tensors = lora(BLOCKS[::3]) | {"transformer.nowhere.lora_A.weight": np.zeros((1, 1), np.float32)}
    path = write(tmp_path / "a.safetensors", tensors)
    assert len(matching_layers(list(tensors))) == len(_read(path).layers) == len(BLOCKS[::3])


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_fill_all_block_layers(name: str) -> None:
    """Both shipped samples change every linear layer of every block."""
    assert len(_read(SAMPLES[name]).layers) == len(BLOCKS) == 54


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({A: np.zeros((4, 3072), np.float32)}, A),
        ({B: np.zeros((3072, 4), np.float32)}, B),
        ({B: np.zeros((256, 8), np.float32)}, B),
        ({A: np.zeros((256,), np.float32)}, A),
        ({f"transformer.{SINGLE}.lora_magnitude_vector": np.ones(256, np.float32)}, "lora_magnitude_vector"),
    ],
)
def test_wrong_tensors_are_refused_by_name(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    """A tensor that can't be applied as it stands ends in a typed error that names it."""
    path = write(tmp_path / "a.safetensors", lora((SINGLE,)) | change)
    with pytest.raises(AdapterUnusable) as caught:
        _read(path)
    assert named in caught.value.message
    assert caught.value.evidence["file"] == "a.safetensors"


@pytest.mark.parametrize("kept", [A, B])
def test_half_a_pair_is_refused(tmp_path: Path, kept: str) -> None:
    """A without B, or B without A, is no adapter."""
    with pytest.raises(AdapterUnusable, match="has no partner"):
        _read(write(tmp_path / "a.safetensors", {kept: lora((SINGLE,))[kept]}))


def test_two_statements_of_the_strength_are_refused(tmp_path: Path) -> None:
    """Alpha tensors and a header config together are refused, as diffusers does."""
    tensors = lora((SINGLE,)) | {f"transformer.{SINGLE}.alpha": np.array(4, np.float32)}
    with pytest.raises(AdapterUnusable, match="twice"):
        _read(write(tmp_path / "a.safetensors", tensors, {"r": 4, "lora_alpha": 4}))


def test_a_rank_that_the_header_denies_is_refused(tmp_path: Path) -> None:
    """A header config with another rank than the tensors' is refused, as diffusers does."""
    with pytest.raises(AdapterUnusable, match="has rank 4"):
        _read(write(tmp_path / "a.safetensors", lora((SINGLE,)), {"r": 8, "lora_alpha": 8}))


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x80\x04" * 40, None])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """An empty, foreign or missing file ends in a typed error that names the file."""
    path = tmp_path / "a.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AdapterUnusable, match=r"a\.safetensors"):
        _read(path)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    """A file whose end is missing ends in a typed error."""
    path = write(tmp_path / "a.safetensors", lora((SINGLE,)))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(AdapterUnusable, match="no complete safetensors"):
        _read(path)


def test_numbers_of_another_kind_are_refused(tmp_path: Path) -> None:
    """Integers are no weights."""
    tensors = lora((SINGLE,)) | {A: np.zeros((4, 256), np.int8)}
    with pytest.raises(AdapterUnusable, match="I8"):
        _read(write(tmp_path / "a.safetensors", tensors))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [A, B])
def test_numbers_that_are_none_are_refused(tmp_path: Path, name: str, number: float) -> None:
    """NaN and infinity, in any kind of number, would draw black pictures: they are named instead."""
    tensors = lora((SINGLE,))
    tensors[name][1, 1] = number
    halves = {key: values.astype(np.float16) for key, values in tensors.items()}
    for path in (
        write(tmp_path / "f32.safetensors", tensors),
        write(tmp_path / "f16.safetensors", halves),
        write_bfloat16(tmp_path / "bf16.safetensors", tensors),
    ):
        with pytest.raises(AdapterUnusable, match="NaN or infinity") as caught:
            _read(path)
        assert caught.value.evidence["tensor"] == name


def test_a_strength_that_is_no_number_is_refused(tmp_path: Path) -> None:
    """An alpha of NaN is named."""
    tensors = lora((SINGLE,)) | {f"transformer.{SINGLE}.alpha": np.array(np.nan, np.float32)}
    with pytest.raises(AdapterUnusable, match="alpha holds NaN"):
        _read(write(tmp_path / "a.safetensors", tensors))


def test_a_rank_over_the_limit_is_refused(tmp_path: Path) -> None:
    """The largest rank is taken, one more is not."""
    assert _read(write(tmp_path / "a.safetensors", lora((SINGLE,), rank=LARGEST_RANK))).rank == LARGEST_RANK
    with pytest.raises(AdapterUnusable, match=f"{LARGEST_RANK} is the most"):
        _read(write(tmp_path / "b.safetensors", lora((SINGLE,), rank=LARGEST_RANK + 1)))


stacks = st.lists(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.5, 1.0, -2.0])), max_size=2),
    min_size=1,
    max_size=5,
)


@given(st.lists(stacks, min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_rows_are_those_of_the_batch_whatever_was_before(batches: list[Any]) -> None:
    """For each layer and sample, A B as fed is the sum of its adapters at their scales, batch after batch."""
    rows = Rows(base_model())
    made: dict[Any, Stack] = {}
    for batch in batches:
        chosen = [
            made.setdefault(tuple(uses), Stack(tuple((PACKED[key], scale) for key, scale in uses)))
            for uses in batch
        ]
        feeds = rows.feeds(chosen)
        for number, members in enumerate(base_model().groups):
            down = feeds[f"down.{number}"]
            assert len(down) == len(batch)
            for place, layer in enumerate(members):
                up = feeds[f"up.{layer.name}"]
                rank = up.shape[1]
                for row, uses in enumerate(batch):
                    fed = down[row][:, place * rank : (place + 1) * rank] @ up[row]
                    assert np.allclose(fed, _change(layer.name, uses), atol=1e-6)


PACKED = [
    PackedAdapter(
        {
            name: (
                np.full((base_model().layers[name].inputs, rank), rank, np.float32),
                np.full((rank, base_model().layers[name].outputs), 0.5, np.float32),
            )
            for name in BLOCKS[rank::11]
        }
    )
    for rank in (1, 2, 3, 4)
]


def _change(layer: str, uses: list[tuple[int, float]]) -> Any:
    whole = base_model().layers[layer]
    total = np.zeros((whole.inputs, whole.outputs), np.float32)
    for key, scale in uses:
        if layer in PACKED[key].layers:
            down, up = PACKED[key].layers[layer]
            total += scale * (down @ up)
    return total
