"""The engine and the renderer that other rooms test with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from lorry.engine.renderers.base import base_model
from lorry.engine.renderers.port import AdapterUse, RenderRequest
from lorry.engine.testing import FlatRenderer, running_engine
from lorry.errors import AdapterUnusable
from tests.engine.samples import write_adapter


@given(prompt=st.text(), seed=st.integers(0, 2**40))
def test_a_flat_picture_follows_from_its_request(prompt: str, seed: int) -> None:
    """The same request gives the same picture of one colour, in every order and company."""
    one, other = RenderRequest(prompt, seed), RenderRequest(prompt + "!", seed + 1)
    first, second = FlatRenderer().render([one, other])
    assert first.shape == (64, 64, 3)
    assert (first == first[0, 0]).all()
    assert (FlatRenderer().render([other, one])[1] == first).all()
    assert not (first == second).all()


def test_an_adapter_moves_the_colour_by_its_scale(weights: Path) -> None:
    """Scale 0 is the base's picture, scale 1 differs by 128 levels, and unloading forgets it."""
    renderer = FlatRenderer()
    assert renderer.load("a", weights).modules == len(base_model().layers)

    def draw(*uses: AdapterUse) -> int:
        return int(renderer.render([RenderRequest("a cat", 1, adapters=uses)])[0][0, 0, 0])

    assert draw(AdapterUse("a", 0)) == draw()
    assert abs(draw(AdapterUse("a", 1)) - draw()) == 128
    renderer.unload("a")
    renderer.unload("a")
    with pytest.raises(AdapterUnusable):
        draw(AdapterUse("a", 1))


def test_an_adapter_of_zeros_changes_nothing(tmp_path: Path) -> None:
    """With every `lora_B` zero the picture is the base's: what a proof has to notice."""
    path = write_adapter(tmp_path)
    tensors = load_file(path)
    save_file({name: value * ("lora_A" in name) for name, value in tensors.items()}, path)
    renderer = FlatRenderer()
    renderer.load("a", path)
    plain, adapted = renderer.render(
        [RenderRequest("a cat", 1), RenderRequest("a cat", 1, adapters=(AdapterUse("a"),))]
    )
    assert np.array_equal(plain, adapted)


def test_what_is_no_adapter_is_unusable(tmp_path: Path) -> None:
    """A broken file is AdapterUnusable, as with the real renderers."""
    (tmp_path / "x.safetensors").write_bytes(b"<html>")
    with pytest.raises(AdapterUnusable):
        FlatRenderer().load("x", tmp_path / "x.safetensors")


def test_the_same_home_again_is_the_same_engine(home: Path) -> None:
    """An engine that is run again on a home has what it had, and its clock is turned by hand."""
    with running_engine(home) as engine:
        engine.engine.works.documents.put("model", "ml_1", {"id": "ml_1"})
        before = engine.clock.now()
        engine.advance(60)
        assert (engine.clock.now() - before).total_seconds() == 60
    with running_engine(home) as engine:
        assert engine.counts() == {"models": 1, "revisions": 0, "endpoints": 0, "deployments": 0, "repos": 0}
