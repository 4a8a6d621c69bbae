"""How many replicas still fit on each kind of hardware."""

from __future__ import annotations

from lorry.engine.together.bases import Catalog, InstanceType
from lorry.engine.together.records import DeploymentRecord, Shelves


class Capacity:
    """The room on one engine's hardware, counted from the replicas that run.

    Args:
        catalog: The hardware.
        shelves: The deployments.
    """

    def __init__(self, catalog: Catalog, shelves: Shelves) -> None:
        self._catalog = catalog
        self._shelves = shelves

    def hardware(self, record: DeploymentRecord) -> InstanceType:
        """Give the hardware that a deployment runs on."""
        found = self._catalog.config(record.config_id)
        assert found is not None, record.config_id  # noqa: S101  # configurations are never taken away
        return self._catalog.type_of(found[1])

    def free(self, kind: InstanceType, apart_from: str | None = None) -> int | None:
        """Count the replicas that fit beside those that run.

        Args:
            kind: The hardware.
            apart_from: Id of a deployment whose own replicas do not count.

        Returns:
            The number; `None` where there is no limit.
        """
        if kind.capacity is None:
            return None
        used = sum(
            record.replicas
            for record in self._shelves.deployments.all()
            if record.id != apart_from and self.hardware(record).name == kind.name
        )
        return max(kind.capacity - used, 0)
