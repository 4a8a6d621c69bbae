"""The trainer on real parts: the small base, and a tiny base of FLUX's kind made on the spot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the extra `diffusers` is not installed")

import torch
from safetensors.torch import load_file

from lorry.engine.renderers.trainable import SmallBase
from lorry.engine.renderers.trainable_flux import FluxBase
from lorry.errors import OptionInvalid
from lorry.training.lora.keeping import FILE, Keeping
from lorry.training.lora.loop import train
from lorry.training.lora.pictures import Example
from lorry.training.lora.ports import Moment, Recipe, TrainableBase
from lorry.weights import check
from tests.training.lora.tiny_flux import tiny_flux

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]

SHORT = Recipe("TOK", steps=6, rank=2, batch=2, every=3)


class Killed(Exception):
    """The process ends here."""


def squares(edge: int) -> list[Example]:
    """Give pictures of a magenta square."""
    picture = np.full((edge, edge, 3), 255, np.uint8)
    picture[edge // 4 : -edge // 4, edge // 4 : -edge // 4] = (214, 40, 140)
    return [Example(picture, "TOK"), Example(picture[:, ::-1].copy(), "TOK, mirrored")]


def run(base: TrainableBase, out: Path, recipe: Recipe = SHORT, *, until: int | None = None) -> list[Moment]:
    """Train, or be killed after so many steps."""
    moments: list[Moment] = []

    def seen(moment: Moment) -> None:
        moments.append(moment)
        if moment.step == until:
            raise Killed

    try:
        train(base, squares(base.edge), recipe, Keeping(out, recipe, "data", base.id), seen)
    except Killed:
        assert until is not None
    return moments


def test_a_training_that_goes_on_is_the_one_that_was_stopped(tmp_path: Path) -> None:
    """Killed between two checkpoints: the file in the end is that of a training in one go, bit by bit."""
    whole = run(SmallBase(), tmp_path / "whole")
    assert [moment.step for moment in whole] == list(range(1, 7))
    run(SmallBase(), tmp_path / "parts", until=5)
    again = run(SmallBase(), tmp_path / "parts")
    assert [moment.step for moment in again] == [4, 5, 6]
    one, other = (load_file(tmp_path / name / FILE) for name in ("whole", "parts"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_it_leaves_is_what_check_expects(tmp_path: Path) -> None:
    """A sound file with trigger, base and steps; previews; nothing of the way is left, nothing is pickled."""
    moments = run(SmallBase(), tmp_path)
    report = check(tmp_path)
    assert report.ok, report.findings
    told = report.summary
    assert (told.base, told.trigger, told.steps, told.modules) == ("lorry/flux-icons-64", "TOK", 6, 54)
    assert [moment.preview for moment in moments if moment.preview] == [
        tmp_path / "samples" / "step_000003.png",
        tmp_path / "samples" / "step_000006.png",
    ]
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["README.md", FILE, "sample.png", "samples", "training_state.json"]


def test_another_training_is_not_gone_on_with(tmp_path: Path) -> None:
    """Other pictures, another recipe, or a file of another trainer: named, and left alone."""
    run(SmallBase(), tmp_path / "one")
    assert Keeping(tmp_path / "one", SHORT, "data", "lorry/flux-icons-64").standing() == 6
    with pytest.raises(OptionInvalid, match=r"it differs in rank, the pictures\."):
        Keeping(tmp_path / "one", replace(SHORT, rank=4), "others", "lorry/flux-icons-64").standing()
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / FILE).write_bytes(b"weights")
    with pytest.raises(OptionInvalid, match="no record"):
        Keeping(tmp_path / "two", SHORT, "data", "lorry/flux-icons-64").standing()
    assert (tmp_path / "two" / FILE).read_bytes() == b"weights"


def test_the_prior_holds_ordinary_pictures_back(tmp_path: Path) -> None:
    """With it the base's own pictures move less than without."""
    moved = []
    for weight in (0.0, 4.0):
        base = SmallBase()
        before = base.draw(["a house", "a red apple"], 1)
        recipe = replace(SHORT, steps=12, rank=8, batch=4, every=12, prior=weight)
        run(base, tmp_path / str(weight), recipe)
        after = base.draw(["a house", "a red apple"], 1)
        moved.append(
            float(np.mean([np.abs(x.astype(float) - y).mean() for x, y in zip(before, after, strict=True)]))
        )
    assert moved[1] < moved[0]


def test_a_base_of_flux_s_kind_is_trained_by_the_same_loop(tmp_path: Path) -> None:
    """A tiny one on the CPU: encoders, VAE and transformer of the real classes, saved and opened again."""
    base: Any = FluxBase(str(tiny_flux(tmp_path / "tiny")), "cpu", edge=32)
    moments = run(base, tmp_path / "out", replace(SHORT, batch=1, rate=1e-3))
    assert all(np.isfinite(moment.loss) for moment in moments)
    tensors = load_file(tmp_path / "out" / FILE)
    assert any(value.any() for name, value in tensors.items() if name.endswith("lora_B.weight"))
    torch.manual_seed(0)
    base.transformer.delete_adapters("default")
    base._pipeline.load_lora_weights(str(tmp_path / "out"))


def test_what_is_no_base_is_told(tmp_path: Path) -> None:
    """A folder without a pipeline: one sentence, and what to name instead."""
    with pytest.raises(OptionInvalid, match="can't be opened as a base of FLUX's kind"):
        FluxBase(str(tmp_path), "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(OptionInvalid, match="trained on a GPU"):
            FluxBase(str(tmp_path), "cuda")
