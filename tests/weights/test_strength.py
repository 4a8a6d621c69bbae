"""The strength is found wherever it is stated, and statements that disagree are reported."""

from __future__ import annotations

import json

import pytest

from tests.weights.files import ICON_LAYERS, Tensors, build, icons, kohya, lora, noise, scalar
from tests.weights.test_codes import codes, report_on


def with_alpha(value: float, dtype: str = "F32") -> Tensors:
    """Give every module of a small adapter the same alpha."""
    alphas = {f"transformer.{name}.alpha": scalar(value, dtype) for name, _, _ in ICON_LAYERS}
    return {**icons(), **alphas}


def config(**fields: object) -> dict[str, str]:
    """Write a LoraConfig into a header as diffusers does."""
    return {
        "lora_adapter_metadata": json.dumps({f"transformer.{name}": value for name, value in fields.items()})
    }


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "F64"])
def test_alpha_is_read_in_every_type(dtype: str) -> None:
    """An alpha common to all modules is in the summary, whatever type its tensors have."""
    assert report_on(build(with_alpha(8, dtype))).summary.alpha == 8.0


def test_alpha_of_one_dimension_is_read() -> None:
    """Some trainers write alpha with the shape [1] (dossier 1.1)."""
    tensors = kohya("lora_unet_double_blocks_0_img_mlp_0", 3072, 12288)
    name = next(iter(tensors))
    one = type(tensors[name])("F32", (1,), tensors[name].data)
    assert report_on(build({**tensors, name: one})).summary.alpha == 1.0


def test_the_header_states_alpha_where_no_tensor_does() -> None:
    """Without alpha tensors the LoraConfig in the header counts; without both there is no alpha."""
    assert report_on(build(icons(), config(r=2, lora_alpha=16))).summary.alpha == 16.0
    assert report_on(build(icons())).summary.alpha is None


def test_alphas_that_differ_have_no_common_value() -> None:
    """The summary has no alpha when the modules disagree."""
    tensors = with_alpha(2)
    tensors["transformer.transformer_blocks.0.attn.to_q.alpha"] = scalar(4)
    assert report_on(build(tensors)).summary.alpha is None


@pytest.mark.parametrize("value", [-1.0, 1e6, float("inf"), 129.0])
def test_an_absurd_alpha_is_an_error(value: float) -> None:
    """Negative, endless and absurd alphas are errors; 129 at rank 2 is a scale of 64.5."""
    assert "ALPHA_BAD" in codes(report_on(build(with_alpha(value))))


def test_an_alpha_that_is_no_number_is_an_error() -> None:
    """An alpha tensor of several numbers states nothing."""
    tensors = {**icons(), "transformer.transformer_blocks.0.attn.to_q.alpha": noise(3)}
    assert "ALPHA_BAD" in codes(report_on(build(tensors)))


def test_a_dropped_alpha_matters_only_when_it_differs_from_the_rank() -> None:
    """Where the loader drops alpha, alpha equal to the rank changes nothing."""
    same = kohya("transformer.transformer_blocks.0.norm1.linear", 3072, 18432, rank=2, alpha=2)
    assert "ALPHA_DROPPED" not in codes(report_on(build(same)))
    half = kohya("transformer.transformer_blocks.0.norm1.linear", 3072, 18432, rank=2, alpha=1)
    [found] = [f for f in report_on(build(half)).findings if f.code == "ALPHA_DROPPED"]
    assert "200%" in found.message


def test_rank_patterns_are_plain_names() -> None:
    """A rank per module is compared with that module; a pattern from the file is never run as a regex."""
    tensors = {**icons(), **lora(ICON_LAYERS[:1], rank=4)}
    patterned = config(r=2, lora_alpha=2, rank_pattern={"transformer_blocks.0.attn.to_q": 4})
    assert "META_RANK_MISMATCH" not in codes(report_on(build(tensors, patterned)))
    evil = config(r=2, lora_alpha=2, rank_pattern={"(a+)+$": 4})
    assert "META_RANK_MISMATCH" in codes(report_on(build(tensors, evil)))


@pytest.mark.parametrize("text", ["[]", "null", "7", "{", "[" * 100_000])
def test_a_config_that_is_no_object_is_an_error(text: str) -> None:
    """The loader builds a LoraConfig from the header's text, so it has to be an object."""
    assert "META_JSON" in codes(report_on(build(icons(), {"lora_adapter_metadata": text})))
