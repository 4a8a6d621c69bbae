"""Dedicated containers with their queue, and the first version of Together's API, in memory."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lorry.delivery.doubles.ground import SLUG, Ground, row_of
from lorry.delivery.doubles.painting import flat_png
from lorry.delivery.ports import (
    Container,
    ContainerOrder,
    ContainerState,
    Import,
    ImportState,
    Job,
    JobState,
    LegacyEndpoint,
    LegacyHardware,
    LegacyState,
    QueueCounts,
)
from lorry.errors import Conflict, V1Closed


@dataclass(frozen=True, slots=True)
class MemoryContainers:
    """`lorry.delivery.ports.Containers` in memory."""

    ground: Ground

    async def find(self, name: str) -> Container | None:
        """Find a container by name."""
        rows = self.ground.things["containers"]
        return await self.ground.meet(
            "containers.find",
            lambda: next((self._look(id_, row) for id_, row in rows.items() if row["name"] == name), None),
        )

    async def create(self, order: ContainerOrder) -> Container:
        """Run a container."""

        def act() -> Container:
            id_ = self.ground.new_id("ctr")
            row = {"name": order.name, "image": order.image, "looks": 0, "fail": self.ground.fail}
            self.ground.things["containers"][id_] = row
            return Container(id_, order.name, ContainerState.STARTING)

        return await self.ground.meet("containers.create", act)

    async def look(self, container: str) -> Container | None:
        """Read a container's state."""

        def act() -> Container | None:
            row = self.ground.things["containers"].get(container)
            return self._look(container, row) if row else None

        return await self.ground.meet("containers.look", act)

    async def logs(self, container: str) -> tuple[str, ...]:
        """Read what it wrote."""
        return await self.ground.meet("containers.logs", lambda: (f"{container} says hello",))

    async def destroy(self, container: str) -> None:
        """Remove a container."""
        things = self.ground.things
        await self.ground.meet("containers.destroy", lambda: things["containers"].pop(container, None))

    def _look(self, id_: str, row: dict[str, Any]) -> Container:
        row["looks"] += 1
        there = row["looks"] > self.ground.looks
        state = ContainerState.READY if there else ContainerState.STARTING
        if there and row["fail"]:
            state = ContainerState.FAILED
        message = row["fail"] if state is ContainerState.FAILED else ""
        return Container(id_, row["name"], state, str(state).title(), message, row["image"])


@dataclass(frozen=True, slots=True)
class MemoryQueue:
    """`lorry.delivery.ports.Queue` in memory: jobs are done at the first look."""

    ground: Ground

    async def submit(self, container: str, payload: Mapping[str, Any]) -> str:
        """Take a job."""

        def act() -> str:
            id_ = self.ground.new_id("req")
            self.ground.things["jobs"][id_] = {
                "container": container,
                "payload": dict(payload),
                "state": "pending",
            }
            return id_

        return await self.ground.meet("queue.submit", act)

    async def look(self, container: str, job: str) -> Job:
        """Read a job, which is done by that."""

        def act() -> Job:
            row = row_of(self.ground.things["jobs"], job)
            if row["state"] == "pending":
                row["state"] = "done"
            scale = sum(use["scale"] for use in row["payload"].get("loras", []))
            picture = flat_png(100 + round(self.ground.effect * scale))
            rows = [{"b64_json": base64.b64encode(picture).decode()}] * int(row["payload"].get("n", 1))
            return Job(job, JobState(row["state"]), {"images": rows})

        return await self.ground.meet("queue.look", act)

    async def cancel(self, container: str, job: str) -> None:
        """Take a job out."""

        def act() -> None:
            row = row_of(self.ground.things["jobs"], job)
            if row["state"] != "pending":
                raise Conflict("The job is not pending any more.")
            row["state"] = "canceled"

        await self.ground.meet("queue.cancel", act)

    async def metrics(self, container: str) -> QueueCounts:
        """Count jobs."""

        def act() -> QueueCounts:
            mine = [row for row in self.ground.things["jobs"].values() if row["container"] == container]
            waiting = sum(row.get("state") == "pending" for row in mine)
            running = sum(row.get("state") == "running" for row in mine)
            return QueueCounts(running, waiting, len(mine))

        return await self.ground.meet("queue.metrics", act)


