"""The routes of containers: what is asked for, its revisions, its logs (Together API dossier 4.1)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict

from lorry.engine.api_errors import not_found, taken
from lorry.engine.clock import stamp
from lorry.engine.containers.answers import container_answer, event_answer, replica_of, revision_answer
from lorry.engine.containers.jobs import Jobs
from lorry.engine.containers.records import (
    ContainerRecord,
    ContainerRevision,
    ContainerShelves,
    RevisionEvent,
)
from lorry.engine.containers.secrets import Secrets
from lorry.engine.containers.specs import NewContainer, Spec, check_references, complete
from lorry.engine.containers.states import States
from lorry.engine.containers.volumes import Volumes
from lorry.engine.documents import new_id
from lorry.engine.together.identity import key_check
from lorry.engine.works import Works

#: Finds a validated revision of a model, or refuses.
FindModel = Callable[[str, str | None], object]


class Prewarm(BaseModel):
    """What is to be brought near before it is deployed."""

    model_config = ConfigDict(extra="ignore")

    volume: str | None = None
    images: list[str] | None = None


class Rollback(BaseModel):
    """Which revision is to be active again, by its id or number."""

    model_config = ConfigDict(extra="ignore")

    revision_identifier: str


class ContainerDeployments:
    """The containers of one engine."""

    def __init__(
        self,
        works: Works,
        shelves: ContainerShelves,
        states: States,
        secrets: Secrets,
        volumes: Volumes,
        jobs: Jobs,
        find_model: FindModel,
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._states = states
        self._secrets = secrets
        self._volumes = volumes
        self._jobs = jobs
        self._find_model = find_model

    def router(self) -> APIRouter:
        """Make the routes."""
        routes = APIRouter(prefix="/v1/deployments", dependencies=[Depends(key_check(self._works.config))])
        for method, path, answer in (
            ("POST", "", self.create),
            ("GET", "", self.index),
            ("POST", "/prewarm", self.prewarm),
            ("GET", "/{key}", self.get),
            ("PATCH", "/{key}", self.change),
            ("DELETE", "/{key}", self.delete),
            ("GET", "/{key}/logs", self.logs),
            ("GET", "/{key}/revisions", self.revisions),
            ("GET", "/{key}/revisions/{revision}", self.revision),
            ("POST", "/{key}/rollback", self.rollback),
        ):
            routes.add_api_route(path, answer, methods=[method], response_model=None)
        return routes

    def named(self, key: str) -> ContainerRecord | None:
        """Find a container by its id or name."""
        return next(
            (found for found in self._shelves.containers.all() if key in (found.id, found.name)), None
        )

    def ask(self, name: str) -> bool:
        """Note that something is asked of a container; say whether there is one of that name."""
        record = self.named(name)
        if record is not None:
            self._states.ask(record)
        return record is not None

    def create(self, body: NewContainer, request: Request) -> dict[str, Any]:
        """Run a container."""
        spec = self._checked(complete(body))
        now = stamp(self._works.clock.now())
        with self._works.documents.transaction():
            if self.named(spec["name"]) is not None:
                raise taken(f"A deployment named {spec['name']} already exists.")
            record = ContainerRecord(
                id=str(uuid.uuid4()),
                name=spec["name"],
                spec=spec,
                revision_id="",
                created_at=now,
                updated_at=now,
                phase="updating",
                since=now,
                host=_host(request),
            )
            record = self._revised(record, spec, "create")
        return self._answer(self._states.begin(record))

    def index(self) -> dict[str, Any]:
        """List the containers; each counts as looked at."""
        found = [self._states.look(record) for record in self._shelves.containers.all()]
        return {"object": "list", "data": [self._answer(record) for record in found]}

    def prewarm(self, body: Prewarm) -> dict[str, Any]:
        """Bring nothing near: everything is on this machine."""
        return {"volume": body.volume, "images": body.images or []}

    def get(self, key: str) -> dict[str, Any]:
        """Look at one."""
        return self._answer(self._states.look(self._record(key)))

    def change(self, key: str, body: Spec, request: Request) -> dict[str, Any]:
        """Change a container; what is really another configuration is a new revision."""
        record = self._record(key)
        spec = self._checked(complete(body, record.spec))
        if spec == record.spec:
            return self._answer(self._states.look(record))
        with self._works.documents.transaction():
            record = self._revised(replace(self._record(key), host=_host(request)), spec, "update")
        return self._answer(self._states.begin(record))

    def delete(self, key: str) -> dict[str, Any]:
        """Stop a container and forget it; jobs that wait for it are canceled."""
        record = self._record(key)
        self._states.end(record)
        self._jobs.clear(record.name)
        with self._works.documents.transaction():
            for kind in ("container_revision", "container_event", "container_log"):
                self._works.documents.delete_all(kind, record.id)
            self._shelves.containers.delete(record.id)
        return {}

    def logs(
        self, key: str, replica_id: str | None = None, revision: str | None = None, version: str | None = None
    ) -> dict[str, Any]:
        """Give the newest lines, of one replica, revision or image alone where that is asked for."""
        record = self._states.look(self._record(key), counts=False)
        images = {found.id: found.spec["image"] for found in self._shelves.revisions.all(record.id)}
        lines = [
            f"{entry.at} {entry.line}"
            for entry in self._shelves.logs.all(record.id)
            if revision in (None, entry.revision_id)
            and (
                replica_id is None
                or (replica_id, entry.revision_id) == (replica_of(record), record.revision_id)
            )
            and (version is None or images.get(entry.revision_id, "").endswith((f":{version}", version[-4:])))
        ]
        return {"lines": lines}

    def revisions(
        self,
        key: str,
        limit: Annotated[int, Query(ge=1, le=100)] = 10,
        before: int | None = None,
    ) -> dict[str, Any]:
        """List what became active when, newest first."""
        record = self._record(key)
        events = [
            event
            for event in reversed(self._shelves.events.all(record.id))
            if before is None or event.number < before
        ]
        rows = [event_answer(event, self._revision(record, event.revision_id)) for event in events[:limit]]
        return {"object": "list", "data": rows}

    def revision(self, key: str, revision: str) -> dict[str, Any]:
        """Describe one revision, by its id or number."""
        return revision_answer(self._revision(self._record(key), revision), self._expiry)

    def rollback(self, key: str, body: Rollback) -> dict[str, Any]:
        """Make an earlier revision active again."""
        with self._works.documents.transaction():
            record = self._record(key)
            revision = self._revision(record, body.revision_identifier)
            self._checked(revision.spec)
            record = self._active(record, revision, "rollback")
        return self._answer(self._states.begin(record))

    def _revised(self, record: ContainerRecord, spec: dict[str, Any], action: str) -> ContainerRecord:
        number = len(self._shelves.revisions.all(record.id)) + 1
        now = stamp(self._works.clock.now())
        revision = ContainerRevision(str(uuid.uuid4()), record.id, number, spec, now)
        self._shelves.revisions.put(revision)
        return self._active(record, revision, action)

    def _active(self, record: ContainerRecord, revision: ContainerRevision, action: str) -> ContainerRecord:
        number = len(self._shelves.events.all(record.id)) + 1
        now = stamp(self._works.clock.now())
        self._shelves.events.put(RevisionEvent(new_id("event"), record.id, number, action, revision.id, now))
        changed = replace(record, spec=revision.spec, revision_id=revision.id, updated_at=now)
        return self._shelves.containers.put(changed)

    def _checked(self, spec: dict[str, Any]) -> dict[str, Any]:
        check_references(
            spec, secret=self._secrets.record, volume=self._volumes.mountable, model=self._find_model
        )
        return spec

    def _record(self, key: str) -> ContainerRecord:
        record = self.named(key)
        if record is None:
            raise not_found(f"The deployment {key}")
        return record

    def _revision(self, record: ContainerRecord, key: str) -> ContainerRevision:
        for found in self._shelves.revisions.all(record.id):
            if key in (found.id, str(found.number)):
                return found
        raise not_found(f"The revision {key} of {record.name}")

    def _expiry(self, secret: str) -> str | None:
        found = [row for row in self._shelves.secrets.all() if secret in (row.id, row.name)]
        return found[0].expires_at if found else None

    def _answer(self, record: ContainerRecord) -> dict[str, Any]:
        return container_answer(record, self._expiry)


def _host(request: Request) -> str:
    return str(request.base_url).rstrip("/")
