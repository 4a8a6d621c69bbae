"""Endpoints of the first version (Together API dossier 1.3, 1.4 and 1.6).

One of these is an endpoint of the second version with one deployment that has all its traffic, so that
states, prices and requests are the same ones. Making and starting them is closed unless the engine is told
otherwise.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from lorry.engine.api_errors import Refusal, Rpc, invalid, not_found
from lorry.engine.clock import stamp
from lorry.engine.documents import new_id
from lorry.engine.legacy.hardware import config_for, hardware_rows
from lorry.engine.legacy.records import LegacyEndpointRecord, LegacyShelves
from lorry.engine.together.bases import Base
from lorry.engine.together.capacity import Capacity
from lorry.engine.together.deployment_requests import DeploymentChange, NewDeployment
from lorry.engine.together.deployments import Deployments
from lorry.engine.together.endpoints import EndpointChange, Endpoints, NewEndpoint
from lorry.engine.together.identity import ORGANIZATION_ID, PROJECT_ID, PROJECT_SLUG, key_check
from lorry.engine.together.lifecycle import Lifecycle
from lorry.engine.together.models import Models
from lorry.engine.together.records import DeploymentRecord, Shelves
from lorry.engine.works import Works

CLOSED = "endpoints_v1_create_access_disabled"

_STATES = {
    "starting": "STARTING",
    "scaling": "STARTING",
    "degraded": "STARTING",
    "ready": "STARTED",
    "stopping": "STOPPING",
    "stopped": "STOPPED",
    "failed": "ERROR",
}


class Replicas(BaseModel):
    """How many replicas run."""

    min_replicas: int = Field(ge=0)
    max_replicas: int = Field(ge=0)


class NewLegacyEndpoint(BaseModel):
    """Body of a create."""

    model: str
    hardware: str
    autoscaling: Replicas
    display_name: str | None = None
    state: Literal["STARTED", "STOPPED"] = "STARTED"
    inactive_timeout: int | None = None


class LegacyEndpointChange(BaseModel):
    """Body of an update."""

    display_name: str | None = None
    state: Literal["STARTED", "STOPPED"] | None = None
    autoscaling: Replicas | None = None
    inactive_timeout: int | None = None


class LegacyEndpoints:
    """The first version's endpoints of one engine."""

    def __init__(
        self,
        works: Works,
        shelves: Shelves,
        models: Models,
        endpoints: Endpoints,
        deployments: Deployments,
        lifecycle: Lifecycle,
        capacity: Capacity,
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._own = LegacyShelves(works.documents).endpoints
        self._models = models
        self._endpoints = endpoints
        self._deployments = deployments
        self._lifecycle = lifecycle
        self._capacity = capacity

    def router(self) -> APIRouter:
        """Make the routes."""
        routes = APIRouter(dependencies=[Depends(key_check(self._works.config))])
        for method, path, answer in (
            ("POST", "/v1/endpoints", self.create),
            ("GET", "/v1/endpoints", self.index),
            ("GET", "/v1/endpoints/{endpoint}", self.get),
            ("PATCH", "/v1/endpoints/{endpoint}", self.change),
            ("DELETE", "/v1/endpoints/{endpoint}", self.delete),
            ("GET", "/v1/hardware", self.hardware),
            ("GET", "/v1/clusters/availability-zones", self.zones),
        ):
            routes.add_api_route(path, answer, methods=[method], response_model=None)
        return routes

    def create(self, body: NewLegacyEndpoint) -> dict[str, Any]:
        """Make an endpoint, where that is open."""
        self._require_open()
        base, resource, name = self._served(body.model)
        config = config_for(self._works.catalog, base, body.hardware)
        if config is None:
            raise invalid(
                f"{body.model} does not run on {body.hardware!r}; ask /v1/hardware?model=.", "hardware"
            )
        replicas = body.autoscaling if body.state == "STARTED" else Replicas(min_replicas=0, max_replicas=0)
        label = f"{name}-{secrets.token_hex(4)}"
        with self._works.documents.transaction():
            endpoint = self._endpoints.create(NewEndpoint(name=label))
            deployment = self._deployments.create(
                endpoint["id"],
                NewDeployment(
                    name=label,
                    autoscaling=_autoscaling(replicas),
                    model=resource,
                    config=config.resource,
                    inactive_timeout=body.inactive_timeout or 0,
                ),
            )
            split = [{"deploymentId": deployment["id"], "weight": 1}]
            self._endpoints.change(endpoint["id"], EndpointChange(traffic_split=split), "trafficSplit")
            record = self._own.put(
                LegacyEndpointRecord(
                    id=new_id("endpoint"),
                    endpoint_id=endpoint["id"],
                    deployment_id=deployment["id"],
                    model=body.model,
                    hardware=body.hardware,
                    display_name=body.display_name or label,
                    created_at=stamp(self._works.clock.now()),
                )
            )
        return self._answer(record)

    def index(self, type: str | None = None, mine: bool = False) -> dict[str, Any]:  # noqa: A002
        """List the endpoints; here all of them are the caller's own and dedicated."""
        del mine
        rows = [self._answer(record) for record in self._own.all()] if type != "serverless" else []
        return {"object": "list", "data": rows}

    def get(self, endpoint: str) -> dict[str, Any]:
        """Look at one."""
        return self._answer(self._record(endpoint))

    def change(self, endpoint: str, body: LegacyEndpointChange) -> dict[str, Any]:
        """Write what was given; starting is closed as making is."""
        record = self._record(endpoint)
        if body.display_name is not None:
            record = self._own.put(replace(record, display_name=body.display_name))
        given: dict[str, Any] = {}
        if body.inactive_timeout is not None:
            given["inactive_timeout"] = body.inactive_timeout
        if body.state == "STOPPED":
            given["autoscaling"] = _autoscaling(Replicas(min_replicas=0, max_replicas=0))
        elif body.state == "STARTED" or body.autoscaling is not None:
            if body.state == "STARTED":
                self._require_open()
            given["autoscaling"] = _autoscaling(body.autoscaling or Replicas(min_replicas=1, max_replicas=1))
        if given:
            mask = ",".join({"inactive_timeout": "inactiveTimeout"}.get(name, name) for name in given)
            self._deployments.change(
                record.endpoint_id, record.deployment_id, DeploymentChange(**given), mask
            )
        return self._answer(record)

    def delete(self, endpoint: str) -> dict[str, Any]:
        """Delete an endpoint with what runs behind it."""
        record = self._record(endpoint)
        deployment = self._shelves.deployments.get(record.deployment_id)
        with self._works.documents.transaction():
            self._endpoints.change(record.endpoint_id, EndpointChange(traffic_split=[]), "trafficSplit")
            if deployment is not None:
                self._ended(deployment)
                self._deployments.delete(record.endpoint_id, deployment.id)
            self._endpoints.delete(record.endpoint_id)
            self._own.delete(record.id)
        return {}

    def _ended(self, deployment: DeploymentRecord) -> None:
        """Bring a deployment to its end at once: the first version knows no deletion that takes time."""
        if self._lifecycle.look(deployment, counts=False).phase not in ("stopped", "failed"):
            self._lifecycle.fail(deployment.id, "Its endpoint was deleted.")

    def hardware(self, model: str | None = None) -> dict[str, Any]:
        """List hardware: all of it, or what serves one model."""
        base = self._served(model)[0] if model else None
        rows = hardware_rows(self._works.catalog, self._capacity, self._works.clock, base)
        return {"object": "list", "data": rows}

    def zones(self) -> dict[str, Any]:
        """List where hardware stands."""
        return {"avzones": sorted({kind.region for kind in self._works.catalog.offered_types})}

    def _served(self, model: str) -> tuple[Base, str, str]:
        """Find what a model's name means: its base, its resource name, and its bare name."""
        base = self._works.catalog.base(model)
        if base is not None:
            return base, base.resource, base.name.rpartition("/")[2].lower()
        record = self._models.named(model)
        if record is None:
            raise not_found(f"The model {model}")
        resource = f"projects/{PROJECT_ID}/models/{record.id}"
        return self._works.catalog.base_of(record.base_model_id), resource, record.name

    def _require_open(self) -> None:
        if not self._works.config.v1:
            raise Refusal(
                Rpc.PERMISSION_DENIED,
                "Creating and starting v1 dedicated endpoints is disabled; use the v2 API.",
                reason=CLOSED,
            )

    def _record(self, key: str) -> LegacyEndpointRecord:
        record = self._own.get(key)
        if record is None or self._shelves.endpoints.get(record.endpoint_id) is None:
            raise not_found(f"The endpoint {key}")
        return record

    def _answer(self, record: LegacyEndpointRecord) -> dict[str, Any]:
        owner = self._shelves.endpoints.get(record.endpoint_id)
        deployment = self._shelves.deployments.get(record.deployment_id)
        if owner is None or deployment is None:
            raise not_found(f"The endpoint {record.id}")
        seen = self._lifecycle.look(deployment)
        return {
            "object": "endpoint",
            "id": record.id,
            "name": f"{PROJECT_SLUG}/{owner.name}",
            "display_name": record.display_name,
            "model": record.model,
            "hardware": record.hardware,
            "type": "dedicated",
            "owner": ORGANIZATION_ID,
            "state": _STATES[seen.phase],
            "autoscaling": {
                "min_replicas": seen.autoscaling["minReplicas"],
                "max_replicas": seen.autoscaling["maxReplicas"],
            },
            "inactive_timeout": seen.inactive_timeout or None,
            "created_at": record.created_at,
        }


def _autoscaling(replicas: Replicas) -> dict[str, Any]:
    return {"minReplicas": replicas.min_replicas, "maxReplicas": replicas.max_replicas}
