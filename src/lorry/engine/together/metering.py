"""What ran, for how long, at which price: written down as replicas come and go."""

from __future__ import annotations

from dataclasses import replace

from lorry.engine.clock import stamp
from lorry.engine.documents import new_id
from lorry.engine.together.capacity import Capacity
from lorry.engine.together.records import DeploymentRecord, RunRecord, Shelves
from lorry.engine.works import Works


class Meter:
    """The running times of one engine's replicas; a deployment that is deleted leaves its own behind."""

    def __init__(self, works: Works, shelves: Shelves, capacity: Capacity) -> None:
        self._works = works
        self._shelves = shelves
        self._capacity = capacity

    def count(self, before: DeploymentRecord, after: DeploymentRecord) -> None:
        """End the present run and begin another, when the number of replicas changes.

        Args:
            before: The deployment as it was.
            after: As it is from now on.
        """
        if before.replicas == after.replicas:
            return
        now = stamp(self._works.clock.now())
        for run in self._shelves.runs.all(after.id):
            if not run.ended_at:
                self._shelves.runs.put(replace(run, ended_at=now))
        if after.replicas:
            kind = self._capacity.hardware(after)
            self._shelves.runs.put(
                RunRecord(
                    id=new_id("run"),
                    deployment_id=after.id,
                    endpoint_id=after.endpoint_id,
                    name=after.name,
                    hardware=kind.name,
                    cents_per_hour=kind.cents_per_hour,
                    replicas=after.replicas,
                    begun_at=now,
                )
            )
