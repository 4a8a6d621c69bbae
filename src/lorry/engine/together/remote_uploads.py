"""Remote uploads: import a repository of this engine's own Hub into a model (Together API dossier 2.4).

Together imports from the Hugging Face Hub and from presigned archives. This engine imports only from its own
Hub, and archives from its own storage: nothing it is told makes it fetch an address somewhere else.
"""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

from fastapi import APIRouter, Request

from lorry.engine.api_errors import not_found
from lorry.engine.clock import moment_of, stamp
from lorry.engine.documents import new_id
from lorry.engine.paging import DEFAULT_LIMIT, EventLimit, Limit, page
from lorry.engine.repositories import Repositories
from lorry.engine.together.archives import Archives, archive_name
from lorry.engine.together.identity import PROJECT_ID
from lorry.engine.together.models import Models
from lorry.engine.together.records import RemoteUploadRecord, Shelves
from lorry.engine.together.revisions import RevisionFile, Revisions
from lorry.engine.together.wire import Body, project_router
from lorry.engine.works import Works
from lorry.errors import LorryError

_PENDING = "REMOTE_UPLOAD_STATUS_PENDING"
_RUNNING = "REMOTE_UPLOAD_STATUS_RUNNING"
_SUCCEEDED = "REMOTE_UPLOAD_STATUS_SUCCEEDED"
_FAILED = "REMOTE_UPLOAD_STATUS_FAILED"

_REPO = re.compile(r"[\w.-]+/[\w.-]+")


class NewRemoteUpload(Body):
    """Body of a create; the token is never stored, this Hub needs none of its own."""

    model_id: str
    remote_url: str
    token: str | None = None


