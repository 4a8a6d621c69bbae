"""In-memory platform, Hub, store and durable runtime: what a delivery meets, with faults on demand.

They ship in the package and are tested like the rest. Everything lives in one `Ground`, plain JSON values,
which may lie in a file so that it outlives a killed process.
"""

from __future__ import annotations

from lorry.delivery.doubles.attaching import MemoryAttachments
from lorry.delivery.doubles.claiming import MemoryClaims
from lorry.delivery.doubles.containing import MemoryContainers, MemoryLegacy, MemoryQueue
from lorry.delivery.doubles.ground import Fault, Ground
from lorry.delivery.doubles.instant import InstantDurable
from lorry.delivery.doubles.mending import PrefixMender
from lorry.delivery.doubles.painting import MemoryPainter, flat_png
from lorry.delivery.doubles.places import OnePlace
from lorry.delivery.doubles.publishing import MemoryPublisher
from lorry.delivery.doubles.registry import MemoryRegistry
from lorry.delivery.doubles.serving import MemoryDeployments, MemoryEndpoints
from lorry.delivery.doubles.storing import MemoryStore
from lorry.delivery.doubles.writing import MemoryWriter
from lorry.delivery.ports import Platform

__all__ = [
    "Fault",
    "Ground",
    "InstantDurable",
    "MemoryClaims",
    "MemoryPublisher",
    "MemoryStore",
    "OnePlace",
    "PrefixMender",
    "flat_png",
    "memory_platform",
]


def memory_platform(ground: Ground) -> Platform:
    """Build a platform that lives on a ground."""
    return Platform(
        address="memory://",
        registry=MemoryRegistry(ground),
        endpoints=MemoryEndpoints(ground),
        deployments=MemoryDeployments(ground),
        attachments=MemoryAttachments(ground),
        painter=MemoryPainter(ground),
        writer=MemoryWriter(ground),
        containers=MemoryContainers(ground),
        queue=MemoryQueue(ground),
        legacy=MemoryLegacy(ground),
    )
