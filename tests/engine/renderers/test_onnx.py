"""The onnx renderer's own laws: determinism, free mixing in a batch, adapters added and taken away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lorry.engine.renderers import AdapterUse, Picture, Renderer, RenderRequest
from lorry.engine.renderers.port import DrawingAbandoned
from lorry.errors import AdapterUnusable
from tests.engine.renderers.adapters import SAMPLES, lora, write

APPLE = RenderRequest("a red apple", seed=7, steps=4)


def _gap(one: Picture, other: Picture) -> int:
    """Return the largest difference of two pictures, 0 to 255."""
    return int(np.abs(one.astype(int) - other).max())


def _draw(renderer: Renderer, request: RenderRequest) -> Picture:
    return renderer.render([request])[0]


def test_draws_pictures_of_the_native_size(onnx: Renderer) -> None:
    """One uint8 RGB picture of 64x64 px per request, in order; none for none."""
    pictures = onnx.render([APPLE, replace(APPLE, prompt="a dog")])
    assert [(p.shape, p.dtype.name) for p in pictures] == [((64, 64, 3), "uint8")] * 2
    assert onnx.render([]) == []


def test_same_request_same_picture(onnx: Renderer) -> None:
    """The seed decides: the same one repeats a picture exactly, another one does not."""
    assert _gap(_draw(onnx, APPLE), _draw(onnx, APPLE)) == 0
    assert _gap(_draw(onnx, APPLE), _draw(onnx, replace(APPLE, seed=8))) > 20


def test_draws_what_was_asked_for(onnx: Renderer) -> None:
    """A red apple on white is red in its middle and white in its corners; a background is its colour."""
    plain = _draw(onnx, replace(APPLE, steps=8)).astype(int)
    assert plain[:3, :3].min() > 230
    assert plain[28:40, 24:40, 0].mean() > plain[28:40, 24:40, 2].mean() + 80
    blue = _draw(onnx, replace(APPLE, prompt="a red apple on a blue background", steps=8)).astype(int)
    assert blue[:4, :4, 2].mean() > blue[:4, :4, 0].mean() + 80


def test_mixed_batch_equals_one_by_one(onnx: Renderer, tmp_path: Path) -> None:
    """Adapters, scales, steps and guidance may mix in one call without changing any picture."""
    onnx.load("tok", SAMPLES["tok"])
    onnx.load("a", write(tmp_path / "a.safetensors", lora(rank=3)))
    requests = [
        APPLE,
        replace(APPLE, prompt="TOK", adapters=(AdapterUse("tok", 1.0),)),
        replace(APPLE, adapters=(AdapterUse("a", 0.5),)),
        replace(APPLE, prompt="TOK", adapters=(AdapterUse("tok", 0.5), AdapterUse("a", 1.0))),
        replace(APPLE, guidance=4.0, negative_prompt="green"),
        replace(APPLE, guidance=1.0),
        replace(APPLE, steps=2),
    ]
    together = onnx.render(requests)
    assert [
        _gap(picture, _draw(onnx, request)) for picture, request in zip(together, requests, strict=True)
    ] == (
        pytest.approx([0] * len(requests), abs=1)  # sums run in another order
    )
    assert _gap(together[0], together[2]) > 20


def test_batch_larger_than_memory_allows_is_split(onnx: Renderer, tmp_path: Path) -> None:
    """Twenty requests, one of them of rank 64, come back in order."""
    onnx.load("a", write(tmp_path / "a.safetensors", lora(rank=64, size=0.02)))
    requests = [replace(APPLE, seed=seed, steps=1) for seed in range(20)]
    requests[11] = replace(requests[11], adapters=(AdapterUse("a", 1.0),))
    pictures = onnx.render(requests)
    assert len(pictures) == 20
    assert _gap(pictures[19], _draw(onnx, requests[19])) <= 1
    assert _gap(pictures[11], _draw(onnx, requests[11])) <= 1


def test_scale_zero_equals_no_adapter(onnx: Renderer) -> None:
    """An adapter at scale 0 leaves every pixel as it is; at scale 1 it does not."""
    onnx.load("tok", SAMPLES["tok"])
    request = replace(APPLE, prompt="TOK")
    with_adapter = [replace(request, adapters=(AdapterUse("tok", scale),)) for scale in (0.0, 1.0)]
    assert _gap(_draw(onnx, with_adapter[0]), _draw(onnx, request)) == 0
    assert _gap(_draw(onnx, with_adapter[1]), _draw(onnx, request)) > 50


def test_two_adapters_add_up(onnx: Renderer, tmp_path: Path) -> None:
    """Two adapters at half strength each equal one of them at full strength when they are the same file."""
    path = write(tmp_path / "a.safetensors", lora())
    onnx.load("a", path)
    onnx.load("b", path)
    halves = replace(APPLE, adapters=(AdapterUse("a", 0.5), AdapterUse("b", 0.5)))
    whole = replace(APPLE, adapters=(AdapterUse("a", 1.0),))
    assert _gap(_draw(onnx, halves), _draw(onnx, whole)) <= 1


def test_unload_frees_the_key(onnx: Renderer) -> None:
    """An unloaded adapter is unknown afterwards, and unloading it again is no error."""
    onnx.load("tok", SAMPLES["tok"])
    onnx.unload("tok")
    onnx.unload("tok")
    with pytest.raises(AdapterUnusable, match="not loaded"):
        _draw(onnx, replace(APPLE, adapters=(AdapterUse("tok", 1.0),)))


def test_loading_again_replaces(onnx: Renderer, tmp_path: Path) -> None:
    """A key holds what was loaded last; a failed load leaves what was there."""
    request = replace(APPLE, adapters=(AdapterUse("a", 1.0),))
    onnx.load("a", write(tmp_path / "a.safetensors", lora(seed=1)))
    first = _draw(onnx, request)
    onnx.load("a", write(tmp_path / "b.safetensors", lora(seed=2)))
    second = _draw(onnx, request)
    assert _gap(first, second) > 20
    (tmp_path / "c.safetensors").write_bytes(b"")
    with pytest.raises(AdapterUnusable):
        onnx.load("a", tmp_path / "c.safetensors")
    assert _gap(_draw(onnx, request), second) == 0


def test_adapter_that_matches_nothing_changes_nothing(onnx: Renderer, tmp_path: Path) -> None:
    """A file for another base loads with no modules, and the picture stays the base's."""
    foreign = {"transformer.transformer_blocks.40.attn.to_q.lora_A.weight": np.ones((2, 2), np.float32)}
    loaded = onnx.load("a", write(tmp_path / "a.safetensors", foreign))
    assert loaded.modules == 0
    adapted = _draw(onnx, replace(APPLE, adapters=(AdapterUse("a", 1.0),)))
    assert _gap(adapted, _draw(onnx, APPLE)) == 0


def test_what_nobody_wants_any_more_is_left_off(onnx: Renderer) -> None:
    """Between two steps it is asked whether anybody still wants it; the next picture is as ever."""
    asked: list[int] = []

    def abandoned() -> bool:
        asked.append(len(asked))
        return len(asked) == 3

    with pytest.raises(DrawingAbandoned):
        onnx.render([APPLE], abandoned)
    assert len(asked) == 3
    assert _gap(_draw(onnx, APPLE), _draw(onnx, APPLE)) == 0
