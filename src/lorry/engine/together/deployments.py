"""Deployments: replicas of a revision behind an endpoint (Together API dossier 2.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query

from lorry.engine.api_errors import check_etag, invalid, not_found, not_now, taken
from lorry.engine.clock import stamp
from lorry.engine.documents import new_id
from lorry.engine.paging import DEFAULT_LIMIT, Limit, masked, page, parse_filter
from lorry.engine.together.attaching import Attaching
from lorry.engine.together.autoscaling import parse_autoscaling
from lorry.engine.together.capacity import Capacity
from lorry.engine.together.deployment_answers import answer, state_of, summary
from lorry.engine.together.deployment_requests import (
    DeploymentChange,
    NewDeployment,
    Pins,
    check_timeout,
)
from lorry.engine.together.events import Events
from lorry.engine.together.identity import bare_name
from lorry.engine.together.lifecycle import Lifecycle, new_etag
from lorry.engine.together.records import WANTED, DeploymentRecord, EndpointRecord, Shelves
from lorry.engine.together.traffic import shares
from lorry.engine.together.trial_records import TrialShelves
from lorry.engine.together.wire import UpdateMask, project_router
from lorry.engine.works import Works

_FIELDS = frozenset({"name", "state", "model", "created_at", "updated_at"})


class Deployments:
    """The deployments of one engine."""

    def __init__(
        self,
        works: Works,
        shelves: Shelves,
        pins: Pins,
        lifecycle: Lifecycle,
        capacity: Capacity,
        attaching: Attaching,
        events: Events,
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._pins = pins
        self._lifecycle = lifecycle
        self._capacity = capacity
        self._attaching = attaching
        self._events = events
        self._trials = TrialShelves(works.documents)

    def router(self) -> APIRouter:
        """Make the routes."""
        path = "/endpoints/{endpoint}/deployments"
        return project_router(
            self._works.config,
            [
                ("POST", path, self.create),
                ("GET", path, self.index),
                ("GET", path + "/{deployment}", self.get),
                ("PATCH", path + "/{deployment}", self.change),
                ("DELETE", path + "/{deployment}", self.delete),
            ],
        )

    def create(
        self,
        endpoint: str,
        body: NewDeployment,
        validate_only: Annotated[bool, Query(alias="validateOnly")] = False,
    ) -> dict[str, Any]:
        """Deploy a revision; with `validateOnly` only say what it would become."""
        owner = self._endpoint(endpoint)
        record = self._drafted(owner.id, body)
        with self._works.documents.transaction():
            self._refuse_taken(record)
            if validate_only:
                return self._answer(record, owner)
            self._shelves.deployments.put(record)
            self._events.note(
                "deployment.created",
                owner.id,
                f"The deployment {record.name} was created.",
                deployment=record.id,
                name=record.name,
            )
        return self._answer(self._lifecycle.look(record, counts=False), owner)

    def _drafted(self, endpoint: str, body: NewDeployment) -> DeploymentRecord:
        pinned = self._pins.resolve(body)
        config = self._pins.config(body, pinned.base)
        check_timeout(body.inactive_timeout)
        most = self._works.catalog.type_of(config).most_replicas
        autoscaling = parse_autoscaling(body.autoscaling, most=most)
        now = stamp(self._works.clock.now())
        return DeploymentRecord(
            id=new_id("dep"),
            endpoint_id=endpoint,
            name=bare_name(body.name.rsplit("/", 1)[-1], "a deployment"),
            model_project=pinned.project,
            model_id=pinned.model,
            revision_id=pinned.revision,
            autoscaling=autoscaling,
            etag=new_etag(),
            created_at=now,
            updated_at=now,
            phase="starting" if autoscaling["minReplicas"] else "stopped",
            since=now,
            message="The deployment was created.",
            inactive_timeout=body.inactive_timeout,
            max_concurrent=body.max_concurrent_requests_per_replica,
            placement=body.placement,
            config_id=config.id,
        )

    def index(
        self,
        endpoint: str,
        limit: Limit = DEFAULT_LIMIT,
        after: str | None = None,
        filter_: Annotated[str | None, Query(alias="filter")] = None,
        order: Annotated[str | None, Query(alias="orderBy")] = None,
    ) -> dict[str, Any]:
        """List an endpoint's deployments; each that is read counts as looked at."""
        owner = self._endpoint(endpoint)
        test = parse_filter(filter_, _FIELDS)
        answers = {record.id: self._answer(record, owner) for record in self.look_at_all(owner.id)}
        records = [
            record
            for record in self._shelves.deployments.all(owner.id)
            if record.id in answers and test(_filterable(answers[record.id]))
        ]
        newest_first = bool(order and order.strip().endswith("desc"))
        return page(records, lambda record: answers[record.id], limit, after, newest_first=newest_first)

    def get(self, endpoint: str, deployment: str) -> dict[str, Any]:
        """Look at one."""
        owner = self._endpoint(endpoint)
        return self._answer(self._lifecycle.look(self._record(owner.id, deployment)), owner)

    def change(
        self, endpoint: str, deployment: str, body: DeploymentChange, mask: UpdateMask = None
    ) -> dict[str, Any]:
        """Write the masked fields; replicas above none start it, none stops it."""
        fields = masked(mask, body.given())
        owner = self._endpoint(endpoint)
        if unknown := fields - {"name", "autoscaling", "inactiveTimeout", "maxConcurrentRequestsPerReplica"}:
            raise invalid(
                f"{', '.join(sorted(unknown))} of a deployment can't be changed; make a second deployment.",
                "updateMask",
            )
        self._lifecycle.look(self._record(owner.id, deployment), counts=False)
        with self._lifecycle.still():
            present = self._record(owner.id, deployment)
            check_etag(body.etag, present.etag, f"the deployment {present.name}")
            record = self._written(present, body, fields)
            record = replace(record, etag=new_etag(), updated_at=stamp(self._works.clock.now()))
            self._shelves.deployments.put(record)
            self._events.note(
                "deployment.updated",
                owner.id,
                f"The deployment {record.name} was changed.",
                deployment=record.id,
                paths=sorted(fields),
            )
        return self._answer(self._lifecycle.look(record, counts=False), owner)

    def _written(
        self, record: DeploymentRecord, body: DeploymentChange, fields: frozenset[str]
    ) -> DeploymentRecord:
        if "name" in fields:
            name = bare_name((body.name or "").rsplit("/", 1)[-1], "a deployment")
            if name != record.name:
                record = replace(record, name=name)
                self._refuse_taken(record)
        if "inactiveTimeout" in fields:
            check_timeout(body.inactive_timeout or 0)
            record = replace(record, inactive_timeout=body.inactive_timeout or 0)
        if "maxConcurrentRequestsPerReplica" in fields:
            record = replace(record, max_concurrent=body.max_concurrent_requests_per_replica)
        if "autoscaling" in fields:
            record = self._scaled(record, body.autoscaling or {})
        return record

    def _scaled(self, record: DeploymentRecord, given: Mapping[str, Any]) -> DeploymentRecord:
        wanted = parse_autoscaling(given, record.autoscaling, self._capacity.hardware(record).most_replicas)
        before = int(record.autoscaling["minReplicas"])
        after = int(wanted["minReplicas"])
        if after and record.phase == "failed":
            raise not_now(
                f"The deployment {record.name} has failed for good ({record.message}); make a new one."
            )
        if after and record.phase == "stopping":
            raise not_now(f"The deployment {record.name} is stopping; start it again once it has stopped.")
        record = replace(record, autoscaling=wanted)
        if before != after:
            self._events.note(
                "deployment.scaled",
                record.endpoint_id,
                f"The replicas of {record.name} go from {before} to {after}.",
                deployment=record.id,
                oldReplicas=before,
                newReplicas=after,
            )
        if after and record.phase == "stopped":
            return self._lifecycle.entered(record, "starting")
        if not after and record.phase in WANTED:
            return self._lifecycle.entered(record, "stopping", replicas=0)
        if before != after and record.phase in WANTED - {"starting"}:
            return self._lifecycle.entered(record, "scaling" if record.serving else "starting")
        return record

    def delete(self, endpoint: str, deployment: str, etag: str | None = None) -> dict[str, Any]:
        """Delete a deployment that has stopped or failed and gets no traffic."""
        self._lifecycle.look(self._record(endpoint, deployment), counts=False)
        with self._lifecycle.still():
            owner = self._endpoint(endpoint)
            record = self._record(owner.id, deployment)
            check_etag(etag, record.etag, f"the deployment {record.name}")
            self._remove(record, owner)
        return {}

    def _remove(self, record: DeploymentRecord, owner: EndpointRecord) -> None:
        if any(entry["deploymentId"] == record.id and entry["weight"] for entry in owner.traffic):
            raise not_now(
                f"The deployment {record.name} is in the endpoint's traffic split; set its weight to 0 first."
            )
        if record.phase not in ("stopped", "failed"):
            raise not_now(f"The deployment {record.name} is {state_of(record)}; it must be stopped first.")
        if record.id in self._trials.busy(owner.id):
            raise not_now(f"The deployment {record.name} takes part in a rollout or an experiment.")
        self._shelves.deployments.delete(record.id)
        self._attaching.clear(record)
        rest = [entry for entry in owner.traffic if entry["deploymentId"] != record.id]
        if rest != owner.traffic:
            self._shelves.endpoints.put(replace(owner, traffic=rest, etag=new_etag()))
        self._events.note(
            "deployment.deleted",
            owner.id,
            f"The deployment {record.name} was deleted.",
            deployment=record.id,
            name=record.name,
        )

    def look_at_all(self, endpoint: str, *, counts: bool = True) -> list[DeploymentRecord]:
        """Look at all deployments of an endpoint, oldest first."""
        records = self._shelves.deployments.all(endpoint)
        return [self._lifecycle.look(record, counts=counts) for record in records]

    def summary(self, record: DeploymentRecord, owner: EndpointRecord, share: float) -> dict[str, Any]:
        """Write a deployment as it appears inside its endpoint.

        Args:
            record: The deployment.
            owner: Its endpoint.
            share: Its share of the endpoint's traffic.
        """
        row = summary(record, owner, share, self._capacity.hardware(record))
        return row | {"trafficMode": self._mode(record)}

    def _refuse_taken(self, record: DeploymentRecord) -> None:
        others = self._shelves.deployments.all(record.endpoint_id)
        if any(other.name == record.name and other.id != record.id for other in others):
            raise taken(f"The endpoint has a deployment {record.name} already.")

    def _endpoint(self, key: str) -> EndpointRecord:
        record = self._shelves.endpoints.get(key)
        if record is None:
            raise not_found(f"The endpoint {key}")
        return record

    def _record(self, endpoint: str, key: str) -> DeploymentRecord:
        record = self._shelves.deployments.get(key)
        if record is None or record.endpoint_id != endpoint:
            raise not_found(f"The deployment {key} of the endpoint {endpoint}")
        return record

    def _answer(self, record: DeploymentRecord, owner: EndpointRecord) -> dict[str, Any]:
        ready = {other.id: other.serving for other in self._shelves.deployments.all(owner.id)}
        share = self._trials.effective(owner.id, shares(owner.traffic, ready)).get(record.id, 0.0)
        row = answer(record, owner, share, self._capacity.hardware(record))
        return row | {"trafficMode": self._mode(record)}

    def _mode(self, record: DeploymentRecord) -> str:
        listens = self._trials.listens(record.endpoint_id, record.id)
        return f"TRAFFIC_MODE_{'SHADOW' if listens else 'LIVE'}"


def _filterable(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "name": row["name"],
        "state": row["status"]["state"],
        "model": row["model"],
        "created_at": row["createdAt"],
        "updated_at": row["updatedAt"],
    }
