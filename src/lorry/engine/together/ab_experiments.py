"""A/B experiments: the control's traffic, shared by whole percents (Together API dossier 2.9)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter

from lorry.engine.api_errors import check_etag, invalid, not_found, not_now, taken
from lorry.engine.clock import stamp
from lorry.engine.documents import new_id
from lorry.engine.paging import DEFAULT_LIMIT, Limit, masked, page
from lorry.engine.together.events import Events
from lorry.engine.together.identity import PROJECT_ID
from lorry.engine.together.lifecycle import new_etag
from lorry.engine.together.records import EndpointRecord, Shelves
from lorry.engine.together.trial_records import CONTROL, AbRecord, TrialShelves
from lorry.engine.together.wire import Body, UpdateMask, project_router
from lorry.engine.works import Works

_ROLES = (CONTROL, "AB_EXPERIMENT_MEMBER_ROLE_VARIANT")
#: Members of one experiment (types/endpoints/ab_experiment.py).
_FEWEST, _MOST = 2, 20


class NewExperiment(Body):
    """Body of a create."""

    name: str
    members: list[dict[str, Any]]
    description: str = ""


class ExperimentChange(Body):
    """Body of an update; members are replaced as a whole."""

    members: list[dict[str, Any]] | None = None
    description: str | None = None
    etag: str | None = None


class AbExperiments:
    """The A/B experiments of one engine."""

    def __init__(self, works: Works, shelves: Shelves, events: Events) -> None:
        self._works = works
        self._shelves = shelves
        self._trials = TrialShelves(works.documents)
        self._events = events

    def router(self) -> APIRouter:
        """Make the routes."""
        path = "/endpoints/{endpoint}/abExperiments"
        return project_router(
            self._works.config,
            [
                ("POST", path, self.create),
                ("GET", path, self.index),
                ("GET", path + "/{experiment}", self.get),
                ("PATCH", path + "/{experiment}", self.change),
                ("DELETE", path + "/{experiment}", self.delete),
            ],
        )

    def create(self, endpoint: str, body: NewExperiment) -> dict[str, Any]:
        """Begin to share the control's traffic."""
        with self._works.documents.transaction():
            owner = self._endpoint(endpoint)
            if any(row.name == body.name for row in self._trials.experiments.all(owner.id)):
                raise taken(f"The endpoint has an A/B experiment {body.name} already.")
            members = self._members(owner, body.members, apart_from=None)
            now = stamp(self._works.clock.now())
            record = self._trials.experiments.put(
                AbRecord(new_id("abx"), owner.id, body.name, members, new_etag(), now, now, body.description)
            )
            self._note(record, f"The A/B experiment {record.name} began.")
        return _answer(record)

    def index(self, endpoint: str, limit: Limit = DEFAULT_LIMIT, after: str | None = None) -> dict[str, Any]:
        """List an endpoint's experiments."""
        return page(self._trials.experiments.all(self._endpoint(endpoint).id), _answer, limit, after)

    def get(self, endpoint: str, experiment: str) -> dict[str, Any]:
        """Read one."""
        return _answer(self._record(endpoint, experiment))

    def change(
        self, endpoint: str, experiment: str, body: ExperimentChange, mask: UpdateMask = None
    ) -> dict[str, Any]:
        """Write the masked fields."""
        fields = masked(mask, body.given())
        with self._works.documents.transaction():
            record = self._record(endpoint, experiment)
            check_etag(body.etag, record.etag, f"the A/B experiment {record.name}")
            if "members" in fields:
                owner = self._endpoint(endpoint)
                record = replace(
                    record, members=self._members(owner, body.members or [], apart_from=record.id)
                )
            if "description" in fields:
                record = replace(record, description=body.description or "")
            record = replace(record, etag=new_etag(), updated_at=stamp(self._works.clock.now()))
            self._trials.experiments.put(record)
            self._note(record, f"The A/B experiment {record.name} was changed.")
        return _answer(record)

    def delete(self, endpoint: str, experiment: str, etag: str | None = None) -> dict[str, Any]:
        """End an experiment: its control gets its traffic back."""
        record = self._record(endpoint, experiment)
        check_etag(etag, record.etag, f"the A/B experiment {record.name}")
        self._trials.experiments.delete(record.id)
        self._note(record, f"The A/B experiment {record.name} ended.")
        return {}

    def member(self, endpoint: str, deployment: str, sticky: str) -> str:
        """Choose who answers a request that the traffic split sends to a deployment.

        Args:
            endpoint: Id of the endpoint.
            deployment: Whom the split chose.
            sticky: What ties requests together; the same goes the same way.

        Returns:
            A member of the experiment whose control that deployment is; the deployment itself without one.
        """
        for record in self._trials.experiments.all(endpoint):
            if any(row["deploymentId"] == deployment and row["role"] == CONTROL for row in record.members):
                return _drawn(record.members, f"{record.id}:{sticky}")
        return deployment

    def _members(
        self, owner: EndpointRecord, members: Sequence[dict[str, Any]], apart_from: str | None
    ) -> list[dict[str, Any]]:
        rows = [
            {
                "deploymentId": row.get("deploymentId"),
                "percent": row.get("percent", 0),
                "role": row.get("role"),
            }
            for row in members
        ]
        problems = _problems(rows)
        known = {row.id for row in self._shelves.deployments.all(owner.id)}
        problems += [
            f"the endpoint has no deployment {row['deploymentId']}"
            for row in rows
            if row["deploymentId"] not in known
        ]
        live = {entry["deploymentId"] for entry in owner.traffic if entry["weight"]}
        problems += [
            f"the control {row['deploymentId']} gets no traffic that could be shared"
            for row in rows
            if row["role"] == CONTROL and row["deploymentId"] not in live
        ]
        if problems:
            raise invalid(f"The members can't be so: {'; '.join(problems)}.", "members")
        others = [row for row in self._trials.experiments.all(owner.id) if row.id != apart_from]
        busy = {member["deploymentId"] for row in others for member in row.members}
        if shared := busy & {row["deploymentId"] for row in rows}:
            raise not_now(f"{', '.join(sorted(shared))} takes part in another A/B experiment.")
        if active := self._trials.active(owner.id):
            raise not_now(f"The endpoint has a rollout that is not over ({active.id}).")
        return rows

    def _note(self, record: AbRecord, message: str) -> None:
        self._events.note("ab_experiment.updated", record.endpoint_id, message, subjectId=record.id)

    def _endpoint(self, key: str) -> EndpointRecord:
        record = self._shelves.endpoints.get(key)
        if record is None:
            raise not_found(f"The endpoint {key}")
        return record

    def _record(self, endpoint: str, key: str) -> AbRecord:
        record = self._trials.experiments.get(key)
        if record is None or record.endpoint_id != self._endpoint(endpoint).id:
            raise not_found(f"The A/B experiment {key} of the endpoint {endpoint}")
        return record


