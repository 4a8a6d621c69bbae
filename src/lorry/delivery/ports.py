"""What a delivery needs from the world, as narrow protocols.

A platform is a bundle of four small ports (registry, endpoints, deployments, painter). `platforms/`
implements them over HTTP; doubles implement them in memory. Every verb translates its transport's faults
into `lorry.errors.PlatformError`: a delivery never sees an SDK's exception.

No verb repeats a call that creates something: it is sent once, and the caller looks by name after a doubt
(`PlatformError.may_have_acted`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from lorry.model.events import Event
from lorry.model.generation import Picture, PictureOrder
from lorry.model.placement import Placement, TrainedModel

#: Called with bytes sent so far and bytes in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class UploadFile:
    """A file to upload: its name at the platform and where it lies here."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class HostedBase:
    """A base model that a platform serves.

    Attributes:
        id: The platform's id of the base.
        name: Its public name, also what is drawn with when no adapter is wanted.
        config: Resource name of a configuration that can serve an adapter of it; `None` when there is none.
    """

    id: str
    name: str
    config: str | None


@dataclass(frozen=True, slots=True)
class HostedModel:
    """A model record at a platform: `name` is fully qualified (`slug/name`), `description` is ours."""

    id: str
    name: str
    resource: str
    description: str


class RevisionState(StrEnum):
    """How far a platform's validation of uploaded files has come."""

    PENDING = "pending"
    VALID = "valid"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Revision:
    """One immutable upload of a model; `reasons` say why it was rejected."""

    id: str
    state: RevisionState
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostedEndpoint:
    """An address at a platform: requests go to `name`, traffic to the deployments in `routed`."""

    id: str
    name: str
    routed: tuple[str, ...] = ()


class DeploymentState(StrEnum):
    """The states of a deployment that a delivery tells apart."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class HostedDeployment:
    """Replicas of a model behind an endpoint, running or not; `message` is the platform's own sentence."""

    id: str
    name: str
    state: DeploymentState
    message: str = ""


class Registry(Protocol):
    """Models and their files at a platform."""

    async def base(self, name: str) -> HostedBase:
        """Find a base model by its public name. Raises NotThere when the platform does not serve it."""

    async def find(self, name: str) -> HostedModel | None:
        """Find our model record by its bare name."""

    async def create(self, name: str, base: HostedBase, description: str) -> HostedModel:
        """Create an adapter's model record; sent once."""

    async def upload(self, model: str, files: Sequence[UploadFile], progress: Progress) -> Revision:
        """Upload files to the model with id `model` as one revision; content already there is skipped."""

    async def revisions(self, model: str) -> tuple[Revision, ...]:
        """List the revisions of the model with id `model`, newest first."""

    async def delete(self, model: str) -> None:
        """Delete a model record by id; one that is not there is fine."""


class Endpoints(Protocol):
    """Addresses at a platform and where their traffic goes."""

    async def find(self, name: str) -> HostedEndpoint | None:
        """Find our endpoint by its bare name."""

    async def create(self, name: str) -> HostedEndpoint:
        """Create an endpoint; sent once."""

    async def route(self, endpoint: str, deployments: Sequence[str]) -> HostedEndpoint:
        """Send an endpoint's traffic to these deployments (ids), to none when empty."""

    async def delete(self, endpoint: str) -> None:
        """Delete an endpoint by id; one that is not there is fine."""


class Deployments(Protocol):
    """Replicas behind an endpoint; every id is a platform's."""

    async def list(self, endpoint: str) -> tuple[HostedDeployment, ...]:
        """List all deployments of an endpoint."""

    async def create(
        self, endpoint: str, name: str, model: HostedModel, revision: str, config: str
    ) -> HostedDeployment:
        """Deploy one revision with one replica; sent once."""

    async def look(self, endpoint: str, deployment: str) -> HostedDeployment | None:
        """Read one deployment's present state; `None` when it is not there."""

    async def stop(self, endpoint: str, deployment: str) -> None:
        """Scale a deployment to zero; one that is stopped or not there is fine."""

    async def delete(self, endpoint: str, deployment: str) -> None:
        """Delete a stopped deployment; one that is not there is fine."""


class Painter(Protocol):
    """Pictures from a platform."""

    async def paint(self, order: PictureOrder) -> tuple[Picture, ...]:
        """Draw the ordered pictures, in order of their seeds."""


@dataclass(frozen=True, slots=True)
class Platform:
    """A place that can serve models, as one route uses it."""

    route: str
    registry: Registry
    endpoints: Endpoints
    deployments: Deployments
    painter: Painter


@dataclass(frozen=True, slots=True)
class Publication:
    """What is published about a model: its files, and the facts for its card."""

    repo: str
    files: tuple[UploadFile, ...]
    base: str
    trigger: str | None
    digest: str
    private: bool = True


@dataclass(frozen=True, slots=True)
class Published:
    """Where a publication lies: `owner/name` and the commit that holds it."""

    repo: str
    commit: str
    url: str


class Publisher(Protocol):
    """The Hugging Face Hub, as a delivery uses it."""

    async def publish(self, publication: Publication) -> Published:
        """Bring a repository to what is given, creating it when it is missing; doing it again is free."""

    async def withdraw(self, repo: str) -> None:
        """Delete a repository; one that is not there is fine."""


class Intents(Protocol):
    """What we are about to create, written down before we ask for it."""

    async def open(self, key: str, what: Mapping[str, Any]) -> None:
        """Write an intent; the same key again is fine."""

    async def close(self, key: str, result: Mapping[str, Any]) -> None:
        """Note what came of an intent."""

    async def drop(self, prefix: str) -> None:
        """Forget all intents whose key begins with `prefix`."""


class Journal(Protocol):
    """The record of what happened, in order."""

    async def write(self, event: Event) -> None:
        """Append an event durably."""

    async def read(self, model: str, after: int = 0) -> tuple[Event, ...]:
        """Read a model's events with an id above `after`, oldest first."""


class Records(Protocol):
    """The models and placements that Lorry remembers."""

    async def model(self, name: str) -> TrainedModel | None:
        """Read a model by name."""

    async def models(self) -> tuple[TrainedModel, ...]:
        """Read all models, by name."""

    async def save_model(self, model: TrainedModel) -> None:
        """Write a model, replacing what was there."""

    async def placement(self, model: str) -> Placement | None:
        """Read the placement of a model."""

    async def save_placement(self, placement: Placement) -> None:
        """Write a placement, replacing what was there."""

    async def forget(self, model: str) -> None:
        """Delete a model and its placement; the journal stays."""


#: Time as a port: every timestamp of a delivery comes from here.
Now = Callable[[], datetime]
