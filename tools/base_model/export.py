"""Export the ONNX graphs without weights: the renderer feeds them from the same safetensors files.

    python tools/base_model/export.py --out src/lorry/engine/base_model

Writes onnx/{transformer,vae}.onnx, onnx/feeds.json (what each must be fed) and lora_layout.json. The
graphs depend on the architecture only: they are exported with random numbers in every weight, which tell
afterwards what each constant was.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from adapting import adapt, linears
from diffusers import FluxTransformer2DModel
from fusing import fuse
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn
from train import TOKENS, grid_ids, new_transformer

from lorry.engine.renderers.patch_vae import PatchVAE

BASE_ID = "lorry/flux-icons-64"
SMALL = 8192  # elements; constants up to here that are no weights (rotary angles) stay inside the graph


class FixedTransformer(nn.Module):
    """The transformer with fixed positions."""

    def __init__(self, transformer: FluxTransformer2DModel) -> None:
        super().__init__()
        self.transformer = transformer
        self.register_buffer("positions", grid_ids())
        self.register_buffer("text_positions", torch.zeros(TOKENS, 3))

    def forward(self, x: Tensor, sigma: Tensor, tokens: Tensor, pooled: Tensor) -> Tensor:
        """Predict the velocity [b, 64, 64] at noise level sigma [b]."""
        velocity: Tensor = self.transformer(
            hidden_states=x,
            encoder_hidden_states=tokens,
            pooled_projections=pooled,
            timestep=sigma,
            img_ids=self.positions,
            txt_ids=self.text_positions,
            return_dict=False,
        )[0]
        return velocity


class Decoder(nn.Module):
    """Tokens to pictures, the linear part and the seam-hiding convolution."""

    def __init__(self, vae: PatchVAE) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, tokens: Tensor) -> Tensor:
        """Decode [b, 64, 64] into [b, 3, 64, 64] of values -1..1."""
        return self.vae.from_tokens(tokens, 64, 64)


def exported(
    module: nn.Module, inputs: dict[str, Tensor], output: str, dynamic: dict[str, Any]
) -> onnx.ModelProto:
    """Export a module with its weights."""
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "full.onnx"
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            str(full),
            input_names=list(inputs),
            output_names=[output],
            opset_version=18,
            dynamo=True,
            optimize=True,
            external_data=False,
            dynamic_shapes=dynamic,
        )
        return onnx.load(full)


def export_transformer(folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Export the transformer with adapters as inputs; say what it is fed, and what it is like."""
    transformer = randomise(new_transformer())
    state = dict(transformer.state_dict())
    inputs = {
        "x": torch.randn(2, 64, 64),
        "sigma": torch.rand(2),
        "tokens": torch.randn(2, TOKENS, 384),
        "pooled": torch.randn(2, 384),
    }
    batch = torch.export.Dim("batch")
    graph = exported(
        FixedTransformer(transformer).eval(), inputs, "velocity", {name: {0: batch} for name in inputs}
    )
    config = transformer.config
    fuse(graph, config.num_attention_heads, config.attention_head_dim, tokens=TOKENS + 64)
    names = strip_weights(graph, state)
    layers = {name: module for name, module in transformer.named_modules() if isinstance(module, nn.Linear)}
    groups = adapt(graph, linears(graph, layers))
    onnx.save(graph, folder / "transformer.onnx")
    sizes = {name: {"in": layer.in_features, "out": layer.out_features} for name, layer in layers.items()}
    layout = {
        "base": BASE_ID,
        "size": 64,
        "tokens": TOKENS,
        "blocks": {"double": config.num_layers, "single": config.num_single_layers},
        "hidden": config.num_attention_heads * config.attention_head_dim,
        "modules": [{"name": name, **sizes[name]} for name in layers],
        "groups": [[layer.name for layer in members] for members in groups],
    }
    return names, layout


def strip_weights(graph: onnx.ModelProto, state: dict[str, Tensor]) -> list[str]:
    """Turn every weight into an external initialiser called after the tensor that it equals.

    A transposed copy is called ``NAME.T``; the renderer transposes when it feeds it.

    Raises:
        ValueError: a large initialiser equals no tensor of the state.
    """
    renamed = {}
    for tensor in graph.graph.initializer:
        name = _source_of(numpy_helper.to_array(tensor), state)
        if name is None:
            if int(np.prod(tensor.dims)) > SMALL:
                raise ValueError(f"the graph's constant {tensor.name} is no tensor of the model")
            continue
        renamed[tensor.name] = name
        tensor.name = name
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        del tensor.external_data[:]
        tensor.external_data.add(key="location", value="fed-by-the-renderer")
    for node in graph.graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = renamed.get(name, name)
        node.doc_string = ""
        del node.metadata_props[:]
    del graph.graph.value_info[:]
    del graph.graph.metadata_props[:]
    graph.graph.doc_string = ""
    return sorted(renamed.values())


def _source_of(values: np.ndarray, state: dict[str, Tensor]) -> str | None:
    for key, tensor in state.items():
        array = tensor.numpy()
        if array.shape == values.shape and np.array_equal(array, values):
            return key
        if array.ndim == 2 and array.T.shape == values.shape and np.array_equal(array.T, values):
            return f"{key}.T"
    return None


def randomise(module: nn.Module) -> nn.Module:
    """Fill every weight with its own random numbers, so that equality identifies it."""
    for tensor in module.state_dict().values():
        tensor.normal_()
    return module.eval().requires_grad_(False)


def main() -> None:
    """Export both graphs and the adapter layout."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(0)
    graphs = options.out / "onnx"
    graphs.mkdir(parents=True, exist_ok=True)
    names, layout = export_transformer(graphs)
    vae = randomise(PatchVAE())
    tokens = {"tokens": torch.randn(2, 64, 64)}
    free = {"tokens": {0: torch.export.Dim("batch")}}
    decoder = exported(Decoder(vae), tokens, "pictures", free)
    feeds = {"transformer": names, "vae": strip_weights(decoder, dict(vae.state_dict()))}
    onnx.save(decoder, graphs / "vae.onnx")
    (graphs / "feeds.json").write_text(json.dumps(feeds, indent=1) + "\n")
    (options.out / "lora_layout.json").write_text(json.dumps(layout, indent=1) + "\n")


if __name__ == "__main__":
    main()
