"""Endpoints and deployments, in memory; each look lets a state go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lorry.delivery.doubles.ground import SLUG, Ground, row_of
from lorry.delivery.ports import (
    DeploymentOrder,
    DeploymentState,
    HostedDeployment,
    HostedEndpoint,
    HostedEvent,
    Scaling,
)
from lorry.errors import RequestRefused


@dataclass(frozen=True, slots=True)
class MemoryEndpoints:
    """`lorry.delivery.ports.Endpoints` in memory."""

    ground: Ground

    async def find(self, name: str) -> HostedEndpoint | None:
        """Find an endpoint by its bare name."""
        rows = self.ground.things["endpoints"]
        return await self.ground.meet(
            "endpoints.find",
            lambda: next((_endpoint(id_, row) for id_, row in rows.items() if row["name"] == name), None),
        )

    async def create(self, name: str) -> HostedEndpoint:
        """Create an endpoint; the same name again makes a second one, as a careless client finds out."""

        def act() -> HostedEndpoint:
            id_ = self.ground.new_id("ep")
            self.ground.things["endpoints"][id_] = {"name": name, "routed": {}}
            return _endpoint(id_, self.ground.things["endpoints"][id_])

        return await self.ground.meet("endpoints.create", act)

    async def route(self, endpoint: str, weights: Mapping[str, float]) -> HostedEndpoint:
        """Send traffic to these deployments."""

        def act() -> HostedEndpoint:
            row = row_of(self.ground.things["endpoints"], endpoint)
            row["routed"] = dict(weights)
            return _endpoint(endpoint, row)

        return await self.ground.meet("endpoints.route", act)

    async def events(self, endpoint: str) -> tuple[HostedEvent, ...]:
        """List what happened."""
        return await self.ground.meet("endpoints.events", lambda: self.ground.events)

    async def delete(self, endpoint: str) -> None:
        """Delete an endpoint; one with deployments is refused."""

        def act() -> None:
            if any(row["endpoint"] == endpoint for row in self.ground.things["deployments"].values()):
                raise RequestRefused("The endpoint has deployments.")
            self.ground.things["endpoints"].pop(endpoint, None)

        await self.ground.meet("endpoints.delete", act)


@dataclass(frozen=True, slots=True)
class MemoryDeployments:
    """`lorry.delivery.ports.Deployments` in memory; each look at a list or a row lets states go on."""

    ground: Ground

    async def list(self, endpoint: str) -> tuple[HostedDeployment, ...]:
        """List all deployments of an endpoint."""

        def act() -> tuple[HostedDeployment, ...]:
            rows = self.ground.things["deployments"].items()
            return tuple(self._look(id_, row) for id_, row in rows if row["endpoint"] == endpoint)

        return await self.ground.meet("deployments.list", act)

    async def create(self, endpoint: str, order: DeploymentOrder) -> HostedDeployment:
        """Deploy a model, or a base."""

        def act() -> HostedDeployment:
            row_of(self.ground.things["endpoints"], endpoint)
            model, _, revision = order.model.rpartition("/models/")[2].partition("/revisions/")
            if revision:
                row_of(self.ground.things["revisions"], revision)
            id_ = self.ground.new_id("dep")
            self.ground.things["deployments"][id_] = {
                "endpoint": endpoint,
                "name": order.name,
                "model": model,
                "resource": order.model,
                "revision": revision,
                "config": order.config,
                "replicas": order.scaling.min_replicas,
                "aim": "run",
                "looks": 0,
                "fail": self.ground.fail,
            }
            return HostedDeployment(id_, order.name, DeploymentState.STARTING)

        return await self.ground.meet("deployments.create", act)

    async def validate(self, endpoint: str, order: DeploymentOrder) -> None:
        """Find nothing wrong."""
        await self.ground.meet("deployments.validate", lambda: None)

    async def start(self, endpoint: str, deployment: str, scaling: Scaling) -> None:
        """Give a stopped deployment its replicas again."""

        def act() -> None:
            row = self.ground.things["deployments"].get(deployment)
            if row and row["endpoint"] == endpoint and row["aim"] == "stop":
                row.update(aim="run", looks=0, replicas=scaling.min_replicas)

        await self.ground.meet("deployments.start", act)

    async def look(self, endpoint: str, deployment: str) -> HostedDeployment | None:
        """Read one deployment's present state."""

        def act() -> HostedDeployment | None:
            row = self.ground.things["deployments"].get(deployment)
            return self._look(deployment, row) if row and row["endpoint"] == endpoint else None

        return await self.ground.meet("deployments.look", act)

    async def stop(self, endpoint: str, deployment: str) -> None:
        """Scale to zero."""

        def act() -> None:
            row = self.ground.things["deployments"].get(deployment)
            if row and row["endpoint"] == endpoint and row["aim"] == "run":
                row.update(aim="stop", looks=0)

        await self.ground.meet("deployments.stop", act)

    async def delete(self, endpoint: str, deployment: str) -> None:
        """Delete a stopped deployment; one that runs or has traffic is refused."""

        def act() -> None:
            rows = self.ground.things["deployments"]
            if deployment not in rows:
                return
            if deployment in self.ground.things["endpoints"].get(endpoint, {}).get("routed", {}):
                raise RequestRefused("The deployment is still in the traffic split.")
            if rows[deployment]["aim"] == "run" and not rows[deployment]["fail"]:
                raise RequestRefused("The deployment must be stopped first.")
            del rows[deployment]

        await self.ground.meet("deployments.delete", act)

    def _look(self, id_: str, row: dict[str, Any]) -> HostedDeployment:
        row["looks"] += 1
        there = row["looks"] > self.ground.looks
        fails = there and row["fail"] and row["aim"] == "run"
        state = DeploymentState.FAILED if fails else _STATES[row["aim"], there]
        message = row["fail"] if fails else ""
        return HostedDeployment(
            id_, row["name"], state, message, str(state).upper(), row["resource"], row["config"]
        )


_STATES = {
    ("run", False): DeploymentState.STARTING,
    ("run", True): DeploymentState.READY,
    ("stop", False): DeploymentState.STOPPING,
    ("stop", True): DeploymentState.STOPPED,
}


def _endpoint(id_: str, row: Mapping[str, Any]) -> HostedEndpoint:
    return HostedEndpoint(id_, f"{SLUG}/{row['name']}", row["routed"])
