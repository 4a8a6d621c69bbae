"""The tables of families are those of the real models."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

import lorry
from lorry.model.verdict import Outcome
from lorry.weights import families, family
from lorry.weights.bases.families import Family, layer_names
from lorry.weights.bases.names import rows
from lorry.weights.files.header import read_header
from lorry.weights.files.source import FileSource

MODEL = Path(lorry.__file__).parent / "engine" / "base_model"


def test_the_embedded_base_has_exactly_the_layers_of_its_own_weights() -> None:
    """The table of flux-icons-64 is the linear layers of the transformer that ships with the project."""
    with FileSource(MODEL / "transformer" / "diffusion_pytorch_model.safetensors") as source:
        header = read_header(source)
    real = {
        tensor.name.removesuffix(".weight"): tensor.shape[::-1]
        for tensor in header.tensors
        if tensor.name.endswith(".weight") and len(tensor.shape) == 2
    }
    known = family("flux-icons-64")
    assert known is not None
    assert {name: (inputs, outputs) for name, inputs, outputs in layer_names(known)} == real


def test_the_embedded_base_has_54_adaptable_layers_in_its_blocks() -> None:
    """2 double blocks of 12 linears and 6 single blocks of 5, norms left out: what a LoRA is trained on."""
    known = family("flux-icons-64")
    assert known is not None
    names = [name for name, _, _ in layer_names(known) if "blocks." in name and ".norm" not in name]
    assert len(names) == 54


@pytest.mark.parametrize(
    ("key", "layers"),
    [("flux1", 504), ("flux2-dev", 203), ("flux2-klein-4b", 109), ("qwen-image", 846), ("sdxl", 794)],
)
def test_the_tables_have_all_layers(key: str, layers: int) -> None:
    """The number of linear and convolution layers is that of the diffusers class."""
    known = family(key)
    assert known is not None
    assert sum(1 for _ in layer_names(known)) == layers


def test_a_family_can_be_found_by_every_name() -> None:
    """Key, base ids and aliases lead to the family, in any case; no name leads to two."""
    for each in families():
        for base in each.bases:
            assert family(base.id.upper()) is each
            assert all(family(alias) is each for alias in base.aliases)
        assert all(family(alias) is each for alias in each.aliases)
        assert family(each.key) is each
    assert family("no such model") is None


@pytest.mark.parametrize("known", families(), ids=lambda known: known.key)
def test_every_fact_has_its_source_and_date(known: Family) -> None:
    """Numbers about models are data with where and when they come from; outcomes are known words."""
    assert known.source
    assert known.checked.startswith("20")
    for layout, outcome in known.layouts.items():
        assert len(layout.split()) == 4
        assert outcome in set(Outcome) - {Outcome.UNKNOWN}


def test_both_spellings_of_a_table_have_the_same_layers() -> None:
    """Dots and underscores give the same number of layers for each family."""
    for known in families():
        dotted = sum(len(found) for found in rows(known.key, False).values())
        flat = sum(len(found) for found in rows(known.key, True).values())
        assert dotted == flat


@pytest.mark.reference
def test_the_tables_are_those_of_the_diffusers_classes() -> None:
    """Each table is rebuilt from its class and configuration, on the meta device, and is the same."""
    torch = pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")
    folder = resources.files("lorry.weights.bases").joinpath("data")
    for file in folder.iterdir():
        if not file.is_file():
            continue  # text models have a test of their own
        row = json.loads(file.read_text(encoding="utf-8"))
        with torch.device("meta"):
            model = getattr(diffusers, row["model"]["class"])(**row["model"]["config"])
        real = {}
        for name, layer in model.named_modules():
            if isinstance(layer, torch.nn.Linear):
                real[name] = (layer.in_features, layer.out_features)
            elif isinstance(layer, torch.nn.Conv2d):
                real[name] = (layer.in_channels, layer.out_channels)
        known = family(row["key"])
        assert known is not None
        table = {name: (inputs, outputs) for name, inputs, outputs in layer_names(known)}
        assert real == table, row["key"]
