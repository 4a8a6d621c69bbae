"""Give an exported graph adapters as inputs: for each sample, and for each layer, its own A and B.

Layers that are applied to the same rows (those of attention, and the first of a single block's perceptron)
share one product with their A parts side by side: narrow products are slow. A layer that no adapter of a
batch changes is fed a rank of zero, and costs nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from graphs import Graph
from onnx import ModelProto, NodeProto, TensorProto, helper


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer as the graph has it.

    Attributes:
        name: Of the layer, as diffusers calls it.
        node: The product with its weight.
        rows: Name of what it is applied to.
        inputs: Columns of its weight.
        outputs: Rows of its weight.
    """

    name: str
    node: NodeProto
    rows: str
    inputs: int
    outputs: int


def linears(model: ModelProto, layers: Mapping[str, Any]) -> list[Linear]:
    """List the linear layers of a graph whose weights are called after the module's.

    Args:
        model: The graph.
        layers: The module's linear layers, by name.
    """
    found: list[Linear] = []
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Gemm"):
            name = node.input[1].removesuffix(".T").removesuffix(".weight")
            if name in layers:
                layer = layers[name]
                found.append(Linear(name, node, node.input[0], layer.in_features, layer.out_features))
    return found


def adapt(model: ModelProto, layers: list[Linear]) -> list[list[Linear]]:
    """Give every linear layer an adapter: x A B is added, A and B for each sample.

    Layers of blocks that are applied to the same rows share one product with their A parts side by side.

    Returns:
        The groups that share one input of A parts, in order.
    """
    graph = Graph(model)
    groups: dict[str, list[Linear]] = defaultdict(list)
    for layer in layers:
        alone = layer.node.op_type == "Gemm"
        groups[layer.name if alone else layer.rows].append(layer)
    split = list(groups.values())
    for number, members in enumerate(split):
        _adapt_group(graph, number, members)
    for layer in layers:
        _add_input(graph, f"up.{layer.name}", [f"rank.{layer.name}", layer.outputs])
    return split


def _adapt_group(graph: Graph, number: int, members: list[Linear]) -> None:
    first = members[0]
    alone = first.node.op_type == "Gemm"
    _add_input(graph, f"down.{number}", [first.inputs, f"ranks.{number}"])
    rows, lows = first.rows, f"low.{number}"
    nodes: list[NodeProto] = []
    if alone:
        axis = graph.constant("axis.1", np.array([1], np.int64))
        nodes.append(helper.make_node("Unsqueeze", [rows, axis], [f"{lows}.rows"], name=f"{lows}.rows"))
        rows = f"{lows}.rows"
    nodes.append(helper.make_node("MatMul", [rows, f"down.{number}"], [lows], name=lows))
    parts = [lows]
    if len(members) > 1:
        parts = [f"{lows}.{index}" for index in range(len(members))]
        nodes.append(
            helper.make_node("Split", [lows], parts, name=f"{lows}.split", axis=2, num_outputs=len(members))
        )
    node = graph.makers[first.node.output[0]]
    graph.replace([node], [*nodes, node])
    for part, layer in zip(parts, members, strict=True):
        _add_change(graph, part, layer, alone=alone)


def _add_change(graph: Graph, low: str, layer: Linear, *, alone: bool) -> None:
    plain = layer.node.output[0]
    stem = f"change.{layer.name}"
    takers = list(graph.takers[plain])
    nodes = [helper.make_node("MatMul", [low, f"up.{layer.name}"], [stem], name=stem)]
    change = stem
    if alone:
        nodes.append(helper.make_node("Squeeze", [stem, "axis.1"], [f"{stem}.flat"], name=f"{stem}.flat"))
        change = f"{stem}.flat"
    nodes.append(helper.make_node("Add", [plain, change], [f"{stem}.sum"], name=f"{stem}.sum"))
    for taker in takers:
        for position, name in enumerate(taker.input):
            if name == plain:
                taker.input[position] = f"{stem}.sum"
    node = graph.makers[plain]
    graph.replace([node], [node, *nodes])


def _add_input(graph: Graph, name: str, shape: list[Any]) -> None:
    graph.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]))