class RemoteUploads:
    """The imports of one engine."""

    def __init__(
        self,
        works: Works,
        shelves: Shelves,
        models: Models,
        revisions: Revisions,
        repositories: Repositories,
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._models = models
        self._revisions = revisions
        self._repositories = repositories
        self._archives = Archives(works)
        self._settling = threading.Lock()

    def router(self) -> APIRouter:
        """Make the routes."""
        return project_router(
            self._works.config,
            [
                ("POST", "/models/uploads", self.create),
                ("GET", "/models/uploads", self.index),
                ("GET", "/models/uploads/{job}", self.get),
                ("GET", "/models/uploads/{job}/events", self.events),
            ],
        )

    def create(self, body: NewRemoteUpload, request: Request) -> dict[str, Any]:
        """Take an import on; whether its source can be read shows while it runs."""
        model = self._models.record(body.model_id)
        now = stamp(self._works.clock.now())
        record = RemoteUploadRecord(
            id=new_id("job"),
            model_id=model.id,
            remote_url=body.remote_url,
            created_at=now,
            updated_at=now,
            status=_PENDING,
            since=now,
            host=request.url.netloc,
            events=[_event("upload.queued", "LEVEL_INFO", "The import was queued.", now)],
        )
        return _answer(self._shelves.remote_uploads.put(record))

    def index(self, limit: Limit = DEFAULT_LIMIT, after: str | None = None) -> dict[str, Any]:
        """List the imports; each that is shown counts as looked at."""
        records = self._shelves.remote_uploads.all()
        return page(records, lambda record: _answer(self.look(record)), limit, after)

    def get(self, job: str) -> dict[str, Any]:
        """Look at one."""
        return _answer(self.look(self._record(job)))

    def events(self, job: str, limit: EventLimit = DEFAULT_LIMIT, after: str | None = None) -> dict[str, Any]:
        """List what happened, oldest first."""
        rows = [row for row in self._record(job).events if after is None or row["id"] > after]
        shown = rows[:limit]
        cursor = shown[-1]["id"] if len(rows) > limit else None
        return {"object": "list", "data": shown, "next_cursor": cursor}

    def look_at_all(self, model: str) -> None:
        """Look at the unfinished imports of a model."""
        for record in self._shelves.remote_uploads.all(model):
            self.look(record)

    def look(self, record: RemoteUploadRecord) -> RemoteUploadRecord:
        """Bring an import's state up to date with the pace; with its last phase it is done."""
        if record.status in (_SUCCEEDED, _FAILED):
            return record
        with self._settling:
            present = self._shelves.remote_uploads.get(record.id) or record
            if present.stuck:
                return present
            present = replace(present, looks=present.looks + 1)
            while present.status in (_PENDING, _RUNNING) and self._over(present):
                present = self._next(present)
            return self._shelves.remote_uploads.put(present)

    def _over(self, record: RemoteUploadRecord) -> bool:
        return self._works.config.pace.over(
            since=moment_of(record.since), looks=record.looks, now=self._works.clock.now()
        )

    def _next(self, record: RemoteUploadRecord) -> RemoteUploadRecord:
        if record.status == _PENDING:
            return self._moved(record, _RUNNING, "download.started", f"Reading {record.remote_url}.")
        try:
            files = self._files(record)
            if isinstance(files, str):
                return self._moved(record, _FAILED, "download.failed", files)
            revision = self._revisions.create(self._models.record(record.model_id), files)
        except LorryError as error:
            return self._moved(record, _FAILED, "upload.failed", error.message)
        return self._moved(
            record,
            _SUCCEEDED,
            "upload.completed",
            f"{len(files)} file(s) were imported as the revision {revision.id}.",
        )

    def _moved(self, record: RemoteUploadRecord, status: str, event: str, message: str) -> RemoteUploadRecord:
        now = stamp(self._works.clock.now())
        level = "LEVEL_ERROR" if status == _FAILED else "LEVEL_INFO"
        return replace(
            record,
            status=status,
            message=message,
            since=now,
            updated_at=now,
            looks=0,
            events=[*record.events, _event(event, level, message, now)],
        )

    def _files(self, record: RemoteUploadRecord) -> list[RevisionFile] | str:
        if archive := archive_name(record.remote_url, record.host):
            return self._archives.files(archive)
        place = parse_source(record.remote_url, record.host)
        if place is None:
            return (
                f"This engine does not import {record.remote_url.partition('?')[0]}: it takes a repository "
                f"of its own Hub, as `owner/name` or http://{record.host}/owner/name, and what lies in its "
                f"storage, below http://{record.host}/v1/storage/."
            )
        repo, revision = place
        found = self._repositories.files(repo, revision)
        if found is None:
            return f"The Hub of this engine has no repository {repo} at {revision}."
        # The same files that an upload of a folder takes: nothing hidden, nothing empty.
        files = [
            RevisionFile(file.path, file.sha256, file.sha256, file.size)
            for file in found
            if file.size and not any(part.startswith(".") for part in file.path.split("/"))
        ]
        return files or f"The repository {repo} has no files at {revision}."

    def _record(self, job: str) -> RemoteUploadRecord:
        record = self._shelves.remote_uploads.get(job)
        if record is None:
            raise not_found(f"The remote upload {job}")
        return record


def parse_source(text: str, host: str) -> tuple[str, str] | None:
    """Read the address of a repository on this engine's own Hub.

    Args:
        text: `owner/name`, or `http://HOST/owner/name` with or without `/tree/REVISION`.
        host: Host and port under which this engine was asked.

    Returns:
        The repository and the revision, or `None` for everything else.
    """
    path = text.strip().strip("/")
    if "://" in path:
        parts = urlsplit(path)
        if parts.scheme not in ("http", "https") or parts.netloc != host:
            return None
        path = unquote(parts.path).strip("/")
    owner_and_name, _, rest = path.partition("/tree/")
    if not _REPO.fullmatch(owner_and_name):
        return None
    return owner_and_name, rest or "main"


def _event(kind: str, level: str, message: str, now: str) -> dict[str, str]:
    return {"id": new_id("evt"), "type": kind, "level": level, "message": message, "createdAt": now}


def _answer(record: RemoteUploadRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "projectId": PROJECT_ID,
        "modelId": record.model_id,
        "remoteUrl": record.remote_url,
        "status": record.status,
        "statusMessage": record.message,
        "restartCount": 0,
        "maxRestarts": 0,
        "createdAt": record.created_at,
        "updatedAt": record.updated_at,
    }
