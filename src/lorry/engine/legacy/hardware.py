"""Hardware in the first version's words (Together API dossier 1.4)."""

from __future__ import annotations

from typing import Any

from lorry.engine.clock import Clock, stamp
from lorry.engine.together.bases import Base, Catalog, InstanceType, ServingConfig
from lorry.engine.together.capacity import Capacity

_MINUTES = 60


def hardware_id(kind: InstanceType) -> str:
    """Write an instance type's name in the old form: `1x_nvidia_h100_80gb_sxm` for `1xnvidia-h100-80gb`."""
    count, _, rest = kind.name.partition("x")
    link = "" if _link(kind) == "none" else f"_{_link(kind)}"
    return f"{count}x_{rest.replace('-', '_')}{link}"


def _link(kind: InstanceType) -> str:
    """Say how accelerators are linked: all that Together's list has are SXM modules (dossier 1.4)."""
    return "sxm" if kind.gpu_type.startswith("nvidia") else "none"


def config_for(catalog: Catalog, base: Base, hardware: str) -> ServingConfig | None:
    """Find the certified configuration that serves a model of its own on a kind of hardware.

    Args:
        catalog: What is served.
        base: The model's base.
        hardware: Id of the hardware.
    """
    fitting = (
        config
        for config in catalog.offered(base)
        if config.certified
        and config.adapters == "disabled"
        and hardware_id(catalog.type_of(config)) == hardware
    )
    return next(fitting, None)


def hardware_rows(
    catalog: Catalog, capacity: Capacity, clock: Clock, base: Base | None
) -> list[dict[str, Any]]:
    """List hardware: all of it, or what serves one model, with whether it is free.

    Args:
        catalog: What is served.
        capacity: What is free.
        clock: The time.
        base: The base of the model; `None` for everything, of which nothing is said to be free.
    """
    rows = []
    for kind in catalog.offered_types:
        if base is not None and config_for(catalog, base, hardware_id(kind)) is None:
            continue
        row: dict[str, Any] = {
            "object": "hardware",
            "id": hardware_id(kind),
            "pricing": {"cents_per_minute": kind.cents_per_hour / _MINUTES},
            "specs": {
                "gpu_type": kind.gpu_type,
                "gpu_link": _link(kind),
                "gpu_memory": kind.memory_gib,
                "gpu_count": kind.count,
            },
            "updated_at": stamp(clock.now()),
        }
        if base is not None:
            free = capacity.free(kind)
            row["availability"] = {"status": "available" if free is None or free > 0 else "insufficient"}
        rows.append(row)
    return rows
