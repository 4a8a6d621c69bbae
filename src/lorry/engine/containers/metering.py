"""What containers ran for how long: written down as they become ready and stop being so."""

from __future__ import annotations

from dataclasses import replace

from lorry.engine.clock import stamp
from lorry.engine.containers.records import ContainerRecord
from lorry.engine.documents import new_id
from lorry.engine.together.records import RunRecord, Shelves
from lorry.engine.works import Works


class ContainerMeter:
    """The running times of one engine's containers, on the same shelf as those of deployments.

    Prices of containers are not published (Together API dossier 4), so their runs have none.
    """

    def __init__(self, works: Works) -> None:
        self._works = works
        self._runs = Shelves(works.documents).runs

    def count(self, record: ContainerRecord, *, running: bool) -> None:
        """End a container's present run, and begin another when it runs from now on.

        Args:
            record: The container as it was.
            running: Whether its replica answers from now on.
        """
        now = stamp(self._works.clock.now())
        for run in self._runs.all(record.id):
            if not run.ended_at:
                self._runs.put(replace(run, ended_at=now))
        if running:
            count, kind = record.spec.get("gpu_count") or 1, record.spec.get("gpu_type") or ""
            self._runs.put(
                RunRecord(
                    id=new_id("run"),
                    deployment_id=record.id,
                    endpoint_id="",
                    name=record.name,
                    hardware=f"{count}x{kind}",
                    cents_per_hour=None,
                    replicas=1,
                    begun_at=now,
                )
            )
