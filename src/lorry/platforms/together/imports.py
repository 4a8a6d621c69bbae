"""Files that the platform fetches by itself: remote uploads (Together API dossier 2.4)."""

from __future__ import annotations

from datetime import datetime

from together import omit
from together.types.models import RemoteUploadCreateResponse, RemoteUploadListResponse

from lorry.delivery.ports import Import, ImportState
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.fields import text
from lorry.platforms.together.outcomes import job_error

#: `ERROR` counts as running while the platform has restarts left: it may try again (dossier 2.4).
_STATES = {
    "REMOTE_UPLOAD_STATUS_SUCCEEDED": ImportState.DONE,
    "REMOTE_UPLOAD_STATUS_FAILED": ImportState.FAILED,
}
_ERROR = "REMOTE_UPLOAD_STATUS_ERROR"

_Job = RemoteUploadCreateResponse | RemoteUploadListResponse


class Imports:
    """Begins and reads remote uploads.

    Args:
        connection: Where to.
    """

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def fetch(self, model: str, address: str, token: str | None) -> Import:
        """Have the platform fetch files into a model; sent once.

        Args:
            model: The model record's id.
            address: A repository of the Hub, or a presigned archive.
            token: The Hub's token, for a repository that is not public.
        """
        doing = "fetch the files"
        project = await self._at.project()
        with self._at.faults.translated(doing):
            made = await self._at.client.models.remote_uploads.create(
                project_id=project, model_id=model, remote_url=address, token=token or omit
            )
        return self._at.read(doing, _import, made, model)

    async def list(self, model: str) -> tuple[Import, ...]:
        """List the remote uploads into a model, newest first.

        Args:
            model: The model record's id.
        """
        doing = f"list the remote uploads into {model}"
        project = await self._at.project()
        with self._at.faults.translated(doing):
            rows = [row async for row in self._at.client.models.remote_uploads.list(project_id=project)]

        def read() -> tuple[Import, ...]:
            mine = [row for row in rows if row.api_model_id == model]
            return tuple(_import(row, model) for row in sorted(mine, key=_created, reverse=True))

        return self._at.read(doing, read)


def _created(row: _Job) -> str:
    at = row.created_at
    return at.isoformat() if isinstance(at, datetime) else str(at)


def _import(row: _Job, model: str) -> Import:
    said, message = row.status or "", row.status_message or ""
    state = _STATES.get(said, ImportState.RUNNING)
    if said == _ERROR and (row.restart_count or 0) >= (row.max_restarts or 0):
        state = ImportState.FAILED
    source = row.remote_url or ""
    fault = job_error(said, message, source) if state is ImportState.FAILED else None
    shown = source.partition("?")[0]  # behind it may stand the permission to read the archive
    return Import(text(row, "id"), model, shown, state, said, message, fault)
