"""Model records: create, read, change, delete (Together API dossier 2.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query

from lorry.engine.api_errors import invalid, not_found, not_now, taken
from lorry.engine.clock import stamp
from lorry.engine.documents import new_id
from lorry.engine.paging import DEFAULT_LIMIT, Limit, masked, page
from lorry.engine.together.bases import Base
from lorry.engine.together.catalog_rows import base_model
from lorry.engine.together.identity import ORGANIZATION_ID, PROJECT_ID, PROJECT_SLUG, bare_name
from lorry.engine.together.records import WANTED, ModelRecord, Shelves
from lorry.engine.together.revisions import Revisions
from lorry.engine.together.validation import KINDS
from lorry.engine.together.wire import Body, UpdateMask, project_router
from lorry.engine.works import Works

_VISIBILITIES = ("VISIBILITY_PRIVATE", "VISIBILITY_INTERNAL")


class NewModel(Body):
    """Body of a create."""

    name: str
    base_model_id: str
    type: str
    description: str = ""


class ModelChange(Body):
    """Body of an update."""

    name: str | None = None
    description: str | None = None
    visibility: str | None = None


class Models:
    """The model records of one engine."""

    def __init__(self, works: Works, shelves: Shelves, revisions: Revisions) -> None:
        self._works = works
        self._shelves = shelves
        self._revisions = revisions
        self._catalog = works.catalog

    def router(self) -> APIRouter:
        """Make the routes."""
        return project_router(
            self._works.config,
            [
                ("POST", "/models", self.create),
                ("GET", "/models", self.index),
                ("GET", "/models/{model}", self.get),
                ("PATCH", "/models/{model}", self.change),
                ("DELETE", "/models/{model}", self.delete),
            ],
        )

    def create(self, body: NewModel) -> dict[str, Any]:
        """Create a record; its files come later."""
        name = bare_name(body.name, "a model")
        base = self._catalog.base(body.base_model_id)
        if base is None:
            known = ", ".join(f"{each.model_id} ({each.name})" for each in self._catalog.bases)
            raise invalid(
                f"The base model {body.base_model_id!r} is not in this engine's catalog; it has {known}.",
                "baseModelId",
            )
        kind = _type(body.type, base)
        now = stamp(self._works.clock.now())
        with self._works.documents.transaction():
            self._refuse_taken(name)
            record = ModelRecord(new_id("ml"), name, base.model_id, now, now, body.description, type=kind)
            self._shelves.models.put(record)
        return self._answer(record)

    def index(
        self,
        project: str,
        limit: Limit = DEFAULT_LIMIT,
        after: str | None = None,
        visibility: str | None = None,
        organization: Annotated[str | None, Query(alias="organizationId")] = None,
    ) -> dict[str, Any]:
        """List the records of a project."""
        if project != PROJECT_ID:
            shown = [base_model(base) for base in self._catalog.bases] if after is None else []
            return {"object": "list", "data": shown, "next_cursor": None}
        records = [
            record
            for record in self._shelves.models.all()
            if visibility in (None, record.visibility) and organization in (None, ORGANIZATION_ID)
        ]
        return page(records, self._answer, limit, after)

    def get(self, project: str, model: str) -> dict[str, Any]:
        """Read one; a base model is read in the project that owns it."""
        if project != PROJECT_ID:
            base = next((each for each in self._catalog.bases if each.model_id == model), None)
            if base is None:
                raise not_found(f"The model {model} in the project {project}")
            return base_model(base)
        return self._answer(self.record(model))

    def change(self, model: str, body: ModelChange, mask: UpdateMask = None) -> dict[str, Any]:
        """Write the masked fields."""
        fields = masked(mask, body.given())
        with self._works.documents.transaction():
            record = self.record(model)
            if "name" in fields:
                name = bare_name(body.name or "", "a model")
                if name != record.name:
                    self._refuse_taken(name)
                record = replace(record, name=name)
            if "description" in fields:
                record = replace(record, description=body.description or "")
            if "visibility" in fields:
                if body.visibility not in _VISIBILITIES:
                    raise invalid(f"visibility can be {' or '.join(_VISIBILITIES)}.", "visibility")
                record = replace(record, visibility=body.visibility)
            record = replace(record, updated_at=stamp(self._works.clock.now()))
            self._shelves.models.put(record)
        return self._answer(record)

    def delete(self, model: str) -> dict[str, Any]:
        """Delete a record with its revisions; the contents stay for uploads that skip them."""
        with self._works.documents.transaction():
            record = self.record(model)
            users = [
                deployment
                for deployment in self._shelves.deployments.all()
                if deployment.model_id == record.id and deployment.phase in WANTED
            ]
            if users:
                raise not_now(
                    f"The model {record.name} is served by {len(users)} deployment(s) ({users[0].id}); "
                    "stop them first."
                )
            if attached := [row for row in self._shelves.attachments.all() if row.model_id == record.id]:
                raise not_now(
                    f"The adapter {record.name} is attached to {len(attached)} deployment(s) "
                    f"({attached[0].deployment_id}); remove it there first."
                )
            self._revisions.forget(record.id)
            for kind in ("upload", "remote_upload"):
                self._works.documents.delete_all(kind, record.id)
            self._shelves.models.delete(record.id)
        return {}

    def record(self, key: str) -> ModelRecord:
        """Find a record by id.

        Raises:
            Refusal: 404.
        """
        record = self.find(key)
        if record is None:
            raise not_found(f"The model {key}")
        return record

    def find(self, key: str) -> ModelRecord | None:
        """Find a record by id; `None` when it is not there."""
        return self._shelves.models.get(key)

    def named(self, name: str) -> ModelRecord | None:
        """Find a record by its bare or qualified name."""
        bare = name.removeprefix(f"{PROJECT_SLUG}/")
        return next((record for record in self._shelves.models.all() if record.name == bare), None)

    def _refuse_taken(self, name: str) -> None:
        if self.named(name):
            raise taken(f"Model name already exists: {PROJECT_SLUG}/{name}.")

    def _answer(self, record: ModelRecord) -> dict[str, Any]:
        base = self._catalog.base_of(record.base_model_id)
        role = "ADAPTER" if record.type == "adapter" else "DEFAULT"
        weights: dict[str, Any] = {"architecture": base.architecture, "type": f"WEIGHTS_TYPE_{role}"}
        if (latest := self._revisions.latest(record.id)) and latest.summary.get("parameters"):
            count = str(latest.summary["parameters"])
            dtype = latest.summary.get("dtype") or "unknown"
            weights["parameters"] = {"total": count, "byDtype": [{"dtype": dtype, "count": count}]}
        return {
            "id": record.id,
            "name": f"{PROJECT_SLUG}/{record.name}",
            "organizationId": ORGANIZATION_ID,
            "projectId": PROJECT_ID,
            "visibility": record.visibility,
            "weights": weights,
            "baseModel": base.resource,
            "baseModelId": record.base_model_id,
            "description": record.description,
            "createdAt": record.created_at,
            "updatedAt": record.updated_at,
        }


def _type(given: str, base: Base) -> str:
    """Read a record's type, in the singular or the plural (Together API dossier 2.2)."""
    kind = given.removesuffix("s")
    if kind not in KINDS:
        raise invalid(f"The type of a model is `model` or `adapter`, not {given!r}.", "type")
    if not set(KINDS[kind]) & set(base.uploads):
        raise invalid(
            f"Of {base.name} this engine hosts {' and '.join(base.uploads)}; "
            f"a record of type {given!r} can't be served.",
            "type",
        )
    return kind
