"""The adapters of a batch as the graph is fed them: for each layer, every sample's A and B side by side."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lorry.engine.renderers.adapter_file import AdapterFile, as_floats
from lorry.engine.renderers.base import BaseModel, Layer

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PackedAdapter:
    """An adapter ready to be fed: for each layer A^T [in, rank] and B^T [rank, out], the strength in B."""

    layers: Mapping[str, tuple[Floats, Floats]]

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return sum(down.nbytes + up.nbytes for down, up in self.layers.values())


def pack(file: AdapterFile) -> PackedAdapter:
    """Turn an adapter into what is fed."""
    layers = {}
    for each in file.layers:
        up = np.ascontiguousarray(as_floats(each.up).T)
        if each.strength != 1:
            up *= np.float32(each.strength)
        layers[each.layer.name] = np.ascontiguousarray(as_floats(each.down).T), up
    return PackedAdapter(layers)


@dataclass(frozen=True, slots=True)
class Stack:
    """The adapters of one sample with their scales, their ranks one behind the other."""

    parts: tuple[tuple[PackedAdapter, float], ...] = ()

    def rank(self, layer: str) -> int:
        """Give the ranks that a layer has in sum."""
        return sum(len(adapter.layers[layer][1]) for adapter, _ in self.parts if layer in adapter.layers)


class Rows:
    """The arrays that are fed, kept from step to step: only rows whose adapters changed are written again.

    Args:
        base: The base model.
    """

    def __init__(self, base: BaseModel) -> None:
        self._groups = base.groups
        self._ranks: tuple[int, ...] = ()
        self._stacks: list[Stack] = []
        self._downs: list[Floats] = []
        self._ups: list[list[Floats]] = []
        self._fed: dict[str, Floats] = {}
        self._rows = 0

    def feeds(self, stacks: Sequence[Stack]) -> dict[str, Floats]:
        """Give the inputs of the graph.

        Args:
            stacks: The adapters of each sample.
        """
        if self._fed and _same(stacks, self._stacks[: self._rows]):
            return self._fed  # most steps: nobody joined or left
        ranks = tuple(self._rank(group, stacks) for group in self._groups)
        if ranks != self._ranks or len(stacks) > len(self._stacks):
            self._make_room(ranks, len(stacks))
        for row, stack in enumerate(stacks):
            if self._stacks[row] is not stack:
                self._write(row, stack)
        self._rows = len(stacks)
        self._fed = dict(self._named(self._rows))
        return self._fed

    def _rank(self, group: tuple[Layer, ...], stacks: Sequence[Stack]) -> int:
        return max(stack.rank(layer.name) for layer in group for stack in stacks)

    def _make_room(self, ranks: tuple[int, ...], rows: int) -> None:
        self._ranks = ranks
        self._stacks = [_NOTHING] * rows
        self._downs = [
            np.zeros((rows, group[0].inputs, len(group) * rank), np.float32)
            for group, rank in zip(self._groups, ranks, strict=True)
        ]
        self._ups = [
            [np.zeros((rows, rank, layer.outputs), np.float32) for layer in group]
            for group, rank in zip(self._groups, ranks, strict=True)
        ]

    def _write(self, row: int, stack: Stack) -> None:
        clean = self._stacks[row] is _NOTHING
        self._stacks[row] = stack
        for index, group in enumerate(self._groups):
            if (rank := self._ranks[index]) == 0:
                continue
            down, ups = self._downs[index][row], [each[row] for each in self._ups[index]]
            if not clean:
                down[:] = 0
            for place, (layer, up) in enumerate(zip(group, ups, strict=True)):
                if not clean:
                    up[:] = 0
                _write_layer(stack, layer.name, down[:, place * rank : (place + 1) * rank], up)

    def _named(self, rows: int) -> Iterable[tuple[str, Floats]]:
        for index, (group, down, ups) in enumerate(zip(self._groups, self._downs, self._ups, strict=True)):
            yield f"down.{index}", down[:rows]
            for layer, up in zip(group, ups, strict=True):
                yield f"up.{layer.name}", up[:rows]


def _same(stacks: Sequence[Stack], before: Sequence[Stack]) -> bool:
    return len(stacks) == len(before) and all(map(operator.is_, stacks, before))


def _write_layer(stack: Stack, layer: str, down: Floats, up: Floats) -> None:
    begin = 0
    for adapter, scale in stack.parts:
        if layer in adapter.layers:
            first, second = adapter.layers[layer]
            end = begin + len(second)
            down[:, begin:end] = first
            np.multiply(second, np.float32(scale), out=up[begin:end])
            begin = end


#: What a row holds before anything is written into it.
_NOTHING = Stack()
