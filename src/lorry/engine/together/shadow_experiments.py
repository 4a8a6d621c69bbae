"""Shadow experiments: copies of requests, whose answers nobody gets (Together API dossier 2.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from lorry.engine.api_errors import check_etag, invalid, not_found, not_now, taken
from lorry.engine.clock import stamp
from lorry.engine.documents import new_id
from lorry.engine.paging import DEFAULT_LIMIT, Limit, masked, page
from lorry.engine.together.identity import PROJECT_ID
from lorry.engine.together.lifecycle import new_etag
from lorry.engine.together.records import EndpointRecord, Shelves
from lorry.engine.together.shadow_sampling import check_sampling, sampled
from lorry.engine.together.trial_records import ShadowRecord, ShadowTargetRecord, TrialShelves
from lorry.engine.together.wire import Body, UpdateMask, project_router
from lorry.engine.works import Works

#: Targets of one experiment (types/endpoints/shadow_experiment_create_params.py).
MOST_TARGETS = 100
_LONGEST_NAME = 256


class NewTarget(Body):
    """Body of a target's create."""

    name: str
    target_deployment_id: str
    description: str = ""


class NewShadow(Body):
    """Body of a create."""

    name: str
    source: dict[str, Any]
    targets: list[NewTarget] = Field(default_factory=list)
    description: str = ""


class ShadowChange(Body):
    """Body of an update."""

    source: dict[str, Any] | None = None
    description: str | None = None
    etag: str | None = None


class TargetChange(Body):
    """Body of a target's update."""

    name: str | None = None
    target_deployment_id: str | None = None
    description: str | None = None
    etag: str | None = None


