"""Different LoRAs for the samples of one batch, in any model of torch: x A B for each sample, beside x W.

peft can mix adapters in a batch too, by going through them one by one in each layer. Here a batch's A and B
are stacked once, and each layer adds two products for all samples together (the idea is that of Punica and
S-LoRA, arXiv:2310.18547 and arXiv:2311.03285). Adapters come and go without a change of the model: nothing is
compiled again, and nothing is loaded again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Change:
    """What an adapter does to one layer: A [rank, in, ...] and B [out, rank, ...], the strength in B."""

    down: Tensor
    up: Tensor

    @property
    def rank(self) -> int:
        """The rank of the change."""
        return int(self.down.shape[0])


#: An adapter that is ready: its change of each layer, by the layer's name.
Changes = Mapping[str, Change]

#: The adapters of one sample, each with its scale.
Stack = Sequence[tuple[Changes, float]]


class _Layer:
    """A layer whose samples may each have a change of their own.

    Args:
        module: The layer; it stays what it is, and what it gives is added to.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        module.register_forward_hook(self._changed)

    def set(self, of: Sequence[Sequence[tuple[Change, float]]]) -> None:
        """Have changes act, those of each sample with their scales."""
        raise NotImplementedError

    def clear(self) -> None:
        """Have none act."""
        raise NotImplementedError

    def _changed(self, module: nn.Module, given: tuple[Tensor, ...], plain: Tensor) -> Tensor:
        raise NotImplementedError


class MixedLinear(_Layer):
    """A linear layer, applied to [k n, ..., in]: n samples, k times over (guidance has two rows for each)."""

    def __init__(self, module: nn.Module) -> None:
        self.down: Tensor | None = None
        self.up: Tensor | None = None
        super().__init__(module)

    def set(self, of: Sequence[Sequence[tuple[Change, float]]]) -> None:
        """Stack A^T [n, in, rank] and B^T [n, rank, out]; see the base."""
        rank = max(sum(change.rank for change, _ in each) for each in of)
        first = next(change for each in of for change, _ in each)
        down = first.down.new_zeros(len(of), first.down.shape[1], rank)
        up = first.up.new_zeros(len(of), rank, first.up.shape[0])
        for row, each in enumerate(of):
            begin = 0
            for change, scale in each:
                end = begin + change.rank
                down[row, :, begin:end] = change.down.T
                up[row, begin:end] = change.up.T * scale
                begin = end
        self.down, self.up = down, up

    def clear(self) -> None:
        """Have none act."""
        self.down = self.up = None

    def _changed(self, _module: nn.Module, given: tuple[Tensor, ...], plain: Tensor) -> Tensor:
        down, up = self.down, self.up
        if down is None or up is None:
            return plain
        x = given[0]
        times, rest = divmod(len(x), len(down))
        if rest:
            raise NotMixable(f"{len(x)} rows are not those of {len(down)} samples")
        if times > 1 and x.ndim > 2:
            down, up = down.repeat(times, 1, 1), up.repeat(times, 1, 1)
        # Two dimensions and many rows: the tokens of all samples, one sample's behind the other's.
        rows = x.reshape(len(down), -1, x.shape[-1]).to(down.dtype)
        change = torch.bmm(torch.bmm(rows, down), up)
        return plain + change.reshape(plain.shape).to(plain.dtype)


class MixedConv2d(_Layer):
    """A convolution; there are few, so the samples' changes are added one by one."""

    module: nn.Conv2d

    def __init__(self, module: nn.Conv2d) -> None:
        self.of: Sequence[Sequence[tuple[Change, float]]] | None = None
        super().__init__(module)

    def set(self, of: Sequence[Sequence[tuple[Change, float]]]) -> None:
        """Remember them; see the base."""
        self.of = of

    def clear(self) -> None:
        """Have none act."""
        self.of = None

    def _changed(self, module: nn.Module, given: tuple[Tensor, ...], plain: Tensor) -> Tensor:
        if self.of is None:
            return plain
        x, how = given[0], {name: getattr(module, name) for name in ("stride", "padding", "dilation")}
        rows = []
        for index, row in enumerate(plain):
            for change, scale in self.of[index % len(self.of)]:
                low = functional.conv2d(x[index], change.down, **how)
                row = row + functional.conv2d(low, change.up) * scale
            rows.append(row)
        return torch.stack(rows)


class NotMixable(RuntimeError):
    """A layer is not applied to one row of samples after the other."""


class Mixer:
    """The layers of some models that can be changed.

    Args:
        parts: The models, by the name that a LoRA's keys begin with.
    """

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        self._layers: dict[str, MixedLinear | MixedConv2d] = {}
        for part, model in parts.items():
            for name, layer in model.named_modules():
                if isinstance(layer, nn.Linear):
                    self._layers[f"{part}.{name}"] = MixedLinear(layer)
                elif isinstance(layer, nn.Conv2d) and layer.groups == 1:
                    self._layers[f"{part}.{name}"] = MixedConv2d(layer)

    def shapes(self, name: str) -> tuple[tuple[int, ...], int] | None:
        """Say what A and B of a layer have to fit: A's columns (and window), B's rows; or nothing."""
        layer = self._layers.get(name)
        if layer is None:
            return None
        module = layer.module
        if isinstance(module, nn.Conv2d):
            return (module.in_channels, *module.kernel_size), module.out_channels
        return (module.in_features,), module.out_features

    @contextmanager
    def acting(self, stacks: Sequence[Stack]) -> Iterator[None]:
        """Have adapters act on the samples of a batch, inside the block.

        Args:
            stacks: The adapters of each sample.
        """
        touched = {name for stack in stacks for changes, _ in stack for name in changes}
        try:
            for name in touched:
                of = [
                    [(changes[name], scale) for changes, scale in stack if name in changes]
                    for stack in stacks
                ]
                self._layers[name].set(of)
            yield
        finally:
            for name in touched:
                self._layers[name].clear()
