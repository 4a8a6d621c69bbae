"""Any valid file comes back from every other layout with the differences that it had."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorry.weights.bases.families import families, family, layer_names
from lorry.weights.bases.names import to_diffusers
from tests.weights.convert.deltas import close, pair, read, save, seen
from tests.weights.convert.running import rerun
from tests.weights.files import Tensors, joined

PICTURES = [known.key for known in families() if known.modality != "text"]


def layers_of(key: str) -> list[tuple[str, int, int]]:
    """List a family's layers."""
    known = family(key)
    assert known is not None
    return list(layer_names(known))


@st.composite
def adapters(draw: st.DrawFn) -> tuple[str, Tensors, list[str]]:
    """Draw a family, some of its layers, and a LoRA with any ranks, types and strengths on them."""
    key = draw(st.sampled_from(PICTURES))
    layers = [layer for layer in layers_of(key) if layer[1] * layer[2] < 2**26]
    chosen = draw(st.lists(st.sampled_from(layers), min_size=1, max_size=4, unique=True))
    # Neighbours in one fused layer are the interesting case: take the parts of a block together.
    stem = chosen[0][0].rpartition(".")[0]
    chosen += [layer for layer in layers if layer[0].rpartition(".")[0] == stem and layer not in chosen][:3]
    component = "unet" if key in ("sd1", "sd2", "sdxl") else "transformer"
    dtype = draw(st.sampled_from(["F32", "BF16"]))
    alphas = st.sampled_from([None, 0.5, 1.0, 3.0, 16.0])
    parts = [
        pair(
            f"{component}.{name}",
            inputs,
            outputs,
            rank=draw(st.integers(1, 3)),
            alpha=draw(alphas),
            seed=draw(st.integers(0, 5)),
            dtype=dtype,
        )
        for name, inputs, outputs in chosen
    ]
    return key, joined(parts), [f"{component}.{name}" for name, _, _ in chosen]


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(adapters(), st.sampled_from(["kohya", "comfyui", "peft", "diffusers"]))
def test_there_and_back(drawn: tuple[str, Tensors, list[str]], layout: str) -> None:
    """From diffusers to another layout and back, differences are equal but for the last bits."""
    key, tensors, modules = drawn
    with tempfile.TemporaryDirectory() as folder:
        source = save(Path(folder) / "x.safetensors", tensors)
        before, _ = read(source)
        done, _ = rerun(source, Path(folder) / "there", to=layout, base=key)
        # A PEFT folder's strength is in its configuration, so it is the folder that comes back.
        _, after = rerun(done.file.parent, Path(folder) / "back", to="diffusers", base=key)
    assert {name.partition(".lora_")[0] for name in after} >= set(modules)
    for module in modules:
        assert close(seen(before, module), seen(after, module), 2**-7)
    for module in {name.partition(".lora_")[0] for name in after} - set(modules):
        assert not seen(after, module).any()  # parts of a fused layer that were not there are zero


@pytest.mark.parametrize("key", [key for key in PICTURES if (found := family(key)) and found.native])
def test_every_original_name_of_a_family_comes_back(key: str, tmp_path: Path) -> None:
    """Each fused or renamed layer of a family, to diffusers and back, keeps every bit."""
    known = family(key)
    assert known is not None
    sizes = {name: (inputs, outputs) for name, inputs, outputs in layers_of(key)}
    tensors: Tensors = {}
    for place, template in enumerate(known.native):
        name = _first(template)
        if ".processor." in name:  # XLabs' own spelling of the same layers
            continue
        targets = to_diffusers(known, name, False)
        inputs = sizes[targets[0].name][0]
        tensors |= pair(f"diffusion_model.{name}", inputs, targets[-1].last, rank=1, seed=place, dtype="BF16")
    source = save(tmp_path / "x.safetensors", tensors)
    before, _ = read(source)
    done, _ = rerun(source, tmp_path / "there", to="diffusers", base=key)
    assert done.largest_change < 1e-9
    _, after = rerun(done.file, tmp_path / "back", to="comfyui", base=key)
    assert set(after) == set(before)
    assert all(np.array_equal(after[name], before[name]) for name in before)


def _first(template: str) -> str:
    """Give the first name of a template: `blocks.[0-3].x` is `blocks.0.x`."""
    return re.sub(r"\[(\d+)-\d+\]", r"\1", template)
