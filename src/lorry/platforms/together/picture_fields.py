"""The fields of a request for pictures that an order decides (Together API dossier 3.1 and 3.3)."""

from __future__ import annotations

from typing import Any

from lorry.errors import OptionInvalid
from lorry.model.generation import PictureOrder
from lorry.platforms.together.lora_paths import MOST_LORAS, lora_path


def picture_options(order: PictureOrder) -> dict[str, Any]:
    """Give the fields of a request that an order decides, beside its model, prompt and seed.

    Args:
        order: What shall be drawn.

    Raises:
        OptionInvalid: Too many adapters are named, or one under an address that can't be fetched from.
    """
    options: dict[str, Any] = {}
    if order.steps is not None:
        options["steps"] = order.steps
    if order.size is not None:
        options |= {"width": order.size, "height": order.size}
    if loras := _loras(order):
        options["image_loras"] = loras
    return options


def _loras(order: PictureOrder) -> list[dict[str, Any]]:
    """List the adapters of a request: those that are fetched for it, else the deployed one with its scale."""
    if len(order.loras) > MOST_LORAS:
        raise OptionInvalid(
            f"{len(order.loras)} LoRAs were named for one picture; the platform takes {MOST_LORAS}.",
            fix=f"Name {MOST_LORAS} of them at most.",
            evidence={"loras": len(order.loras), "most": MOST_LORAS},
        )
    if order.loras:
        return [{"path": lora_path(use.path), "scale": use.scale} for use in order.loras]
    if order.scale is None:
        return []
    if order.adapter is None:
        raise OptionInvalid(
            f"A scale of {order.scale:g} needs the adapter's name at the platform.",
            fix="Run `lorry resume NAME`: the delivery notes the adapter's name.",
        )
    return [{"path": order.adapter, "scale": order.scale}]
