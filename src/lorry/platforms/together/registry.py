"""Models and their files at the platform (Together API dossier 2.2, 2.3 and 2.5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from together.types import Model, SupportedModel
from together.types.model_list_revisions_response import Data
from together.types.models import Config

from lorry.delivery.ports import HostedBase, HostedModel, Progress, Revision, RevisionState, UploadFile
from lorry.errors import NotThere
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.fields import bare_name, text
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
    """

    def __init__(self, connection: Connection, part_size: int) -> None:
        self._at = connection
        self._part_size = part_size

    async def base(self, name: str) -> HostedBase:
        """Find a base model by its exact public name, and a configuration that serves it.

        Raises:
            NotThere: The platform does not serve it.
        """
        doing = f"look for the base model {name!r}"
        near: list[str] = []
        with self._at.faults.translated(doing):
            async for row in self._at.client.models.list_supported(search=name):
                found = self._at.read(doing, text, row, "name")
                if found == name:
                    return await self._hosted(doing, row)
                near.append(found)
        others = f" It has {', '.join(near[:5])}." if near else ""
        raise NotThere(
            f"{self._at.faults.address} does not serve the base model {name!r}.{others}",
            fix="Run `lorry check PATH` to see which base the weights were trained on.",
            evidence={"base": name, "near": near[:5]},
        )

    async def _hosted(self, doing: str, row: SupportedModel) -> HostedBase:
        base, resource = row.base_model_id, row.base_model
        if not base or not resource:
            return HostedBase(base or row.id, row.name, None)  # served, but nothing can be hosted on it (2.5)
        project = await self._at.project()
        listed = self._at.client.models.configs.list(project_id=project, reference_model=resource)
        configs = [config async for config in listed]
        return self._at.read(doing, lambda: HostedBase(base, row.name, _smallest(configs)))

    async def find(self, name: str) -> HostedModel | None:
        """Find our model record by its bare name, on whatever page it is."""
        doing = f"list models to find {name!r}"
        project = await self._at.project()
        with self._at.faults.translated(doing):
            async for found in self._at.client.models.list(project_id=project):
                if self._at.read(doing, bare_name, found) == name:
                    return self._at.read(doing, _model, found, project)
        return None

    async def create(self, name: str, base: HostedBase, description: str) -> HostedModel:
        """Create an adapter's model record, by its bare name (its slug would double, 2.2); sent once."""
        doing = f"create the model {name!r}"
        project = await self._at.project()
        with self._at.faults.translated(doing):
            made = await self._at.client.models.create(
                project_id=project, name=name, base_model_id=base.id, type="adapter", description=description
            )
        return self._at.read(doing, _model, made, project)

    async def upload(self, model: str, files: Sequence[UploadFile], progress: Progress) -> Revision:
        """Upload files to the model with id `model` as one revision; content already there is skipped."""
        upload = Upload(self._at, await self._at.project(), model, self._part_size)
        return Revision(await upload.run(files, progress), RevisionState.PENDING)

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


def _smallest(configs: Sequence[Config]) -> str | None:
    """Choose the configuration with the fewest accelerators; the platform's order decides among equals."""
    if not configs:
        return None

    def accelerators(config: Config) -> int:
        counts = [item.value for item in config.selectors or [] if item.key == "accelerator_count"]
        return int(counts[0]) if counts and str(counts[0]).isdigit() else 1

    chosen = min(configs, key=accelerators)
    return f"projects/{text(chosen, 'project_id')}/configs/{text(chosen, 'id')}"


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
    return Revision(text(row, "revision_id"), state, reasons)
