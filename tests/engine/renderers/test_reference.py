"""The onnx renderer against diffusers' own pipeline and LoRA loader: two readings of the same files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lorry.engine.renderers import AdapterUse, Renderer, RenderRequest
from lorry.errors import AdapterUnusable
from tests.engine.renderers.adapters import BLOCKS, SAMPLES, SINGLE, lora, write, write_bfloat16

# The libraries warn on import and about text encoders that we don't have.
pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]

# Both compute in float32, in another order of sums. Measured: at most 1 of 255 in 1 pixel of 25,000.
# A wrong strength, sigma or layer moves the mean by whole units.
LARGEST, MEAN = 3, 0.05
PROMPTS = ("TOK", "a rocket in BPX style", "a cat on a green background")


def _assert_alike(onnx: Renderer, reference: Renderer, requests: list[RenderRequest]) -> None:
    ours = np.stack(onnx.render(requests)).astype(int)
    gap = np.abs(ours - np.stack(reference.render(requests)))
    assert gap.max() <= LARGEST
    assert gap.mean() <= MEAN


@pytest.mark.parametrize("guidance", [1.0, 2.5])
@pytest.mark.parametrize("steps", [1, 8])
def test_same_base_pictures(onnx: Renderer, reference: Renderer, steps: int, guidance: float) -> None:
    """Without an adapter both draw the same picture, with and without guidance."""
    requests = [RenderRequest(prompt, 3, steps, guidance, "red") for prompt in PROMPTS]
    _assert_alike(onnx, reference, requests)


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", SAMPLES)
def test_same_pictures_with_the_samples(onnx: Renderer, reference: Renderer, name: str, scale: float) -> None:
    """With either sample, at every scale, both draw the same picture and count the same modules."""
    assert onnx.load(name, SAMPLES[name]) == reference.load(name, SAMPLES[name])
    requests = [RenderRequest(prompt, 11, adapters=(AdapterUse(name, scale),)) for prompt in PROMPTS]
    _assert_alike(onnx, reference, requests)


def test_same_pictures_with_two_adapters(onnx: Renderer, reference: Renderer) -> None:
    """Two adapters of one request add up alike, and a request without any beside it stays clean."""
    for name, path in SAMPLES.items():
        onnx.load(name, path)
        reference.load(name, path)
    both = (AdapterUse("tok", 0.7), AdapterUse("blueprint", 0.4))
    requests = [RenderRequest("TOK", 5, 4, adapters=both), RenderRequest("TOK", 5, 4)]
    _assert_alike(onnx, reference, requests)


@pytest.mark.parametrize(
    ("layers", "config"),
    [
        (BLOCKS, None),
        (BLOCKS[:7], {"r": 4, "lora_alpha": 2}),
        (BLOCKS[::5], {"r": 4, "lora_alpha": 2, "use_rslora": True}),
        (("transformer_blocks.0.norm1.linear", "single_transformer_blocks.3.norm.linear", SINGLE), None),
        (("x_embedder", "time_text_embed.text_embedder.linear_1"), None),
    ],
)
def test_same_strength_from_the_header(
    onnx: Renderer,
    reference: Renderer,
    tmp_path: Path,
    layers: tuple[str, ...],
    config: dict[str, Any] | None,
) -> None:
    """Any set of linear layers, also outside attention, with any stated strength, acts alike."""
    if config is not None:
        config |= {"target_modules": list(layers), "peft_type": "LORA"}
    path = write(tmp_path / "a.safetensors", lora(layers), config)
    assert onnx.load("a", path) == reference.load("a", path)
    assert reference.load("a", path).modules == len(layers)
    _assert_alike(onnx, reference, [RenderRequest("a dog", 2, 2, adapters=(AdapterUse("a", 0.8),))])


def test_same_strength_from_alpha_tensors(onnx: Renderer, reference: Renderer, tmp_path: Path) -> None:
    """Alpha tensors act alike."""
    tensors = lora(BLOCKS[:6]) | {f"transformer.{name}.alpha": np.array(2, np.float32) for name in BLOCKS[:6]}
    path = write(tmp_path / "a.safetensors", tensors)
    assert onnx.load("a", path) == reference.load("a", path)
    _assert_alike(onnx, reference, [RenderRequest("a dog", 2, 2, adapters=(AdapterUse("a", 1.0),))])


def test_same_numbers_from_bfloat16(onnx: Renderer, reference: Renderer, tmp_path: Path) -> None:
    """Our reading of bfloat16 without torch is torch's."""
    path = write_bfloat16(tmp_path / "a.safetensors", lora(rank=math.prod((2, 2))))
    assert onnx.load("a", path) == reference.load("a", path)
    _assert_alike(onnx, reference, [RenderRequest("a dog", 2, 2, adapters=(AdapterUse("a", 1.0),))])


def test_same_count_with_unknown_names(onnx: Renderer, reference: Renderer, tmp_path: Path) -> None:
    """Names that match no layer are skipped by both, and a file of nothing else counts zero in both."""
    strange = {
        "transformer.transformer_blocks.99.attn.to_q.lora_A.weight": np.ones((4, 256), np.float32),
        "transformer.transformer_blocks.99.attn.to_q.lora_B.weight": np.ones((256, 4), np.float32),
    }
    path = write(tmp_path / "a.safetensors", lora(BLOCKS[:4]) | strange)
    assert onnx.load("a", path).modules == reference.load("a", path).modules == 4
    path = write(tmp_path / "b.safetensors", strange)
    assert onnx.load("b", path).modules == reference.load("b", path).modules == 0
    _assert_alike(onnx, reference, [RenderRequest("a dog", 2, 1, adapters=(AdapterUse("b", 1.0),))])


def test_both_refuse_a_wrong_shape(onnx: Renderer, reference: Renderer, tmp_path: Path) -> None:
    """A tensor of another base's width is refused by both with the same error, and leaves nothing behind."""
    tensors = lora((SINGLE,)) | {f"transformer.{SINGLE}.lora_A.weight": np.zeros((4, 3072), np.float32)}
    path = write(tmp_path / "a.safetensors", tensors)
    for renderer in (onnx, reference):
        with pytest.raises(AdapterUnusable, match=r"a\.safetensors"):
            renderer.load("a", path)
        with pytest.raises(AdapterUnusable, match="not loaded"):
            renderer.render([RenderRequest("a dog", 2, 1, adapters=(AdapterUse("a", 1.0),))])
    _assert_alike(onnx, reference, [RenderRequest("a dog", 2, 1)])


def test_reference_unload_frees(onnx: Renderer, reference: Renderer) -> None:
    """After unloading, the reference draws the base's picture again and knows the key no more."""
    request = RenderRequest("TOK", 4, 2)
    before = reference.render([request])[0]
    reference.load("tok", SAMPLES["tok"])
    reference.unload("tok")
    assert np.array_equal(reference.render([request])[0], before)
    with pytest.raises(AdapterUnusable, match="not loaded"):
        reference.render([RenderRequest("TOK", 4, 2, adapters=(AdapterUse("tok", 1.0),))])
    _assert_alike(onnx, reference, [request])
