"""Pipelines that diffusers saved: tiny ones of every family, with random weights, made here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lorry.engine.renderers.pipeline_opening import Base
from lorry.engine.renderers.pipelines import PipelineRenderer
from lorry.engine.renderers.port import AdapterUse, Picture, RenderRequest
from lorry.errors import AdapterUnusable, OptionInvalid
from tests.engine.renderers.adapters import write
from tests.engine.renderers.test_onnx import Arriving
from tests.engine.renderers.tiny_pipelines import FAMILIES, save, save_lora

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]

CAT = RenderRequest("a red cat", 1, 2, 3.0, width=32, height=32)


@dataclass
class Tiny:
    """A tiny base: where it lies, opened twice (ours and diffusers' own), and two LoRAs."""

    family: str
    folder: Path
    renderer: PipelineRenderer
    loras: dict[str, Path]


@pytest.fixture(scope="module", params=FAMILIES)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Save and open the tiny base of each family."""
    root = tmp_path_factory.mktemp(request.param)
    folder = save(request.param, root / "base")
    official = _official(folder)
    loras = {
        name: save_lora(official, root / name, FAMILIES[request.param], seed=seed, rank=rank)
        for name, seed, rank in (("a", 1, 4), ("b", 2, 2))
    }
    renderer = PipelineRenderer(Base(f"tiny/{request.param}", folder))
    for name, path in loras.items():
        renderer.load(name, path)
    return Tiny(request.param, folder, renderer, loras)


def _official(folder: Path) -> Any:
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _gap(one: Picture, other: Picture) -> int:
    return int(np.abs(one.astype(int) - other).max())


def _using(*uses: tuple[str, float], **more: Any) -> RenderRequest:
    return replace(CAT, adapters=tuple(AdapterUse(*use) for use in uses), **more)


def test_a_batch_of_different_loras_is_as_each_alone(tiny: Tiny) -> None:
    """None, one, the other, both at scales, each with its seed and prompt, guided: as one by one."""
    requests = [
        _using(),
        _using(("a", 1.0), seed=2),
        _using(("b", 1.0), prompt="a dog", seed=3),
        _using(("a", 0.5), ("b", -1.0), seed=4),
        _using(("a", 0.0)),
    ]
    requests = [replace(each, negative_prompt="red") for each in requests]
    together = tiny.renderer.render(requests)
    alone = [tiny.renderer.render([request])[0] for request in requests]
    assert [_gap(*pair) for pair in zip(together, alone, strict=True)] == pytest.approx([0] * 5, abs=1)
    plain = [tiny.renderer.render([replace(request, adapters=())])[0] for request in requests]
    assert [_gap(*pair) > 1 for pair in zip(together, plain, strict=True)] == [False, True, True, True, False]


def test_a_lora_acts_as_in_diffusers_own_loader(tiny: Tiny) -> None:
    """The same file through `load_lora_weights` and `set_adapters` gives the same picture, at every scale."""
    official = _official(tiny.folder)
    official.load_lora_weights(tiny.loras["a"].parent, weight_name=tiny.loras["a"].name, adapter_name="a")
    ours = tiny.renderer._pipeline
    for scale in (1.0, 0.3):
        official.set_adapters(["a"], adapter_weights=[scale])
        tiny.renderer._pipeline = official  # the same call, with peft's layers in the place of ours
        try:
            expected = tiny.renderer.render([CAT])[0]
        finally:
            tiny.renderer._pipeline = ours
        assert _gap(tiny.renderer.render([_using(("a", scale))])[0], expected) <= 1


def test_layers_are_counted(tiny: Tiny) -> None:
    """As many layers as the file has are changed, and its rank is told."""
    read = tiny.renderer.read(tiny.loras["a"])
    assert read.modules == len(read.content.shapes) > 0
    assert read.rank == 4
    assert read.size > 0


def test_a_picture_can_be_seen_while_it_is_drawn(tiny: Tiny) -> None:
    """After each step it can be looked at, in its size; the last look is near the picture."""
    feed = Arriving([(0, replace(CAT, steps=3)), (0, replace(CAT, steps=3, seed=9))])
    tiny.renderer.draw(feed)
    assert [look.shape for look in feed.looks] == [(32, 32, 3)] * 3
    assert _gap(feed.looks[-1], feed.done[feed.first]) <= 1


def test_other_sizes_are_not_drawn_together(tiny: Tiny) -> None:
    """Pictures of two sizes come back in order, each in its own."""
    wide = replace(CAT, width=64)
    pictures = tiny.renderer.render([CAT, wide, replace(CAT, seed=2)])
    assert [picture.shape for picture in pictures] == [(32, 32, 3), (32, 64, 3), (32, 32, 3)]
    assert tiny.renderer.shape(CAT) != tiny.renderer.shape(wide)


def test_what_does_not_fit_is_refused_by_name(tiny: Tiny, tmp_path: Path) -> None:
    """A file that is none, NaN, a strange shape and half a pair are told; strangers alone count zero."""
    from safetensors.numpy import load_file

    (tmp_path / "torn.safetensors").write_bytes(b"nothing")
    with pytest.raises(AdapterUnusable, match="torn"):
        tiny.renderer.read(tmp_path / "torn.safetensors")
    tensors = load_file(tiny.loras["a"])
    name = next(key for key in tensors if key.endswith("to_q.lora_A.weight"))
    for change in (np.full_like(tensors[name], np.nan), np.zeros((4, 7), np.float32)):
        path = write(tmp_path / "bad.safetensors", tensors | {name: change})
        with pytest.raises(AdapterUnusable, match="to_q"):
            tiny.renderer.read(path)
    with pytest.raises(AdapterUnusable, match="not loaded"):
        tiny.renderer.render([_using(("nobody", 1.0))])
    assert tiny.renderer.render([CAT])[0].shape == (32, 32, 3)


def test_what_nobody_wants_is_left_off(tiny: Tiny) -> None:
    """Between two steps the pipeline is stopped, and the next picture is as ever."""
    from lorry.engine.renderers.port import DrawingAbandoned

    before = tiny.renderer.render([CAT])[0]
    asked: list[int] = []

    def abandoned() -> bool:
        asked.append(1)
        return len(asked) > 1

    with pytest.raises(DrawingAbandoned):
        tiny.renderer.render([replace(CAT, steps=30)], abandoned)
    assert len(asked) < 20
    assert _gap(tiny.renderer.render([CAT])[0], before) == 0


def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    """The sentence names the folder, and what has to be in it."""
    with pytest.raises(OptionInvalid, match="holds no pipeline"):
        PipelineRenderer(Base("tiny/base", tmp_path))


def test_unknown_numbers_are_refused_at_once(tmp_path: Path) -> None:
    """A precision that there is not is told before anything is opened."""
    with pytest.raises(OptionInvalid, match="precision"):
        PipelineRenderer(Base("tiny/base", tmp_path, precision="int3"))