@dataclass(frozen=True, slots=True)
class MemoryLegacy:
    """`lorry.delivery.ports.Legacy` in memory, over the same models, imports and endpoints."""

    ground: Ground

    async def upload(
        self,
        name: str,
        source: str,
        *,
        adapter: bool,
        base: str,
        token: str | None,
    ) -> Import:
        """Begin an upload job."""

        def act() -> Import:
            id_ = self.ground.new_id("job")
            row = {"model": f"{SLUG}/{name}", "source": source, "looks": 0, "fail": self.ground.fail_import}
            self.ground.things["imports"][id_] = {**row, "name": name, "base": base, "adapter": adapter}
            return self._job(id_)

        return await self.ground.meet("legacy.upload", act)

    async def job(self, job: str) -> Import:
        """Read a job's state."""

        def act() -> Import:
            row_of(self.ground.things["imports"], job)["looks"] += 1
            return self._job(job)

        return await self.ground.meet("legacy.job", act)

    async def find_job(self, name: str) -> Import | None:
        """Find the newest job of a name."""

        def act() -> Import | None:
            rows = self.ground.things["imports"]
            mine = [id_ for id_, row in rows.items() if row.get("name") == name]
            return self._job(mine[-1]) if mine else None

        return await self.ground.meet("legacy.find_job", act)

    async def hardware(self, model: str) -> tuple[LegacyHardware, ...]:
        """Offer one."""
        return await self.ground.meet(
            "legacy.hardware", lambda: (LegacyHardware("1x_cpu", self.ground.cents, True),)
        )

    async def find(self, label: str) -> LegacyEndpoint | None:
        """Find an endpoint by its display name."""
        rows = self.ground.things["endpoints"]
        return await self.ground.meet(
            "legacy.find",
            lambda: next((_legacy(id_, row, 1) for id_, row in rows.items() if row["name"] == label), None),
        )

    async def create(self, label: str, model: str, hardware: str, inactive_minutes: int) -> LegacyEndpoint:
        """Make an endpoint, unless the first version is closed."""

        def act() -> LegacyEndpoint:
            if self.ground.closed:
                raise V1Closed("Together makes no new endpoints of its first version.")
            endpoint, deployment = self.ground.new_id("ep"), self.ground.new_id("dep")
            things = self.ground.things
            things["models"].setdefault(
                model, {"name": model, "base": "", "description": "", "kind": "adapter"}
            )
            things["endpoints"][endpoint] = {
                "name": label,
                "routed": {deployment: 1},
                "model": model,
                "looks": 0,
            }
            things["deployments"][deployment] = {"endpoint": endpoint, "name": label, "model": model}
            return _legacy(endpoint, things["endpoints"][endpoint], self.ground.looks)

        return await self.ground.meet("legacy.create", act)

    async def look(self, endpoint: str) -> LegacyEndpoint | None:
        """Read an endpoint's state."""

        def act() -> LegacyEndpoint | None:
            row = self.ground.things["endpoints"].get(endpoint)
            if row is None:
                return None
            row["looks"] += 1
            return _legacy(endpoint, row, self.ground.looks)

        return await self.ground.meet("legacy.look", act)

    async def delete(self, endpoint: str) -> None:
        """Delete an endpoint with what runs behind it."""

        def act() -> None:
            row = self.ground.things["endpoints"].pop(endpoint, None)
            for deployment in row["routed"] if row else ():
                self.ground.things["deployments"].pop(deployment, None)

        await self.ground.meet("legacy.delete", act)

    def _job(self, id_: str) -> Import:
        row = self.ground.things["imports"][id_]
        if row["looks"] <= self.ground.looks:
            return Import(id_, row["model"], row["source"], ImportState.RUNNING, "Running")
        if row["fail"]:
            return Import(id_, row["model"], row["source"], ImportState.FAILED, "Failed", row["fail"])
        return Import(id_, row["model"], row["source"], ImportState.DONE, "Complete")


def _legacy(id_: str, row: Mapping[str, Any], looks: int) -> LegacyEndpoint:
    ready = row.get("looks", 0) > looks
    state = LegacyState.READY if ready else LegacyState.STARTING
    if row.get("stopped"):
        state = LegacyState.STOPPED
    said = "STARTED" if state is LegacyState.READY else str(state).upper()
    return LegacyEndpoint(id_, f"{SLUG}/{row['name']}", row["name"], row.get("model", ""), state, said)