def _problems(rows: Sequence[dict[str, Any]]) -> list[str]:
    problems = []
    if not _FEWEST <= len(rows) <= _MOST:
        problems.append(f"there are {len(rows)}, and it has to be {_FEWEST} to {_MOST}")
    if len({row["deploymentId"] for row in rows}) < len(rows):
        problems.append("a deployment is named twice")
    if any(row["role"] not in _ROLES for row in rows):
        problems.append(f"a role is none of {' and '.join(_ROLES)}")
    if (controls := sum(row["role"] == CONTROL for row in rows)) != 1:
        problems.append(f"{controls} are the control, and it has to be one")
    whole = all(isinstance(row["percent"], int) and not isinstance(row["percent"], bool) for row in rows)
    if not whole or any(row["percent"] < 0 for row in rows) or sum(row["percent"] for row in rows) != 100:
        problems.append("the percents are not whole numbers that add up to 100")
    return problems


def _drawn(members: Sequence[dict[str, Any]], sticky: str) -> str:
    point = int.from_bytes(hashlib.sha256(sticky.encode()).digest()[:8]) % 100
    for row in members:
        point -= row["percent"]
        if point < 0:
            return str(row["deploymentId"])
    return str(members[-1]["deploymentId"])


def _answer(record: AbRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "projectId": PROJECT_ID,
        "endpointId": record.endpoint_id,
        "name": record.name,
        "description": record.description,
        "members": record.members,
        "etag": record.etag,
        "createdBy": "key_local",
        "createdAt": record.created_at,
        "updatedAt": record.updated_at,
    }
