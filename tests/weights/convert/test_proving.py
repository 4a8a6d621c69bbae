"""A changed strength is found in every module, and never where nothing changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorry.errors import ConversionFailed, LorryError, StrengthChanged
from lorry.weights.convert.options import Layout, Losses, Options
from lorry.weights.convert.planning import Plan, plan_for
from lorry.weights.convert.producing import produce
from lorry.weights.convert.proving import Allowance, Result, compared, judged
from lorry.weights.convert.reading import Given, read_given
from lorry.weights.files.source import MemorySource
from lorry.weights.judging.context import Context
from tests.weights.convert.deltas import KOHYA, Doubles, pair, read, stored
from tests.weights.files import Made, Tensors, build, joined, scalar

#: A fused layer, a swapped one and a plain one of FLUX.1, with their strengths.
FLUX: Tensors = joined(
    [
        pair("lora_unet_double_blocks_3_img_attn_qkv", 3072, 9216, alpha=1.0, words=KOHYA, seed=1),
        pair("lora_unet_final_layer_adaLN_modulation_1", 3072, 6144, alpha=2.0, words=KOHYA, seed=2),
        pair("lora_unet_double_blocks_3_img_mlp_0", 3072, 12288, alpha=3.0, words=KOHYA, seed=3),
    ]
)
Files = dict[str, Doubles]


def given_of(content: bytes, options: Options | None = None) -> Given:
    """Read a file's content."""
    return read_given(
        MemorySource("x.safetensors", content),
        Context("x", "x.safetensors"),
        options or Options(base="flux1"),
    )


def rewritten(tensors: Files) -> bytes:
    """Write decoded tensors again."""
    made: dict[str, Made] = {name: stored(values) for name, values in tensors.items()}
    return build(made)


def judge(
    tmp_path: Path, change: Callable[[Files], object], layout: Layout = Layout.DIFFUSERS, **options: object
) -> tuple[Losses | None, float]:
    """Convert by the planned recipe, change the result, and compare it with the source."""
    wanted = Options(to=layout, base="flux1", **options)  # type: ignore[arg-type]
    source = given_of(build(FLUX), wanted)
    plan = plan_for(source, wanted)
    product = produce(source, plan, wanted, tmp_path / "x.safetensors")
    files, _ = read(tmp_path / "x.safetensors")
    change(files)
    return judged(tuple(compared(source, plan, result_of(files, plan), product.allowances)))


def result_of(files: Files, plan: Plan) -> Result:
    """Read a changed result."""
    return Result(given_of(rewritten(files)), plan)


@pytest.mark.parametrize("layout", [Layout.DIFFUSERS, Layout.COMFYUI, Layout.KOHYA])
def test_what_the_recipe_makes_is_accepted(tmp_path: Path, layout: Layout) -> None:
    """Without a change every layout keeps every norm to the last bits."""
    losses, change = judge(tmp_path, _nothing, layout)
    assert losses is None
    assert change < 1e-6


def _nothing(files: Files) -> None:
    """Change nothing."""


def scaled(name: str, factor: float) -> Callable[[Files], object]:
    """Multiply one tensor."""

    def change(files: Files) -> None:
        files[name] = files[name] * factor

    return change


def exchanged(one: str, two: str) -> Callable[[Files], object]:
    """Let two tensors change places."""

    def change(files: Files) -> None:
        files[one], files[two] = files[two], files[one]

    return change


def rolled(name: str, rows: int) -> Callable[[Files], object]:
    """Move a tensor's rows."""

    def change(files: Files) -> None:
        files[name] = np.roll(files[name], rows, axis=0)

    return change


