"""What a request may say about a deployment, and which revision it pins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from lorry.engine.api_errors import invalid, not_found, not_now
from lorry.engine.together.catalog import (
    BASE_MODEL_ID,
    BASE_NAME,
    BASE_RESOURCE,
    BASE_REVISION_ID,
    CONFIG_ID,
    CONFIG_RESOURCE,
)
from lorry.engine.together.identity import PROJECT_ID, PUBLIC_PROJECT_ID
from lorry.engine.together.models import Models
from lorry.engine.together.revisions import Revisions
from lorry.engine.together.wire import Body

_MODEL = re.compile(r"projects/([^/]+)/models/([^/]+)(?:/revisions/([^/]+))?")

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
    """The revision that a deployment serves: ids of its project, its model and itself."""

    project: str
    model: str
    revision: str


class Pins:
    """Finds what a deployment shall serve."""

    def __init__(self, models: Models, revisions: Revisions) -> None:
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
        if key == BASE_MODEL_ID:
            if revision not in (None, BASE_REVISION_ID):
                raise not_found(f"The revision {revision} of {BASE_RESOURCE}")
            return Pinned(PUBLIC_PROJECT_ID, BASE_MODEL_ID, BASE_REVISION_ID)
        if project not in (None, PROJECT_ID):
            raise not_found(f"The model {body.model}")
        model = self._models.record(key)
        found = self._revisions.record(model.id, revision) if revision else self._revisions.latest(model.id)
        if found is None:
            raise not_now(f"The model {model.name} has no revisions to deploy; upload its files first.")
        found = self._revisions.look(found, counts=False)
        if not found.shown:
            raise not_now(f"The revision {found.id} of {model.name} is not validated yet.")
        if found.outcome != "SUCCESS":
            why = found.problems[0]["message"] if found.problems else "it could not be read"
            raise not_now(f"The revision {found.id} of {model.name} did not pass its validation: {why}")
        return Pinned(PROJECT_ID, model.id, found.id)


def check_config(body: NewDeployment) -> None:
    """Accept the only config that there is.

    Raises:
        Refusal: It is missing or another one.
    """
    config = body.config or body.config_id
    if not config:
        raise invalid("The config to deploy with is missing.", "config")
    if config not in (CONFIG_RESOURCE, CONFIG_ID, f"projects/{PROJECT_ID}/configs/{CONFIG_ID}"):
        raise invalid(f"The config {config} does not fit; {BASE_NAME} is served with {CONFIG_RESOURCE}.")


def check_timeout(minutes: int) -> None:
    """Accept 0 (off) or 30 to 1440 minutes of inactivity.

    Raises:
        Refusal: It is something else.
    """
    if 0 < minutes < 30:
        raise invalid(f"inactiveTimeout is {minutes}; it can be 0 or 30 to 1440 minutes.", "inactiveTimeout")
