"""What a request may say about a deployment, and which revision it pins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from lorry.engine.api_errors import invalid, not_found, not_now
from lorry.engine.together.bases import Base, Catalog, ServingConfig
from lorry.engine.together.identity import PROJECT_ID, PUBLIC_PROJECT_ID
from lorry.engine.together.models import Models
from lorry.engine.together.records import ModelRecord, RevisionRecord
from lorry.engine.together.revisions import Revisions
from lorry.engine.together.wire import Body

_MODEL = re.compile(r"projects/([^/]+)/models/([^/]+)(?:/revisions/([^/]+))?")
_CONFIG = re.compile(r"(?:projects/([^/]+)/configs/)?([^/]+)")

InactiveTimeout = Annotated[int, Field(ge=0, le=1440)]


class NewDeployment(Body):
    """Body of a create."""

    name: str
    autoscaling: dict[str, Any]
    model: str | None = None
    model_id: str | None = None
    model_revision_id: str | None = None
    config: str | None = None
    config_id: str | None = None
    inactive_timeout: InactiveTimeout = 0
    max_concurrent_requests_per_replica: str | None = None
    placement: dict[str, Any] | None = None


class DeploymentChange(Body):
    """Body of an update."""

    name: str | None = None
    autoscaling: dict[str, Any] | None = None
    inactive_timeout: InactiveTimeout | None = None
    max_concurrent_requests_per_replica: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Pinned:
    """The revision that a deployment serves: its base, and ids of its project, its model and itself."""

    base: Base
    project: str
    model: str
    revision: str


class Pins:
    """Finds what a deployment shall serve, and how."""

    def __init__(self, catalog: Catalog, models: Models, revisions: Revisions) -> None:
        self._catalog = catalog
        self._models = models
        self._revisions = revisions

    def resolve(self, body: NewDeployment) -> Pinned:
        """Find the revision that a request names, or the newest of the model that it names.

        Raises:
            Refusal: There is no such revision, or it did not pass its validation.
        """
        match = _MODEL.fullmatch(body.model) if body.model else None
        if body.model and match is None:
            raise invalid(f"{body.model!r} is no resource name of a model.", "model")
        project, key, revision = match.groups() if match else (None, body.model_id, body.model_revision_id)
        if not key:
            raise invalid("The model to deploy is missing.", "model")
        if base := next((each for each in self._catalog.bases if each.model_id == key), None):
            if revision not in (None, base.revision_id):
                raise not_found(f"The revision {revision} of {base.resource}")
            return Pinned(base, PUBLIC_PROJECT_ID, base.model_id, base.revision_id)
        if project not in (None, PROJECT_ID):
            raise not_found(f"The model {body.model}")
        model = self._models.record(key)
        found = self.revision(model, revision)
        return Pinned(self._catalog.base_of(model.base_model_id), PROJECT_ID, model.id, found.id)

    def revision(self, model: ModelRecord, key: str | None) -> RevisionRecord:
        """Find a validated revision of a model, the newest unless one is named.

        Raises:
            Refusal: There is none, or it did not pass its validation.
        """
        found = self._revisions.record(model.id, key) if key else self._revisions.latest(model.id)
        if found is None:
            raise not_now(f"The model {model.name} has no revisions to deploy; upload its files first.")
        found = self._revisions.look(found, counts=False)
        if not found.shown:
            raise not_now(f"The revision {found.id} of {model.name} is not validated yet.")
        if found.outcome != "SUCCESS":
            why = found.problems[0]["message"] if found.problems else "it could not be read"
            raise not_now(f"The revision {found.id} of {model.name} did not pass its validation: {why}")
        return found

    def config(self, body: NewDeployment, base: Base) -> ServingConfig:
        """Find the configuration that a request names.

        Raises:
            Refusal: It is missing, unknown, not certified, for another base model or for other hardware.
        """
        named = body.config or body.config_id
        if not named:
            raise invalid("The config to deploy with is missing.", "config")
        match = _CONFIG.fullmatch(named)
        found = self._catalog.config(match[2]) if match else None
        if match is None or found is None or match[1] not in (None, PROJECT_ID, PUBLIC_PROJECT_ID):
            offered = ", ".join(each.id for each in self._catalog.offered(base))
            raise invalid(
                f"The config {named} does not fit; {base.name} is served with one of: {offered}.", "config"
            )
        owner, config = found
        if owner.model_id != base.model_id:
            raise invalid(
                f"The config {config.id} serves {owner.name}; the model is of {base.name}.", "config"
            )
        if config.on != self._catalog.hardware:
            raise invalid(
                f"The config {config.id} runs on {config.hardware}, which this engine does not offer now.",
                "config",
            )
        if not config.certified:
            raise invalid(f"The config {config.id} is not certified for {base.name}.", "config")
        return config


def check_timeout(minutes: int) -> None:
    """Accept 0 (off) or 30 to 1440 minutes of inactivity.

    Raises:
        Refusal: It is something else.
    """
    if 0 < minutes < 30:
        raise invalid(f"inactiveTimeout is {minutes}; it can be 0 or 30 to 1440 minutes.", "inactiveTimeout")
