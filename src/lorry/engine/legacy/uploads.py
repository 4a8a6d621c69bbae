"""Upload jobs of the first version (Together API dossier 1.1 and 1.2).

A job is a model record with a remote upload: the same import, the same validation, told in the old words.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from lorry.engine.api_errors import invalid, not_found
from lorry.engine.clock import stamp
from lorry.engine.legacy.records import JobRecord, LegacyShelves
from lorry.engine.together.bases import Base
from lorry.engine.together.identity import PROJECT_SLUG, bare_name, key_check
from lorry.engine.together.models import Models, NewModel
from lorry.engine.together.records import RemoteUploadRecord, RevisionRecord, Shelves
from lorry.engine.together.remote_uploads import NewRemoteUpload, RemoteUploads
from lorry.engine.together.revisions import Revisions
from lorry.engine.works import Works

_STATES = {
    "REMOTE_UPLOAD_STATUS_PENDING": "Queued",
    "REMOTE_UPLOAD_STATUS_RUNNING": "Running",
    "REMOTE_UPLOAD_STATUS_FAILED": "Failed",
}


class NewUpload(BaseModel):
    """Body of an upload."""

    model_name: str
    model_source: str
    model_type: Literal["model", "adapter"] = "model"
    description: str = ""
    base_model: str | None = None
    lora_model: str | None = None
    hf_token: str | None = None


class LegacyUploads:
    """The upload jobs of one engine."""

    def __init__(
        self, works: Works, shelves: Shelves, models: Models, imports: RemoteUploads, revisions: Revisions
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._jobs = LegacyShelves(works.documents).jobs
        self._models = models
        self._imports = imports
        self._revisions = revisions

    def router(self) -> APIRouter:
        """Make the routes."""
        routes = APIRouter(dependencies=[Depends(key_check(self._works.config))])
        for method, path, answer in (
            ("POST", "/v1/models", self.create),
            ("GET", "/v1/jobs", self.index),
            ("GET", "/v1/jobs/{job}", self.get),
        ):
            routes.add_api_route(path, answer, methods=[method], response_model=None)
        return routes

    def create(self, body: NewUpload, request: Request) -> dict[str, Any]:
        """Take a job on."""
        name = bare_name(body.model_name, "a model")
        base = self._base(body)
        given = NewModel(
            name=name, base_model_id=base.model_id, type=body.model_type, description=body.description
        )
        with self._works.documents.transaction():
            model = self._models.create(given)
            started = self._imports.create(
                NewRemoteUpload(model_id=model["id"], remote_url=body.model_source), request
            )
            job = self._jobs.put(
                JobRecord(
                    id=started["id"],
                    type=f"{body.model_type}_upload",
                    model_name=f"{PROJECT_SLUG}/{name}",
                    source=body.model_source.partition("?")[0],
                    description=body.description,
                    created_at=stamp(self._works.clock.now()),
                )
            )
        return {
            "data": {
                "job_id": job.id,
                "model_name": job.model_name,
                "model_id": model["id"],
                "model_source": "remote_archive" if "?" in body.model_source else "huggingface",
            },
            "message": "Processing model weights. Job created.",
        }

    def _base(self, body: NewUpload) -> Base:
        """Find the base: an adapter names its own, a whole model is of the one that takes whole models."""
        if body.model_type == "model":
            return next(base for base in self._works.catalog.bases if "checkpoint" in base.uploads)
        if body.base_model and body.lora_model:
            raise invalid(
                "base_model and lora_model are for different pools; name one of them.", "lora_model"
            )
        named = body.lora_model or body.base_model
        base = self._works.catalog.base(named or "")
        if base is None:
            known = ", ".join(each.name for each in self._works.catalog.bases)
            raise invalid(
                f"{named!r} is no base model that takes adapters here; those are {known}.", "lora_model"
            )
        return base

    def index(self) -> dict[str, Any]:
        """List the jobs; each that is shown counts as looked at."""
        return {"data": [self._answer(job) for job in self._jobs.all()]}

    def get(self, job: str) -> dict[str, Any]:
        """Look at one."""
        record = self._jobs.get(job)
        if record is None:
            raise not_found(f"The job {job}")
        return self._answer(record)

    def _answer(self, job: JobRecord) -> dict[str, Any]:
        record = self._shelves.remote_uploads.get(job.id)
        if record is None:  # its model was deleted, and all of it with that
            raise not_found(f"The job {job.id}")
        seen = self._imports.look(record)
        status, message, at = self._state(seen)
        updates = [
            {
                "status": _STATES.get(seen.status, status),
                "message": event["message"],
                "timestamp": event["createdAt"],
            }
            for event in seen.events
        ]
        if message:
            updates.append({"status": status, "message": message, "timestamp": at})
        return {
            "type": job.type,
            "job_id": job.id,
            "status": status,
            "status_updates": updates,
            "args": {
                "description": job.description,
                "modelName": job.model_name,
                "modelSource": job.source,
            },
            "created_at": job.created_at,
            "updated_at": seen.updated_at,
        }

    def _state(self, seen: RemoteUploadRecord) -> tuple[str, str, str]:
        """Tell a job's state, the last word on it, and when that was: the import's, then the validation's."""
        if seen.status in _STATES:
            return _STATES[seen.status], "", seen.updated_at
        latest = self._revisions.latest(seen.model_id)
        revision = self._revisions.look(latest) if latest else None
        if revision is None or not revision.shown:
            return "Running", "The files are being validated.", seen.updated_at
        if revision.outcome != "SUCCESS":
            return "Failed", _problems(revision), seen.updated_at
        return "Complete", "The model is ready to be deployed.", seen.updated_at


def _problems(revision: RevisionRecord) -> str:
    said = "; ".join(f"{row['rule']}: {row['message']}" for row in revision.problems)
    return f"Validation failed: {said}"
