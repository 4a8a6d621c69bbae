"""What can be read about revisions: their state, and their files (Together API dossier 2.2)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from lorry.engine.config import EngineConfig
from lorry.engine.paging import DEFAULT_LIMIT, Limit, page
from lorry.engine.together.models import Models
from lorry.engine.together.records import RevisionRecord
from lorry.engine.together.remote_uploads import RemoteUploads
from lorry.engine.together.revisions import Revisions
from lorry.engine.together.wire import project_router


class RevisionLists:
    """The lists of one engine's revisions."""

    def __init__(
        self, config: EngineConfig, models: Models, revisions: Revisions, remote_uploads: RemoteUploads
    ) -> None:
        self._config = config
        self._models = models
        self._revisions = revisions
        self._remote_uploads = remote_uploads

    def router(self) -> APIRouter:
        """Make the routes."""
        return project_router(
            self._config,
            [("GET", "/models/{model}/revisions", self.index), ("GET", "/models/{model}/files", self.files)],
        )

    def index(self, model: str, limit: Limit = DEFAULT_LIMIT, after: str | None = None) -> dict[str, Any]:
        """List a model's revisions, newest first; each that is shown counts as looked at."""
        self._models.record(model)
        self._remote_uploads.look_at_all(model)
        return page(
            self._revisions.all(model),
            lambda record: _answer(self._revisions.look(record)),
            limit,
            after,
            newest_first=True,
        )

    def files(
        self,
        model: str,
        revision: Annotated[str | None, Query(alias="revisionId")] = None,
        limit: Limit = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> dict[str, Any]:
        """List the files of a revision, of the newest unless told otherwise."""
        self._models.record(model)
        record = self._revisions.record(model, revision) if revision else self._revisions.latest(model)
        files = sorted(record.files, key=lambda file: str(file["path"])) if record else []
        rest = [file for file in files if after is None or file["path"] > after]
        shown = rest[:limit]
        rows = [
            {"path": file["path"], "hash": file["hash"], "sizeBytes": str(file["size"])} for file in shown
        ]
        answer: dict[str, Any] = {
            "object": "list",
            "data": rows,
            "next_cursor": shown[-1]["path"] if len(rest) > limit else None,
            "totalSizeBytes": str(sum(int(file["size"]) for file in files)),
        }
        if record:
            answer |= {"revisionId": record.id, "revisionCreatedAt": record.created_at}
        return answer


def _answer(record: RevisionRecord) -> dict[str, Any]:
    answer: dict[str, Any] = {"revisionId": record.id, "createdAt": record.created_at}
    if not record.shown:
        return {**answer, "validationStatus": "REVISION_VALIDATION_STATUS_PENDING", "validationErrors": []}
    return {
        **answer,
        "validationStatus": f"REVISION_VALIDATION_STATUS_{record.outcome}",
        "validationErrors": record.problems,
        "lastValidatedAt": record.since,
    }
