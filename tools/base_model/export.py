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
from diffusers import FluxTransformer2DModel
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn
from train import TOKENS, grid_ids, new_transformer

from lorry.engine.renderers.patch_vae import PatchVAE

BASE_ID = "lorry/flux-icons-64"
SMALL = 8192  # elements; constants up to here that are no weights (rotary angles) stay inside the graph


class AdaptedLinear(nn.Module):
    """A linear layer plus, per sample, x A^T B with A and B cut out of one packed input."""

    def __init__(self, base: nn.Linear, offset: int, packed: list[Tensor]) -> None:
        super().__init__()
        self.base, self.offset, self._packed = base, offset, packed

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to [b, t, in] or [b, in]."""
        packed = self._packed[0]
        middle = self.offset + self.base.in_features
        down = packed[:, :, self.offset : middle]
        up = packed[:, :, middle : middle + self.base.out_features]
        rows = x if x.ndim == 3 else x[:, None]
        change = torch.bmm(torch.bmm(rows, down.transpose(1, 2)), up)
        return self.base(x) + (change if x.ndim == 3 else change[:, 0])


class AdaptedTransformer(nn.Module):
    """The transformer with fixed positions and an adapter input [b, rank, sum of in and out sizes]."""

    def __init__(self, transformer: FluxTransformer2DModel) -> None:
        super().__init__()
        self.transformer = transformer
        self.layout: list[dict[str, Any]] = []
        self._packed = [torch.empty(0)]  # filled at the start of each forward
        self.register_buffer("positions", grid_ids())
        self.register_buffer("text_positions", torch.zeros(TOKENS, 3))
        offset = 0
        for name in [name for name, module in transformer.named_modules() if isinstance(module, nn.Linear)]:
            base = transformer.get_submodule(name)
            parent, _, leaf = name.rpartition(".")
            setattr(transformer.get_submodule(parent), leaf, AdaptedLinear(base, offset, self._packed))
            sizes = {"in": base.in_features, "out": base.out_features}
            self.layout.append({"name": name, "offset": offset, **sizes})
            offset += base.in_features + base.out_features
        self.width = offset

    def forward(self, x: Tensor, sigma: Tensor, tokens: Tensor, pooled: Tensor, lora: Tensor) -> Tensor:
        """Predict the velocity [b, 64, 64] at noise level sigma [b]."""
        self._packed[0] = lora
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


def export_graph(
    module: nn.Module,
    inputs: dict[str, Tensor],
    output: str,
    dynamic: dict[str, Any],
    state: dict[str, Tensor],
    path: Path,
) -> list[str]:
    """Export a module, replace its weights by references to safetensors names, and return these."""
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
        graph = onnx.load(full)
    names = strip_weights(graph, state)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, path)
    return names


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
    batch, rank = torch.export.Dim("batch"), torch.export.Dim("rank")
    torch.manual_seed(0)
    transformer = randomise(new_transformer())
    state = dict(transformer.state_dict())
    adapted = AdaptedTransformer(transformer).eval()
    inputs = {
        "x": torch.randn(2, 64, 64),
        "sigma": torch.rand(2),
        "tokens": torch.randn(2, TOKENS, 384),
        "pooled": torch.randn(2, 384),
        "lora": torch.randn(2, 8, adapted.width) * 0.02,
    }
    free = {name: {0: batch} for name in inputs} | {"lora": {0: batch, 1: rank}}
    graphs = options.out / "onnx"
    feeds = {
        "transformer": export_graph(adapted, inputs, "velocity", free, state, graphs / "transformer.onnx")
    }
    vae = randomise(PatchVAE())
    tokens = {"tokens": torch.randn(2, 64, 64)}
    decoder = Decoder(vae)
    free = {"tokens": {0: batch}}
    state = dict(vae.state_dict())
    feeds["vae"] = export_graph(decoder, tokens, "pictures", free, state, graphs / "vae.onnx")
    (graphs / "feeds.json").write_text(json.dumps(feeds, indent=1) + "\n")
    layout = {
        "base": BASE_ID,
        "size": 64,
        "tokens": TOKENS,
        "blocks": {"double": transformer.config.num_layers, "single": transformer.config.num_single_layers},
        "hidden": transformer.config.num_attention_heads * transformer.config.attention_head_dim,
        "packed_width": adapted.width,
        "modules": adapted.layout,
    }
    (options.out / "lora_layout.json").write_text(json.dumps(layout, indent=1) + "\n")


if __name__ == "__main__":
    main()
