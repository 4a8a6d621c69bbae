"""An ONNX graph, as what rewrites it needs it: who gives, who takes, and putting nodes in others' place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper


class Graph:
    """A graph's nodes by what they give and take."""

    def __init__(self, model: ModelProto) -> None:
        self.graph: GraphProto = model.graph
        self.constants = {
            each.name: numpy_helper.to_array(each)
            for each in self.graph.initializer
            if each.data_location != TensorProto.EXTERNAL
        }
        self.refresh()

    def refresh(self) -> None:
        """Read who gives and takes what, after a change."""
        self.makers = {name: node for node in self.graph.node for name in node.output}
        self.takers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.graph.node:
            for name in node.input:
                self.takers[name].append(node)

    def of_kind(self, kind: str) -> Iterator[NodeProto]:
        """Give the nodes of one operator."""
        return (node for node in list(self.graph.node) if node.op_type == kind)

    def after(self, node: NodeProto, *kinds: str) -> list[NodeProto]:
        """Follow the only taker of what a node gives, through these operators; empty where it differs."""
        found: list[NodeProto] = []
        for kind in kinds:
            takers = self.takers[node.output[0]]
            if len(takers) != 1 or takers[0].op_type != kind:
                return []
            node = takers[0]
            found.append(node)
        return found

    def replace(self, old: list[NodeProto], new: list[NodeProto]) -> None:
        """Put nodes in the place of others, where the last of these stood."""
        gone = {each.output[0] for each in old}  # by what they give: a graph hands out copies
        kept = list(self.graph.node)
        place = max(index for index, node in enumerate(kept) if node.output[0] in gone)
        before = [node for node in kept[: place + 1] if node.output[0] not in gone]
        rest = [node for node in kept[place + 1 :] if node.output[0] not in gone]
        del self.graph.node[:]
        self.graph.node.extend([*before, *new, *rest])
        self.refresh()

    def constant(self, name: str, values: np.ndarray) -> str:
        """Add a constant; one of this name stays as it is."""
        if name not in self.constants:
            self.graph.initializer.append(numpy_helper.from_array(values, name))
            self.constants[name] = values
        return name

    def other(self, node: NodeProto, known: str) -> str:
        """Give the input of a node that is not the known one."""
        return next(name for name in node.input if name != known)

    def drop_unused(self) -> None:
        """Leave out nodes and constants that nothing needs."""
        given = {each.name for each in self.graph.output}
        while True:
            nodes = list(self.graph.node)
            kept = [node for node in nodes if any(self.takers[name] or name in given for name in node.output)]
            if len(kept) == len(nodes):
                break
            del self.graph.node[:]
            self.graph.node.extend(kept)
            self.refresh()
        needed = {name for node in self.graph.node for name in node.input}
        constants = [each for each in self.graph.initializer if each.name in needed]
        del self.graph.initializer[:]
        self.graph.initializer.extend(constants)
