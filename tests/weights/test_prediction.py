"""The check's prediction is what the embedded renderer counts when it loads the same file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorry.engine.renderers.adapter_file import read_adapter
from lorry.engine.renderers.base import base_model
from lorry.weights import family, predicted_modules
from lorry.weights.bases.families import layer_names
from tests.weights.files import ICON_LAYERS, Tensors, icons, lora, noise, pair, scalar
from tests.weights.files import build as build_file


def every_layer() -> Tensors:
    """Make an adapter on all 72 layers of the base."""
    known = family("flux-icons-64")
    assert known is not None
    return lora(layer_names(known))


FILES: dict[str, Tensors] = {
    "all blocks": icons(),
    "every layer": every_layer(),
    "one layer": lora(ICON_LAYERS[:1]),
    "bare names": lora(ICON_LAYERS, ""),
    "ComfyUI's prefix": lora(ICON_LAYERS, "diffusion_model."),
    "one bare layer": {**icons(), **pair("transformer_blocks.0.attn.to_out.0", 256, 256)},
    "a layer too many": {**icons(), **pair("transformer.transformer_blocks.7.attn.to_q", 256, 256)},
    "a stranger": {**icons(), "transformer.x.weight": noise(2, 2)},
    "with alpha": {**icons(), "transformer.transformer_blocks.0.attn.to_q.alpha": scalar(1)},
}


@pytest.mark.parametrize("name", FILES)
def test_the_renderer_counts_what_the_check_predicts(tmp_path: Path, name: str) -> None:
    """For every file that the renderer takes, it changes exactly as many layers as were predicted."""
    path = tmp_path / "pytorch_lora_weights.safetensors"
    path.write_bytes(build_file(FILES[name]))
    assert len(read_adapter(path, base_model()).layers) == predicted_modules(path, "flux-icons-64")
