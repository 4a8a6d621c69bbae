"""Downloads of a revision's files (Together API dossier 2.3)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from pydantic import Field

from lorry.engine.api_errors import not_found
from lorry.engine.together.models import Models
from lorry.engine.together.records import RevisionRecord, Shelves
from lorry.engine.together.revisions import Revisions
from lorry.engine.together.wire import Body, project_router
from lorry.engine.works import Works


class Wanted(Body):
    """Body of a download."""

    object_id: str
    paths: list[str] = Field(default_factory=list)
    revision_id: str | None = None


class Downloads:
    """Downloads from the models of one engine."""

    def __init__(self, works: Works, shelves: Shelves, models: Models, revisions: Revisions) -> None:
        self._works = works
        self._shelves = shelves
        self._models = models
        self._revisions = revisions

    def router(self) -> APIRouter:
        """Make the routes; the URL of a content is a secret and needs no key."""
        routes = APIRouter()
        routes.add_api_route(
            "/contents/{revision}/{path:path}", self.content, methods=["GET"], response_model=None
        )
        routes.include_router(project_router(self._works.config, [("POST", "/models/download", self.create)]))
        return routes

    def create(self, body: Wanted, request: Request) -> dict[str, Any]:
        """Say where the files of a revision can be fetched, each as one part."""
        model = self._models.record(body.object_id)
        found = (
            self._revisions.record(model.id, body.revision_id)
            if body.revision_id
            else self._revisions.latest(model.id)
        )
        if found is None:
            raise not_found(f"A revision of the model {model.id}")
        files = {str(file["path"]): file for file in found.files}
        if missing := [path for path in body.paths if path not in files]:
            raise not_found(f"The file {missing[0]} in the revision {found.id}")
        rows = []
        for path in body.paths or sorted(files):
            size = str(files[path]["size"])
            url = f"{request.base_url}contents/{found.id}/{quote(path)}"
            part = {"partNumber": 1, "url": url, "headers": {}, "sizeBytes": size}
            rows.append({"path": path, "hash": files[path]["hash"], "sizeBytes": size, "parts": [part]})
        return {"revisionId": found.id, "files": rows}

    def content(self, revision: str, path: str) -> FileResponse:
        """Send one file of a revision."""
        record: RevisionRecord | None = self._shelves.revisions.get(revision)
        files = {str(file["path"]): file for file in record.files} if record else {}
        if path not in files:
            raise not_found(f"The file {path} in the revision {revision}")
        return FileResponse(
            self._works.blobs.path(files[path]["sha256"]),
            media_type="application/octet-stream",
            headers={"ETag": f'"{files[path]["hash"]}"'},
        )
