"""Reading adapter files: shapes, strengths, number formats, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lorry.engine.renderers import base_model, matching_layers
from lorry.engine.renderers.adapter_file import PackedAdapter, read_adapter
from lorry.errors import AdapterUnusable
from tests.engine.renderers.adapters import BLOCKS, SAMPLES, SINGLE, lora, write, write_bfloat16

A, B = f"transformer.{SINGLE}.lora_A.weight", f"transformer.{SINGLE}.lora_B.weight"


def _read(path: Path) -> PackedAdapter:
    return read_adapter(path, base_model())


def _strength(path: Path) -> float:
    """Compare the packed B of the one layer with the file's."""
    layer = base_model().layers[SINGLE]
    middle = layer.offset + layer.inputs
    packed = _read(path).values[:, middle : middle + layer.outputs]
    return float(np.linalg.norm(packed) / np.linalg.norm(lora((SINGLE,))[B]))


def test_packs_every_layer_at_its_place(tmp_path: Path) -> None:
    """A lies in the layer's input columns, B transposed behind it, and nothing anywhere else."""
    tensors = lora((SINGLE,), rank=3)
    packed = _read(write(tmp_path / "a.safetensors", tensors))
    layer = base_model().layers[SINGLE]
    middle = layer.offset + layer.inputs
    assert (packed.modules, packed.rank) == (1, 3)
    assert np.array_equal(packed.values[:, layer.offset : middle], tensors[A])
    assert np.array_equal(packed.values[:, middle : middle + layer.outputs], tensors[B].T)
    assert np.count_nonzero(packed.values) == tensors[A].size + tensors[B].size


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
    full = _read(write(tmp_path / "f32.safetensors", tensors)).values
    halves = {name: values.astype(np.float16) for name, values in tensors.items()}
    for path, precision in (
        (write(tmp_path / "f16.safetensors", halves), 2**-11),
        (write_bfloat16(tmp_path / "bf16.safetensors", tensors), 2**-7),  # cut, not rounded
    ):
        assert np.allclose(_read(path).values, full, rtol=precision, atol=1e-6)


def test_unknown_layers_are_not_counted(tmp_path: Path) -> None:
    """Tensors that match no layer of the base are skipped, with or without the right prefix."""
    strange = {
        "transformer.transformer_blocks.99.attn.to_q.lora_A.weight": np.zeros((4, 3072), np.float32),
        "transformer.transformer_blocks.99.attn.to_q.lora_B.weight": np.zeros((3072, 4), np.float32),
        "unet.mid.lora_A.weight": np.zeros((4, 8), np.float32),
    }
    assert _read(write(tmp_path / "a.safetensors", lora(BLOCKS[:5]) | strange)).modules == 5
    nothing = _read(write(tmp_path / "b.safetensors", strange))
    assert (nothing.modules, nothing.rank) == (0, 0)


def test_prediction_from_names_is_what_is_loaded(tmp_path: Path) -> None:
    """matching_layers, which reads names alone, foretells the number of layers that loading fills."""
    tensors = lora(BLOCKS[::3]) | {"transformer.nowhere.lora_A.weight": np.zeros((1, 1), np.float32)}
    path = write(tmp_path / "a.safetensors", tensors)
    assert len(matching_layers(list(tensors))) == _read(path).modules == len(BLOCKS[::3])


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_fill_all_block_layers(name: str) -> None:
    """Both shipped samples change every linear layer of every block."""
    assert _read(SAMPLES[name]).modules == len(BLOCKS) == 54


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
