"""Adapters attached live to a deployment that others share (Together API dossier 2.8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter

from lorry.engine.api_errors import Refusal, Rpc, check_etag, invalid, not_found, not_now, taken
from lorry.engine.clock import stamp
from lorry.engine.documents import new_id
from lorry.engine.paging import DEFAULT_LIMIT, Limit, page
from lorry.engine.together.adapter_rows import answer
from lorry.engine.together.attaching import Attaching
from lorry.engine.together.bases import DYNAMIC, Base, ServingConfig
from lorry.engine.together.deployment_requests import Pins
from lorry.engine.together.lifecycle import new_etag
from lorry.engine.together.loading import Loading
from lorry.engine.together.models import Models
from lorry.engine.together.records import (
    AttachmentRecord,
    DeploymentRecord,
    ModelRecord,
    RevisionRecord,
    Shelves,
)
from lorry.engine.together.wire import Body, project_router
from lorry.engine.works import Works

_PATH = "/endpoints/{endpoint}/deployments/{deployment}/adapters"


class NewAttachment(Body):
    """Body of a create; without a revision the newest is pinned."""

    adapter_model_id: str
    adapter_revision_id: str | None = None
    force: bool = False


class AttachmentChange(Body):
    """Body of an update; both are required (Together API dossier 2.8)."""

    adapter_revision_id: str
    etag: str


class Adapters:
    """The adapters on the deployments of one engine."""

    def __init__(
        self,
        works: Works,
        shelves: Shelves,
        models: Models,
        pins: Pins,
        loading: Loading,
        attaching: Attaching,
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._models = models
        self._pins = pins
        self._loading = loading
        self._attaching = attaching

    def router(self) -> APIRouter:
        """Make the routes."""
        one = _PATH + "/{attachment}"
        return project_router(
            self._works.config,
            [
                ("POST", _PATH, self.create),
                ("GET", _PATH, self.index),
                ("GET", one, self.get),
                ("PATCH", one, self.change),
                ("DELETE", one, self.delete),
            ],
        )

    def create(self, endpoint: str, deployment: str, body: NewAttachment) -> dict[str, Any]:
        """Attach an adapter; with `force` the oldest one leaves when there is no room."""
        owner = self._deployment(endpoint, deployment)
        base, config = self._host(owner)
        model = self._models.record(body.adapter_model_id.rsplit("/", 1)[-1])
        revision = self._fitting(model, body.adapter_revision_id, base, config)
        with self._attaching.alone():
            present = [
                row for row in self._attaching.look_at_all(owner, counts=False) if row.phase != "removing"
            ]
            if any(row.model_id == model.id for row in present):
                raise taken(f"The adapter {model.name} is attached to {owner.name} already.")
            self._make_room(owner, config, present, force=body.force)
            now = stamp(self._works.clock.now())
            made = AttachmentRecord(
                id=new_id("dad"),
                deployment_id=owner.id,
                model_id=model.id,
                revision_id=revision.id,
                etag=new_etag(),
                created_at=now,
                updated_at=now,
                phase="pending",
                since=now,
            )
            made = self._attaching.pin(owner, made, f"The adapter {model.name} was attached.")
        return self._answer(self._attaching.look(owner, made, counts=False) or made, owner)

    def index(
        self, endpoint: str, deployment: str, limit: Limit = DEFAULT_LIMIT, after: str | None = None
    ) -> dict[str, Any]:
        """List what is attached, oldest first; each that is shown counts as looked at."""
        owner = self._deployment(endpoint, deployment)
        rows = self._attaching.look_at_all(owner)
        return page(rows, lambda row: self._answer(row, owner), limit, after)

    def get(self, endpoint: str, deployment: str, attachment: str) -> dict[str, Any]:
        """Look at one."""
        owner = self._deployment(endpoint, deployment)
        return self._answer(self._looked(owner, attachment), owner)

    def change(
        self, endpoint: str, deployment: str, attachment: str, body: AttachmentChange
    ) -> dict[str, Any]:
        """Pin another revision; the one before acts until the new one is loaded."""
        owner = self._deployment(endpoint, deployment)
        base, config = self._host(owner)
        with self._attaching.alone():
            present = self._looked(owner, attachment, counts=False)
            model = self._models.record(present.model_id)
            check_etag(body.etag, present.etag, f"the adapter {model.name}")
            if present.phase == "removing":
                raise not_now(f"The adapter {model.name} is being removed.")
            revision = self._fitting(model, body.adapter_revision_id.rsplit("/", 1)[-1], base, config)
            changed = self._attaching.pin(
                owner,
                replace(present, revision_id=revision.id, etag=new_etag()),
                f"The adapter {model.name} is pinned to {revision.id}.",
            )
        return self._answer(self._attaching.look(owner, changed, counts=False) or changed, owner)

    def delete(
        self, endpoint: str, deployment: str, attachment: str, etag: str | None = None
    ) -> dict[str, Any]:
        """Remove an adapter; its etag is required (Together API dossier 2.8)."""
        owner = self._deployment(endpoint, deployment)
        with self._attaching.alone():
            present = self._looked(owner, attachment, counts=False)
            if not etag:
                raise invalid("The etag of the adapter is missing; read the adapter first.", "etag")
            check_etag(etag, present.etag, f"the adapter {present.id}")
            if present.phase != "removing":
                self._attaching.remove(owner, present)
        return {}

    def _deployment(self, endpoint: str, key: str) -> DeploymentRecord:
        record = self._shelves.deployments.get(key)
        if record is None or record.endpoint_id != endpoint:
            raise not_found(f"The deployment {key} of the endpoint {endpoint}")
        return record

    def _looked(self, owner: DeploymentRecord, key: str, *, counts: bool = True) -> AttachmentRecord:
        record = self._shelves.attachments.get(key)
        if record is None or record.deployment_id != owner.id:
            raise not_found(f"The adapter {key} of the deployment {owner.name}")
        looked = self._attaching.look(owner, record, counts=counts)
        if looked is None:
            raise not_found(f"The adapter {key} of the deployment {owner.name}")
        return looked

    def _host(self, owner: DeploymentRecord) -> tuple[Base, ServingConfig]:
        """Give base model and configuration of a deployment that takes adapters."""
        base, config = self._loading.config(owner)
        if base.draws:
            raise not_now(
                f"Adapters can be attached to text models only; {base.name} draws pictures. "
                "Deploy the adapter as a deployment of its own."
            )
        if config.adapters != DYNAMIC:
            raise not_now(
                f"The deployment {owner.name} runs with {config.id}, in adapter mode {config.adapters}; "
                "adapters can be attached where it is dynamic."
            )
        if owner.model_id != base.model_id:
            raise not_now(
                f"The deployment {owner.name} serves {owner.model_id}; adapters are attached to a deployment "
                f"of their base model, {base.name}."
            )
        if owner.phase == "failed":
            raise not_now(f"The deployment {owner.name} has failed for good ({owner.message}).")
        return base, config

    def _fitting(
        self, model: ModelRecord, revision: str | None, base: Base, config: ServingConfig
    ) -> RevisionRecord:
        """Find the revision to attach, or say why it can't be."""
        if model.type != "adapter":
            raise invalid(f"The model {model.name} is no adapter; deploy it on its own.", "adapterModelId")
        if model.base_model_id != base.model_id:
            own = self._works.catalog.base_of(model.base_model_id)
            raise invalid(
                f"The adapter {model.name} is for {own.name}; the deployment serves {base.name}.",
                "adapterModelId",
            )
        found = self._pins.revision(model, revision)
        rank = int(found.summary.get("rank") or 0)
        if rank > config.largest_rank:
            raise invalid(
                f"The adapter {model.name} has rank {rank}; {config.id} takes up to {config.largest_rank}.",
                "adapterModelId",
            )
        if reasons := found.summary.get("merged_only"):
            raise invalid(f"{reasons[0]} Deploy it on its own, merged into its base.", "adapterModelId")
        return found

    def _make_room(
        self, owner: DeploymentRecord, config: ServingConfig, present: list[AttachmentRecord], *, force: bool
    ) -> None:
        if len(present) < config.slots:
            return
        oldest = min(present, key=lambda row: row.id)
        if not force:
            name = self._models.record(oldest.model_id).name
            raise Refusal(
                Rpc.RESOURCE_EXHAUSTED,
                f"All {config.slots} adapter slots of {owner.name} are taken; the oldest adapter "
                f"is {name} ({oldest.id}). Remove one, or attach with force to replace the oldest.",
                reason="adapter_capacity_exhausted",
            )
        self._attaching.remove(owner, oldest)

    def _answer(self, record: AttachmentRecord, owner: DeploymentRecord) -> dict[str, Any]:
        return answer(record, owner)
