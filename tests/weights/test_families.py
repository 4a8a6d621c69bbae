"""The tables of families are those of the real models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lorry
from lorry.weights import families, family
from lorry.weights.bases.families import Family, base_named, families_named, layer_names
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
    [
        ("flux1", 504),
        ("flux2-dev", 203),
        ("flux2-klein-4b", 109),
        ("qwen-image", 846),
        ("sdxl", 794),
        ("wan-14b", 407),
        ("wan2.1-i2v-14b", 489),
        ("wan2.1-1.3b", 307),
        ("ltx-2b", 287),
        ("ltx2", 1370),
    ],
)
def test_the_tables_have_all_layers(key: str, layers: int) -> None:
    """The number of linear and convolution layers is that of the diffusers class."""
    known = family(key)
    assert known is not None
    assert sum(1 for _ in layer_names(known)) == layers


def test_a_family_can_be_found_by_every_name() -> None:
    """Key, base ids and aliases lead to the family, in any spelling; a family's alias may mean several."""
    for each in families():
        for base in each.bases:
            assert family(base.id.upper()) is each
            assert all(family(alias) is each for alias in base.aliases)
        assert all(each in families_named(alias) for alias in each.aliases)
        assert family(each.key) is each
        assert family(each.key.replace("-", "_")) is each
    assert family("no such model") is None


def test_one_label_may_mean_several_families() -> None:
    """Trainers write one word for several sizes; `family` gives none of them, `families_named` all."""
    assert [known.key for known in families_named("wan2.1")] == ["wan-14b", "wan2.1-1.3b", "wan2.1-i2v-14b"]
    assert family("wan2.1") is None
    assert families_named("no such model") == ()


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("flux.1_kontext", "flux1"),
        ("flux2_klein_9b", "flux2-klein-9b"),
        ("flux_2_klein_9b", "flux2-klein-9b"),
        ("wan_2.2_5b", "wan2.2-5b"),
        ("wan_2.2_14b", "wan-14b"),
        ("qwen_image", "qwen-image"),
        ("Qwen-Image-Edit", "qwen-image"),
        ("zimage", "z-image"),
        ("ltx2", "ltx2"),
        ("sd_v1", "sd1"),
        ("sd_v2_v", "sd2"),
        ("sdxl_base_v1-0", "sdxl"),
        ("stable-diffusion-3-5-large", "sd3.5-large"),
        ("flux1-dev.safetensors", "flux1"),
        ("/models/flux1-dev.safetensors", "flux1"),
        ("somebody/FLUX.1-dev", "flux1"),
    ],
)
def test_labels_of_trainers_name_a_family(label: str, key: str) -> None:
    """What ai-toolkit, kohya and musubi write is known, and so are copies and files of known models."""
    known = family(label)
    assert known is not None
    assert known.key == key


def test_a_label_names_a_base_model() -> None:
    """A label that means one base model gives that, in any spelling."""
    for label in ("flux.1_kontext", "FLUX.1-Kontext-dev", "black-forest-labs/flux.1-kontext-dev"):
        base = base_named(label)
        assert base is not None
        assert base.id == "black-forest-labs/FLUX.1-Kontext-dev"
    assert base_named("flux") is None


def test_every_base_model_has_its_licence() -> None:
    """Each base model has a licence and a word on commercial use; the family says where they come from."""
    for each in families():
        for base in each.bases:
            assert base.licence, base.id
            assert base.commercial in ("yes", "no", "terms"), base.id
        if each.modality != "text":
            assert each.licence_source


def test_a_layer_that_takes_other_inputs_is_a_layer_of_the_table() -> None:
    """Where base models differ, the layer exists, and at least one takes what the table has."""
    for each in families():
        names = set(each.layers)
        for base in each.bases:
            assert set(base.takes) <= names
        for template in {name for base in each.bases for name in base.takes}:
            usual = each.layers[template][0]
            assert any(usual in base.takes.get(template, (usual,)) for base in each.bases)


@pytest.mark.parametrize("known", families(), ids=lambda known: known.key)
def test_every_fact_has_its_source_and_date(known: Family) -> None:
    """Numbers about models are data with where and when they come from."""
    assert known.source
    assert known.checked.startswith("20")


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
    folder = Path(lorry.__file__).parent / "weights" / "bases" / "data"
    rows_of_data = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("**/*.json")]
    built = [row for row in rows_of_data if "class" in row["model"]]
    assert {row["key"] for row in built} == {each.key for each in families() if each.modality != "text"}
    for row in built:
        with torch.device("meta"):
            model = getattr(diffusers, row["model"]["class"])(**row["model"]["config"])
        real = {}
        for name, layer in model.named_modules():
            if isinstance(layer, torch.nn.Linear):
                real[name] = (layer.in_features, layer.out_features)
            elif isinstance(layer, torch.nn.Conv2d | torch.nn.Conv3d):
                real[name] = (layer.in_channels, layer.out_channels)
        known = family(row["key"])
        assert known is not None
        assert {name: (inputs, outputs) for name, inputs, outputs in layer_names(known)} == real, row["key"]
