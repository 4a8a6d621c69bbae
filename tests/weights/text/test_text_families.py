"""Text families are told by names and shapes; what shapes can't tell, the name of the base decides."""

from __future__ import annotations

import pytest

from lorry.weights.adapter.peft_config import read_config
from lorry.weights.bases.families import Family, base_named, families, families_named, family, layer_names
from lorry.weights.bases.identify import fit_to, identify
from tests.weights.text.adapters import PROJECTIONS, config, pairs, text

TEXT = [known for known in families() if known.modality == "text"]


def test_the_families_of_the_issue_are_there() -> None:
    """Llama, Qwen, Mistral, Mixtral, Gemma, SmolLM2 are families, each with bases and their licences."""
    assert len(TEXT) == 36
    assert {known.key.partition("-")[0] for known in TEXT} == {
        "llama", "qwen2.5", "qwen3", "mistral", "mixtral", "gemma", "smollm2",
    }  # fmt: skip
    for known in TEXT:
        assert known.bases
        for base in known.bases:
            assert base.licence
            assert base.commercial in ("yes", "no", "terms")


@pytest.mark.parametrize("known", TEXT, ids=lambda known: known.key)
def test_an_adapter_on_all_layers_fits_its_own_family(known: Family) -> None:
    """An adapter on every layer fits its family wholly, and no other unless their layers are the same."""
    layers = [each for each in layer_names(known) if ".experts." not in each[0] or ".experts.0." in each[0]]
    adapter = text(pairs(layers, 1)).adapter
    assert fit_to(adapter, known).share == 1.0
    identity = identify(adapter)
    assert identity.best is not None
    assert identity.best.family.key == known.key
    assert identity.rivals == ()


@pytest.mark.parametrize(
    ("base", "key"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3-8b"),
        ("unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit", "llama-3-8b"),
        ("unsloth/llama-3-8b-unsloth-bnb-4bit", "llama-3-8b"),
        ("mistralai/Mistral-7B-Instruct-v0.2", "mistral-7b"),
        ("unsloth/mistral-7b-v0.3-bnb-4bit", "mistral-7b-v0.3"),
        ("NousResearch/Meta-Llama-3-8B", "llama-3-8b"),
    ],
)
def test_the_name_of_the_base_decides_between_equals(base: str, key: str) -> None:
    """Llama 3 8B and Mistral 7B have the same projections; the base that a config names tells them apart."""
    known = family("llama-3-8b")
    assert known is not None
    layers = [each for each in layer_names(known) if each[0].endswith("_proj")]
    adapter = text(pairs(layers, 1)).adapter
    undecided = identify(adapter)
    assert undecided.best is not None
    keys = {fit.family.key for fit in (undecided.best, *undecided.rivals)}
    assert keys == {"llama-3-8b", "mistral-7b", "mistral-7b-v0.3"}
    label = config(base_model_name_or_path=base).label
    assert label is not None
    decided = identify(adapter, [families_named(label)])
    assert decided.best is not None
    assert decided.best.family.key == key
    assert decided.rivals == ()


def test_copies_and_old_names_lead_to_the_public_base() -> None:
    """A quantised copy's name leads to the base that it is a copy of, with that base's id."""
    names = {
        "unsloth/llama-3.2-1b-instruct-bnb-4bit": "meta-llama/Llama-3.2-1B-Instruct",
        "unsloth/Qwen2.5-7B-Instruct-bnb-4bit": "Qwen/Qwen2.5-7B-Instruct",
        "unsloth/gemma-2-9b-it-bnb-4bit": "google/gemma-2-9b-it",
        "meta-llama/Meta-Llama-3.1-70B-Instruct": "meta-llama/Llama-3.1-70B-Instruct",
        "Qwen/Qwen3-8B": "Qwen/Qwen3-8B",
    }
    for name, public in names.items():
        found = base_named(name)
        assert found is not None, name
        assert found.id == public


def test_attention_heads_wider_than_the_model_are_known() -> None:
    """Qwen3 4B has width 2560 and query outputs of 4096, Gemma 2 2B 2304 and 2048: two different numbers."""
    for key, outputs in (("qwen3-4b", 4096), ("gemma-2-2b", 2048), ("mistral-nemo-12b", 4096)):
        known = family(key)
        assert known is not None
        [(_, _, found)] = [
            each for each in layer_names(known) if each[0].endswith("layers.0.self_attn.q_proj")
        ]
        assert found == outputs


def test_no_config_names_no_base() -> None:
    """Without a configuration there is no label."""
    assert read_config(None).label is None
    assert config(target_modules=PROJECTIONS, base_model_name_or_path=None).label is None