Q, K = (f"transformer.transformer_blocks.3.attn.to_{word}.lora_B.weight" for word in "qk")
MLP = "transformer.transformer_blocks.3.ff.net.0.proj"
WRONG = {
    "a strength that was forgotten": scaled(f"{MLP}.lora_B.weight", 1 / 1.5),
    "a strength that was applied twice": scaled(f"{MLP}.lora_B.weight", 1.5),
    "a thousandth too strong": scaled(f"{MLP}.lora_A.weight", 1.001),
    "a turned sign": scaled(Q, -1.0),
    "one third of a fused layer left out": scaled(K, 0.0),
    "thirds in the wrong order": exchanged(Q, K),
    "halves that did not change places": rolled("transformer.norm_out.linear.lora_B.weight", 3072),
    "rows that moved by one": rolled(f"{MLP}.lora_B.weight", 1),
    "not a number": scaled(f"{MLP}.lora_A.weight", float("nan")),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_recipe_is_found(tmp_path: Path, wrong: str) -> None:
    """Each way of getting a conversion wrong changes a norm or a distance beyond the tolerance."""
    with pytest.raises(StrengthChanged) as found:
        judge(tmp_path, WRONG[wrong])
    assert found.value.evidence["modules"]
    assert "norm" in found.value.message


@pytest.mark.parametrize("factor", [0.5, 0.97, 1.03, 2.0])
def test_a_changed_strength_is_found_behind_the_rounding_of_bfloat16(tmp_path: Path, factor: float) -> None:
    """Rounding is allowed for, and three hundredths more are still told from it."""
    judge(tmp_path, _nothing, dtype="bf16")
    with pytest.raises(StrengthChanged):
        judge(tmp_path, scaled(f"{MLP}.lora_B.weight", factor), dtype="bf16")


def test_an_alpha_that_was_left_out_is_found(tmp_path: Path) -> None:
    """In kohya's layout the strength is stated, and a wrong statement is a changed strength."""
    judge(tmp_path, _nothing, Layout.KOHYA)
    with pytest.raises(StrengthChanged, match="1 of 3 modules"):
        judge(tmp_path, lambda files: files.pop("lora_unet_double_blocks_3_img_mlp_0.alpha"), Layout.KOHYA)


def test_a_missing_tensor_is_found(tmp_path: Path) -> None:
    """A layer that is not in the result at all is told by its name."""
    with pytest.raises(ConversionFailed, match="lora_B"):
        judge(tmp_path, lambda files: files.pop(Q))


def test_a_cut_rank_of_the_wrong_strength_is_found(tmp_path: Path) -> None:
    """The best lower rank is a projection; another strength of it is told, whatever is missing."""
    losses, _ = judge(tmp_path, _nothing, rank=1, lossy=True)
    assert losses is not None
    assert len(losses.modules) == 3
    for factor in (0.9, 1.1):
        with pytest.raises(StrengthChanged):
            judge(tmp_path, scaled(f"{MLP}.lora_B.weight", factor), rank=1, lossy=True)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.integers(0, 10_000),
    st.floats(0.01, 50),
    st.sampled_from(["bf16", "f16", "f32"]),
    st.sampled_from([Layout.DIFFUSERS, Layout.KOHYA, Layout.COMFYUI]),
    st.booleans(),
)
def test_no_strength_is_refused_that_did_not_change(
    tmp_path: Path, seed: int, alpha: float, dtype: str, layout: Layout, opposed: bool
) -> None:
    """Rounding alone is never a changed strength, not even of columns that nearly cancel each other out."""
    rng = np.random.default_rng(seed)
    down, up = rng.normal(size=(2, 64)) * 0.1, rng.normal(size=(3072, 2)) * 0.1
    if opposed:
        down[1], up[:, 1] = down[0], -up[:, 0] * (1 + 1e-3 * rng.normal(size=3072))
    name = "lora_unet_img_in"
    tensors = {
        f"{name}.lora_down.weight": stored(down),
        f"{name}.lora_up.weight": stored(up),
        f"{name}.alpha": scalar(alpha),
    }
    wanted = Options(to=layout, base="flux1", dtype=dtype)
    source = given_of(build(tensors), wanted)
    plan = plan_for(source, wanted)
    product = produce(source, plan, wanted, tmp_path / "x.safetensors")
    result = Result(given_of((tmp_path / "x.safetensors").read_bytes()), plan)
    found = tuple(compared(source, plan, result, product.allowances))
    assert judged(found)[0] is None


def test_what_is_found_is_data(tmp_path: Path) -> None:
    """The error carries every changed module with both norms, as JSON values."""
    with pytest.raises(LorryError) as found:
        judge(tmp_path, scaled(Q, 2.0))
    row = json.loads(json.dumps(found.value.as_dict()))["evidence"]["modules"][0]
    assert row["module"] == "double_blocks_3_img_attn_qkv"
    assert row["after"] > row["before"]
    assert Allowance(0.0, False) != Allowance(0.0, True)
