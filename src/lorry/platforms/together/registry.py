"""Models and their files at the platform (Together API dossier 2.2, 2.3 and 2.5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from together.types import Model
from together.types.model_list_revisions_response import Data

from lorry.delivery.ports import (
    HostedBase,
    HostedModel,
    Import,
    ModelKind,
    Progress,
    Revision,
    RevisionState,
    UploadFile,
)
from lorry.errors import NotThere
from lorry.platforms.together.catalogue import Catalogue
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.fields import bare_name, text
from lorry.platforms.together.imports import Imports
from lorry.platforms.together.kept import Kept
from lorry.platforms.together.upload import Upload

_STATES = {
    "REVISION_VALIDATION_STATUS_SUCCESS": RevisionState.VALID,
    "REVISION_VALIDATION_STATUS_FAILED": RevisionState.REJECTED,
    "REVISION_VALIDATION_STATUS_ERROR": RevisionState.REJECTED,
}


class TogetherRegistry:
    """The port `Registry`.

    Args:
        connection: Where to.
        part_size: Bytes of one part of an upload.
        kept: Remembers how far an upload came.
    """

    def __init__(self, connection: Connection, part_size: int, kept: Kept) -> None:
        self._at = connection
        self._part_size = part_size
        self._kept = kept
        self._catalogue = Catalogue(connection)
        self._imports = Imports(connection)

    async def base(self, name: str) -> HostedBase:
        """Find a base model by its exact public name, with what serves it, cheapest first.

        Raises:
            NotThere: The platform does not serve it.
        """
        return await self._catalogue.base(name)

    async def find(self, name: str) -> HostedModel | None:
        """Find our model record by its bare name, on whatever page it is."""
        doing = f"list models to find {name!r}"
        project = await self._at.project()
        with self._at.faults.translated(doing):
            async for found in self._at.client.models.list(project_id=project):
                if self._at.read(doing, bare_name, found) == name:
                    return self._at.read(doing, _model, found, project)
        return None

    async def create(self, name: str, base: HostedBase, description: str, kind: ModelKind) -> HostedModel:
        """Create a model record, by its bare name (its slug would double, 2.2); sent once."""
        doing = f"create the model {name!r}"
        project = await self._at.project()
        with self._at.faults.translated(doing):
            made = await self._at.client.models.create(
                project_id=project, name=name, base_model_id=base.id, type=str(kind), description=description
            )
        return self._at.read(doing, _model, made, project)

    async def upload(self, model: str, files: Sequence[UploadFile], progress: Progress) -> Revision:
        """Upload files to the model with id `model` as one revision; content already there is skipped."""
        upload = Upload(self._at, await self._at.project(), model, self._part_size, self._kept)
        return Revision(await upload.run(files, progress), RevisionState.PENDING)

    async def fetch(self, model: str, address: str, token: str | None) -> Import:
        """Have the platform fetch files into the model with id `model`; sent once."""
        return await self._imports.fetch(model, address, token)

    async def imports(self, model: str) -> tuple[Import, ...]:
        """List what the platform fetches or fetched into the model with id `model`, newest first."""
        return await self._imports.list(model)

    async def revisions(self, model: str) -> tuple[Revision, ...]:
        """List the revisions of the model with id `model`, newest first."""
        doing = f"list the revisions of {model}"
        project = await self._at.project()
        rows: list[Data] = []
        after: str | None = None
        while True:
            with self._at.faults.translated(doing):
                page = await self._at.client.models.list_revisions(
                    model, project_id=project, extra_query={"after": after} if after else None
                )
            rows += page.data or []
            cursor = page.next_cursor
            if not cursor or cursor == after:
                break
            after = cursor
        return self._at.read(doing, lambda: tuple(map(_revision, sorted(rows, key=_created, reverse=True))))

    async def delete(self, model: str) -> None:
        """Delete a model record by id; one that is not there is fine."""
        project = await self._at.project()
        try:
            with self._at.faults.translated(f"delete the model {model}"):
                await self._at.client.models.delete(model, project_id=project)
        except NotThere:
            return


def _model(found: Model, project: str) -> HostedModel:
    model = text(found, "id")
    resource = f"projects/{found.project_id or project}/models/{model}"
    return HostedModel(model, text(found, "name"), resource, found.description or "")


def _created(row: Data) -> str:
    at = row.created_at
    return at.isoformat() if isinstance(at, datetime) else str(at)


def _revision(row: Data) -> Revision:
    said = row.validation_status or ""
    state = _STATES.get(said, RevisionState.PENDING)
    reasons = tuple(
        f"{problem.rule}: {problem.message}" if problem.rule else str(problem.message)
        for problem in row.validation_errors or []
    )
    if state is RevisionState.REJECTED and not reasons:
        reasons = (f"the platform says {said} and gives no reason",)
    return Revision(text(row, "revision_id"), state, reasons, said)
