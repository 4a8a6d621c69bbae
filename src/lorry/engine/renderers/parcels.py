"""An adapter in one piece of memory: so that it travels to an accelerator as quickly as the bus allows.

A LoRA of FLUX.1 is a thousand small tensors; one copy of 170 MB from pinned memory takes some milliseconds
(by the bus's own pace), and each of a thousand small ones its own time besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lorry.engine.renderers.mixing import Change


@dataclass(frozen=True, slots=True)
class Parcel:
    """An adapter in the host's memory.

    Attributes:
        flat: All of its numbers, pinned where there is an accelerator.
        shapes: The shapes of A and B of each layer, in the order in which they lie there.
    """

    flat: Tensor
    shapes: Mapping[str, tuple[torch.Size, torch.Size]]

    @property
    def size(self) -> int:
        """Bytes that it takes, here and there."""
        return int(self.flat.numel() * self.flat.element_size())

    @property
    def rank(self) -> int:
        """The largest rank among its layers."""
        return max((down[0] for down, _ in self.shapes.values()), default=0)

    def unpacked(self, device: torch.device) -> dict[str, Change]:
        """Copy it to a device, and give the changes of the layers there."""
        flat, begin, changes = self.flat.to(device, non_blocking=True), 0, {}
        for name, shapes in self.shapes.items():
            parts = []
            for shape in shapes:
                parts.append(flat[begin : begin + shape.numel()].view(shape))
                begin += shape.numel()
            changes[name] = Change(*parts)
        return changes


def packed(changes: Mapping[str, Change], dtype: torch.dtype) -> Parcel:
    """Put an adapter into one piece.

    Args:
        changes: Of each layer.
        dtype: Numbers of the base.
    """
    parts = [part.to(dtype).reshape(-1) for change in changes.values() for part in (change.down, change.up)]
    flat = torch.cat(parts) if parts else torch.empty(0, dtype=dtype)
    if torch.cuda.is_available():
        flat = flat.pin_memory()
    return Parcel(flat, {name: (change.down.shape, change.up.shape) for name, change in changes.items()})