class ShadowExperiments:
    """The shadow experiments of one engine."""

    def __init__(self, works: Works, shelves: Shelves) -> None:
        self._works = works
        self._shelves = shelves
        self._trials = TrialShelves(works.documents)

    def router(self) -> APIRouter:
        """Make the routes."""
        path = "/endpoints/{endpoint}/shadowExperiments"
        one = path + "/{experiment}"
        return project_router(
            self._works.config,
            [
                ("POST", path, self.create),
                ("GET", path, self.index),
                ("GET", one, self.get),
                ("PATCH", one, self.change),
                ("DELETE", one, self.delete),
                ("POST", one + "/targets", self.add),
                ("GET", one + "/targets", self.targets),
                ("GET", one + "/targets/{target}", self.target),
                ("PATCH", one + "/targets/{target}", self.change_target),
                ("DELETE", one + "/targets/{target}", self.drop),
            ],
        )

    def create(self, endpoint: str, body: NewShadow) -> dict[str, Any]:
        """Begin to copy requests to the targets."""
        check_sampling(body.source)
        with self._works.documents.transaction():
            owner = self._endpoint(endpoint)
            _check_name(body.name, [row.name for row in self._trials.shadows.all(owner.id)])
            now = self._now()
            record = self._trials.shadows.put(
                ShadowRecord(
                    new_id("exp"), owner.id, body.name, body.source, new_etag(), now, now, body.description
                )
            )
            for target in body.targets:
                self._added(record, owner, target)
        return self._answer(record)

    def index(self, endpoint: str, limit: Limit = DEFAULT_LIMIT, after: str | None = None) -> dict[str, Any]:
        """List an endpoint's experiments with their targets."""
        return page(self._trials.shadows.all(self._endpoint(endpoint).id), self._answer, limit, after)

    def get(self, endpoint: str, experiment: str) -> dict[str, Any]:
        """Read one."""
        return self._answer(self._record(endpoint, experiment))

    def change(
        self, endpoint: str, experiment: str, body: ShadowChange, mask: UpdateMask = None
    ) -> dict[str, Any]:
        """Write the masked fields."""
        fields = masked(mask, body.given())
        record = self._record(endpoint, experiment)
        check_etag(body.etag, record.etag, f"the shadow experiment {record.name}")
        if "source" in fields:
            check_sampling(body.source or {})
            record = replace(record, source=body.source or {})
        if "description" in fields:
            record = replace(record, description=body.description or "")
        return self._answer(
            self._trials.shadows.put(replace(record, etag=new_etag(), updated_at=self._now()))
        )

    def delete(self, endpoint: str, experiment: str, etag: str | None = None) -> dict[str, Any]:
        """End an experiment."""
        record = self._record(endpoint, experiment)
        check_etag(etag, record.etag, f"the shadow experiment {record.name}")
        with self._works.documents.transaction():
            self._works.documents.delete_all("shadow_target", record.id)
            self._trials.shadows.delete(record.id)
        return {}

    def add(self, endpoint: str, experiment: str, body: NewTarget) -> dict[str, Any]:
        """Have copies go to another deployment."""
        record = self._record(endpoint, experiment)
        with self._works.documents.transaction():
            return _target(self._added(record, self._endpoint(endpoint), body))

    def targets(
        self, endpoint: str, experiment: str, limit: Limit = DEFAULT_LIMIT, after: str | None = None
    ) -> dict[str, Any]:
        """List an experiment's targets."""
        return page(self._trials.targets.all(self._record(endpoint, experiment).id), _target, limit, after)

    def target(self, endpoint: str, experiment: str, target: str) -> dict[str, Any]:
        """Read one target."""
        return _target(self._target_record(endpoint, experiment, target))

    def change_target(
        self, endpoint: str, experiment: str, target: str, body: TargetChange, mask: UpdateMask = None
    ) -> dict[str, Any]:
        """Write a target's masked fields."""
        fields = masked(mask, body.given())
        record = self._target_record(endpoint, experiment, target)
        check_etag(body.etag, record.etag, f"the target {record.name}")
        if "name" in fields:
            others = [
                row.name for row in self._trials.targets.all(record.experiment_id) if row.id != record.id
            ]
            _check_name(body.name or "", others)
            record = replace(record, name=body.name or "")
        if "targetDeploymentId" in fields:
            self._check_free(self._endpoint(endpoint), body.target_deployment_id or "")
            record = replace(record, deployment_id=body.target_deployment_id or "")
        if "description" in fields:
            record = replace(record, description=body.description or "")
        return _target(self._trials.targets.put(replace(record, etag=new_etag(), updated_at=self._now())))

    def drop(self, endpoint: str, experiment: str, target: str, etag: str | None = None) -> dict[str, Any]:
        """Have no more copies go to a target."""
        record = self._target_record(endpoint, experiment, target)
        check_etag(etag, record.etag, f"the target {record.name}")
        self._trials.targets.delete(record.id)
        return {}

    def copies(self, endpoint: str, sticky: str) -> list[str]:
        """Say to which deployments a copy of a request goes.

        Args:
            endpoint: Id of the endpoint that answered it.
            sticky: What tells requests apart; the same one is sampled or not, each time.
        """
        return [
            target.deployment_id
            for record in self._trials.shadows.all(endpoint)
            if sampled(record.id, record.source, sticky)
            for target in self._trials.targets.all(record.id)
        ]

    def _added(self, record: ShadowRecord, owner: EndpointRecord, body: NewTarget) -> ShadowTargetRecord:
        present = self._trials.targets.all(record.id)
        if len(present) >= MOST_TARGETS:
            raise not_now(f"The shadow experiment {record.name} has {MOST_TARGETS} targets already.")
        _check_name(body.name, [row.name for row in present])
        self._check_free(owner, body.target_deployment_id)
        now = self._now()
        return self._trials.targets.put(
            ShadowTargetRecord(
                id=new_id("sht"),
                experiment_id=record.id,
                endpoint_id=owner.id,
                name=body.name,
                deployment_id=body.target_deployment_id,
                etag=new_etag(),
                created_at=now,
                updated_at=now,
                description=body.description,
            )
        )

    def _check_free(self, owner: EndpointRecord, deployment: str) -> None:
        """Refuse a target that answers real requests."""
        found = self._shelves.deployments.get(deployment)
        if found is None or found.endpoint_id != owner.id:
            raise not_found(f"The deployment {deployment} of the endpoint {owner.name}")
        live = {entry["deploymentId"] for entry in owner.traffic if entry["weight"]}
        if deployment in live | self._trials.busy(owner.id):
            raise not_now(f"The deployment {found.name} answers real requests, so it can't be a shadow.")

    def _endpoint(self, key: str) -> EndpointRecord:
        record = self._shelves.endpoints.get(key)
        if record is None:
            raise not_found(f"The endpoint {key}")
        return record

    def _record(self, endpoint: str, key: str) -> ShadowRecord:
        record = self._trials.shadows.get(key)
        if record is None or record.endpoint_id != self._endpoint(endpoint).id:
            raise not_found(f"The shadow experiment {key} of the endpoint {endpoint}")
        return record

    def _target_record(self, endpoint: str, experiment: str, key: str) -> ShadowTargetRecord:
        record = self._trials.targets.get(key)
        if record is None or record.experiment_id != self._record(endpoint, experiment).id:
            raise not_found(f"The target {key} of the shadow experiment {experiment}")
        return record

    def _now(self) -> str:
        return stamp(self._works.clock.now())

    def _answer(self, record: ShadowRecord) -> dict[str, Any]:
        targets = self._trials.targets.all(record.id)
        return {
            "id": record.id,
            "projectId": PROJECT_ID,
            "endpointId": record.endpoint_id,
            "name": record.name,
            "description": record.description,
            "source": record.source,
            "state": f"SHADOW_EXPERIMENT_STATE_{'ACTIVE' if targets else 'INACTIVE'}",
            "targets": [_target(row) for row in targets],
            "etag": record.etag,
            "createdBy": "key_local",
            "createdAt": record.created_at,
            "updatedAt": record.updated_at,
        }


def _target(record: ShadowTargetRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "experimentId": record.experiment_id,
        "name": record.name,
        "description": record.description,
        "targetDeploymentId": record.deployment_id,
        "etag": record.etag,
        "createdAt": record.created_at,
        "updatedAt": record.updated_at,
    }


def _check_name(name: str, others: Sequence[str]) -> None:
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise invalid(f"A name has 1 to {_LONGEST_NAME} characters.", "name")
    if name in others:
        raise taken(f"The name {name} is in use.")
