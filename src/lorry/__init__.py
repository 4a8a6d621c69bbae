"""Take a trained model from "training finished" to "it generates in production", and keep it there.

    from lorry import Lorry

    async with Lorry() as lorry:
        report = await lorry.check("pytorch_lora_weights.safetensors")
        placement = await lorry.ship("pytorch_lora_weights.safetensors", name="tok")
        made = await lorry.generate("tok", "TOK on a purple background", seed=7)

Nothing happens on import: each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lorry.api import Lorry
    from lorry.errors import LorryError
    from lorry.model.events import Event
    from lorry.model.generation import Generation, Picture
    from lorry.model.placement import Placement, PlacementState, Proof, ShippedModel, TrainedModel
    from lorry.model.report import Finding, Severity, WeightsReport, WeightsSummary
    from lorry.settings import Settings, read_settings

__all__ = [
    "Event",
    "Finding",
    "Generation",
    "Lorry",
    "LorryError",
    "Picture",
    "Placement",
    "PlacementState",
    "Proof",
    "Settings",
    "Severity",
    "ShippedModel",
    "TrainedModel",
    "WeightsReport",
    "WeightsSummary",
    "read_settings",
]

_HOMES = {
    "Lorry": "lorry.api",
    "LorryError": "lorry.errors",
    "Event": "lorry.model.events",
    **dict.fromkeys(("Generation", "Picture"), "lorry.model.generation"),
    **dict.fromkeys(
        ("Placement", "PlacementState", "Proof", "ShippedModel", "TrainedModel"), "lorry.model.placement"
    ),
    **dict.fromkeys(("Finding", "Severity", "WeightsReport", "WeightsSummary"), "lorry.model.report"),
    **dict.fromkeys(("Settings", "read_settings"), "lorry.settings"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lorry' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
