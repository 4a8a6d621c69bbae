"""Models and their files, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorry.delivery.doubles.ground import SLUG, Ground
from lorry.delivery.ports import (
    HostedBase,
    HostedModel,
    Import,
    ImportState,
    ModelKind,
    Progress,
    Revision,
    RevisionState,
    UploadFile,
)
from lorry.errors import Conflict, NotThere, RequestRefused


@dataclass(frozen=True, slots=True)
class MemoryRegistry:
    """`lorry.delivery.ports.Registry` in memory."""

    ground: Ground

    async def base(self, name: str) -> HostedBase:
        """Find a base by its public name."""

        def act() -> HostedBase:
            if name not in self.ground.bases:
                raise NotThere(f"No base is named {name}.")
            shared = None if name in self.ground.silent else name
            resource = f"projects/public/models/ml_{name}"
            return HostedBase(f"ml_{name}", name, resource, self.ground.configurations, shared)

        return await self.ground.meet("registry.base", act)

    async def find(self, name: str) -> HostedModel | None:
        """Find a model record by its bare name."""
        models = self.ground.things["models"]
        return await self.ground.meet(
            "registry.find",
            lambda: next((_model(id_, row) for id_, row in models.items() if row["name"] == name), None),
        )

    async def create(self, name: str, base: HostedBase, description: str, kind: ModelKind) -> HostedModel:
        """Create a model record; a name that is there is refused."""

        def act() -> HostedModel:
            models = self.ground.things["models"]
            if any(row["name"] == name for row in models.values()):
                raise Conflict(f"Model name already exists: {name}")
            id_ = self.ground.new_id("ml")
            models[id_] = {"name": name, "base": base.id, "description": description, "kind": str(kind)}
            return _model(id_, models[id_])

        return await self.ground.meet("registry.create", act)

    async def upload(self, model: str, files: Sequence[UploadFile], progress: Progress) -> Revision:
        """Take files as one new revision."""

        def act() -> Revision:
            if model not in self.ground.things["models"]:
                raise NotThere(f"No model {model}.")
            total = sum(file.path.stat().st_size for file in files)
            for part in (1, 2, 3, 4):
                progress(total * part // 4, total)
            id_ = self._revise(model, [file.name for file in files])
            return Revision(id_, RevisionState.PENDING)

        return await self.ground.meet("registry.upload", act)

    async def fetch(self, model: str, address: str, token: str | None) -> Import:
        """Begin an import; looking at it lets it go on."""

        def act() -> Import:
            id_ = self.ground.new_id("job")
            row = {"model": model, "source": address, "looks": 0, "fail": self.ground.fail_import}
            self.ground.things["imports"][id_] = row
            return Import(id_, model, address, ImportState.RUNNING, "PENDING")

        return await self.ground.meet("registry.fetch", act)

    async def imports(self, model: str) -> tuple[Import, ...]:
        """List imports, newest first; one that ends well leaves a revision."""

        def act() -> tuple[Import, ...]:
            rows = self.ground.things["imports"]
            mine = [id_ for id_, row in rows.items() if row["model"] == model]
            return tuple(self._import(id_, rows[id_]) for id_ in reversed(mine))

        return await self.ground.meet("registry.imports", act)

    def _import(self, id_: str, row: dict[str, Any]) -> Import:
        row["looks"] += 1
        if row["looks"] <= self.ground.looks:
            return Import(id_, row["model"], row["source"], ImportState.RUNNING, "RUNNING", "Reading.")
        if row["fail"]:
            return Import(id_, row["model"], row["source"], ImportState.FAILED, "FAILED", row["fail"])
        if "revision" not in row:
            row["revision"] = self._revise(row["model"], ["fetched"])
        return Import(id_, row["model"], row["source"], ImportState.DONE, "SUCCEEDED")

    def _revise(self, model: str, names: list[str]) -> str:
        id_ = self.ground.new_id("rv")
        reject = list(self.ground.reject)
        row = {"model": model, "files": names, "looks": 0, "reject": reject}
        self.ground.things["revisions"][id_] = row
        return id_

    async def revisions(self, model: str) -> tuple[Revision, ...]:
        """List revisions, newest first; looking at one lets its validation go on."""

        def act() -> tuple[Revision, ...]:
            rows = self.ground.things["revisions"]
            mine = [id_ for id_, row in rows.items() if row["model"] == model]
            for id_ in mine:
                rows[id_]["looks"] += 1
            return tuple(self._revision(id_, rows[id_]) for id_ in reversed(mine))

        return await self.ground.meet("registry.revisions", act)

    def _revision(self, id_: str, row: Mapping[str, Any]) -> Revision:
        if row["looks"] <= self.ground.looks:
            return Revision(id_, RevisionState.PENDING)
        if row["reject"]:
            return Revision(id_, RevisionState.REJECTED, tuple(row["reject"]))
        return Revision(id_, RevisionState.VALID)

    async def delete(self, model: str) -> None:
        """Delete a model record; one that a deployment uses is refused."""

        def act() -> None:
            things = self.ground.things
            if any(row["model"] == model for row in things["deployments"].values()):
                raise RequestRefused("The model is referenced by a deployment.")
            things["models"].pop(model, None)
            for id_ in [id_ for id_, row in things["revisions"].items() if row["model"] == model]:
                del things["revisions"][id_]

        await self.ground.meet("registry.delete", act)


def _model(id_: str, row: Mapping[str, Any]) -> HostedModel:
    return HostedModel(id_, f"{SLUG}/{row['name']}", f"projects/p/models/{id_}", row["description"])
