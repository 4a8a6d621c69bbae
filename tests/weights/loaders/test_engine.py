"""What is foretold of the embedded engine is what its renderer does with the same file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorry.engine.renderers.adapter_file import read_adapter as load
from lorry.engine.renderers.base import base_model
from lorry.errors import AdapterUnusable
from lorry.model.verdict import Outcome, Prediction
from lorry.weights.adapter.modules import read_adapter
from lorry.weights.bases.families import OWN_BASE, family
from lorry.weights.bases.identify import fit_to
from lorry.weights.files.header import read_header
from lorry.weights.files.source import FileSource
from lorry.weights.loaders.predict import loaders_for, predict
from tests.weights.files import ICON_LAYERS, Tensors, build, icons, kohya, lora, noise, pair, scalar

_Q = "transformer.transformer_blocks.0.attn.to_q"


def without(end: str) -> Tensors:
    """Leave one tensor of the first layer out."""
    return {name: tensor for name, tensor in icons().items() if name != _Q + end}


def config(**fields: object) -> dict[str, str]:
    """Write a LoraConfig into the metadata."""
    return {
        "lora_adapter_metadata": json.dumps({f"transformer.{name}": value for name, value in fields.items()})
    }


FILES: dict[str, tuple[Tensors, dict[str, str]]] = {
    "plain": (icons(), {}),
    "alpha": ({**icons(), f"{_Q}.alpha": scalar(1)}, {}),
    "no lora_B": (without(".lora_B.weight"), {}),
    "no lora_A": (without(".lora_A.weight"), {}),
    "two ranks": ({**icons(), f"{_Q}.lora_B.weight": noise(256, 8)}, {}),
    "another size": ({**icons(), f"{_Q}.lora_A.weight": noise(2, 100)}, {}),
    "more outputs": ({**icons(), f"{_Q}.lora_B.weight": noise(300, 2)}, {}),
    "a stranger": ({**icons(), **pair("transformer.made.up", 4, 4)}, {}),
    "beyond the blocks": ({**icons(), **pair("transformer.transformer_blocks.9.attn.to_q", 256, 256)}, {}),
    "some tensor": ({**icons(), "some.weight": noise(2, 2)}, {}),
    "magnitudes": ({**icons(), f"{_Q}.lora_magnitude_vector": noise(256)}, {}),
    "a bias": ({**icons(), f"{_Q}.lora_B.bias": noise(256)}, {}),
    "bare": (lora(ICON_LAYERS, ""), {}),
    "some bare": ({**icons(), **pair("transformer_blocks.0.attn.to_out.0", 256, 256)}, {}),
    "kohya": (kohya("lora_unet_transformer_blocks_0_attn_to_q", 256, 256), {}),
    "a config": (icons(), config(r=2, lora_alpha=4)),
    "a config and alpha": ({**icons(), f"{_Q}.alpha": scalar(1)}, config(r=2, lora_alpha=4)),
    "another rank in the config": (icons(), config(r=16, lora_alpha=4)),
    "a config that is no JSON": (icons(), {"lora_adapter_metadata": "{r: 2"}),
}


def foretold(path: Path) -> Prediction:
    """Foretell what the engine does with a file."""
    known = family(OWN_BASE)
    assert known is not None
    with FileSource(path) as source:
        header = read_header(source)
    adapter = read_adapter(header)
    return predict(adapter, fit_to(adapter, known), loaders_for(known)[0], header.metadata)


@pytest.mark.parametrize("name", FILES)
def test_the_engine_does_what_is_foretold(tmp_path: Path, name: str) -> None:
    """Where we say "refused", the renderer raises; elsewhere it packs exactly the foretold layers."""
    tensors, metadata = FILES[name]
    path = tmp_path / "lora.safetensors"
    path.write_bytes(build(tensors, metadata))
    told = foretold(path)
    if told.outcome is Outcome.REFUSED:
        with pytest.raises(AdapterUnusable):
            load(path, base_model())
    else:
        assert len(load(path, base_model()).layers) == told.modules
