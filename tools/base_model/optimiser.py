"""Muon for the block matrices, AdamW for the rest, Muon's work split between the processes."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

MUON_RATE = 3e-3
ADAM_RATE = 1e-3


class SplitOptimiser:
    """Average the gradients over the processes and take one step.

    Muon (Keller Jordan 2024) orthogonalises each matrix's momentum, which is dear; each process does it
    for every n-th matrix only and broadcasts the result. AdamW's share is small and done by all alike.
    """

    def __init__(self, model: nn.Module, rank: int, world: int) -> None:
        self._rank, self._world = rank, world
        self._parameters = list(model.parameters())
        named = list(model.named_parameters())
        self._matrices = [p for name, p in named if _is_block_matrix(name, p)]
        others = [p for name, p in named if not _is_block_matrix(name, p)]
        self._muon = torch.optim.Muon(
            self._matrices[rank::world],
            lr=MUON_RATE,
            weight_decay=0.01,
            momentum=0.95,
            adjust_lr_fn="match_rms_adamw",
        )
        self._adam = torch.optim.AdamW(others, lr=ADAM_RATE, weight_decay=0.0, betas=(0.9, 0.95))
        for parameter in self._parameters:
            dist.broadcast(parameter.data, 0)

    def step(self, factor: float) -> None:
        """Take one step at a share of the full learning rates."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        _scatter(flat / self._world, gradients)
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        for optimiser, full in ((self._muon, MUON_RATE), (self._adam, ADAM_RATE)):
            optimiser.param_groups[0]["lr"] = full * factor
            optimiser.step()
        for owner in range(self._world):
            owned = [p.data for p in self._matrices[owner :: self._world]]
            flat = torch.cat([matrix.reshape(-1) for matrix in owned])
            dist.broadcast(flat, owner)
            if owner != self._rank:
                _scatter(flat, owned)

    def state_dict(self) -> dict[str, Any]:
        """Return this process's optimiser state."""
        return {"muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore this process's optimiser state."""
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])


def _is_block_matrix(name: str, parameter: Tensor) -> bool:
    return parameter.ndim == 2 and "transformer_blocks" in name and "norm" not in name


def _scatter(flat: Tensor, targets: list[Tensor]) -> None:
    for target, part in zip(targets, flat.split([target.numel() for target in targets]), strict=True):
        target.copy_(part.view_as(target))
