"""What a platform hosts: models, endpoints, deployments and the adapters on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from lorry.errors import LorryError

#: Called with bytes sent so far and bytes in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class UploadFile:
    """A file to upload: its name at the platform and where it lies here."""

    name: str
    path: Path


class AdapterMode(StrEnum):
    """What a configuration does with adapters."""

    DYNAMIC = "dynamic"  # they are attached to a running deployment, and taken off again
    FIXED = "fixed"  # a deployment takes them too, the official client prefers dynamic ones
    DISABLED = "disabled"  # none; an adapter is merged into its base when a deployment of it starts


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way in which a platform runs a model: immutable, certified by it.

    Attributes:
        resource: Resource name, to deploy with.
        model: Resource name of the base's own weights that it is certified for; `None` where it is not told.
        mode: What it does with adapters.
        hardware: What it runs on (`1xnvidia-h100-80gb`).
        accelerators: How many of them one replica takes.
        cents_per_hour: Price of one replica, US cents; `None` where the platform does not tell.
        headroom: Replicas that fit now, as a hint; `None` where the platform does not tell.
    """

    resource: str
    model: str | None = None
    mode: AdapterMode = AdapterMode.DISABLED
    hardware: str = ""
    accelerators: int = 1
    cents_per_hour: float | None = None
    headroom: int | None = None


@dataclass(frozen=True, slots=True)
class HostedBase:
    """A base model that a platform serves.

    Attributes:
        id: The platform's id of the base.
        name: Its public name.
        resource: Its resource name; empty when nothing can be hosted on it.
        configurations: How it can be run, cheapest first; empty when nothing can be hosted on it.
        shared: Under which name it answers without an endpoint of one's own; `None` when it does not.
    """

    id: str
    name: str
    resource: str = ""
    configurations: tuple[Configuration, ...] = ()
    shared: str | None = None


class ModelKind(StrEnum):
    """What a model record holds."""

    ADAPTER = "adapter"
    MODEL = "model"


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
    """One immutable upload of a model; `reasons` say why it was rejected, `said` is the platform's state."""

    id: str
    state: RevisionState
    reasons: tuple[str, ...] = ()
    said: str = ""


class ImportState(StrEnum):
    """How far a platform has come with fetching files by itself."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Import:
    """Files that the platform fetches by itself (a remote upload, a legacy job).

    Attributes:
        id: The job's id.
        model: The model record that they go into.
        source: From where.
        state: How far it has come.
        said: The platform's own state.
        message: The platform's own sentence.
        fault: Which error a failed one is, as far as the platform's words tell.
    """

    id: str
    model: str
    source: str
    state: ImportState
    said: str = ""
    message: str = ""
    fault: type[LorryError] | None = None


@dataclass(frozen=True, slots=True)
class HostedEndpoint:
    """An address at a platform: requests go to `name`, traffic to the deployments in `weights` above 0."""

    id: str
    name: str
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def routed(self) -> tuple[str, ...]:
        """The deployments (ids) that get traffic."""
        return tuple(deployment for deployment, weight in self.weights.items() if weight > 0)


@dataclass(frozen=True, slots=True)
class HostedEvent:
    """Something that a platform says happened: why a deployment is not starting, above all.

    Attributes:
        id: Its id, to tell it once.
        at: Time, ISO 8601.
        level: `debug`, `info`, `warn` or `error`.
        kind: The platform's type (`deployment.status_updated`, `condition.set`, `pod.log` …).
        message: The platform's own words.
        deployment: Which deployment, by id.
    """

    id: str
    at: str
    level: str
    kind: str
    message: str
    deployment: str | None = None


class DeploymentState(StrEnum):
    """The states of a deployment that a delivery tells apart."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Scaling:
    """How many replicas run, and when none does.

    Attributes:
        min_replicas: That always run.
        max_replicas: At most.
        inactive_minutes: Without a request, until the platform stops it; 0 for never.
        idle_window: Seconds without a request until it scales to zero; `None` leaves it to the platform.
    """

    min_replicas: int = 1
    max_replicas: int = 1
    inactive_minutes: int = 0
    idle_window: int | None = None


@dataclass(frozen=True, slots=True)
class DeploymentOrder:
    """A deployment to be made: its bare name, the model's resource name (with a revision or without), how."""

    name: str
    model: str
    config: str
    scaling: Scaling = Scaling()


@dataclass(frozen=True, slots=True)
class HostedDeployment:
    """Replicas of a model behind an endpoint, running or not.

    Attributes:
        id: Its id.
        name: Its qualified name.
        state: Where it stands.
        message: The platform's own sentence.
        said: The platform's own state.
        model: Resource name of what it serves.
        config: Resource name of its configuration.
        replicas: Replicas that are ready, and that it shall have.
        fault: Which error a failed or degraded one is, as far as the platform's words tell.
    """

    id: str
    name: str
    state: DeploymentState
    message: str = ""
    said: str = ""
    model: str = ""
    config: str = ""
    replicas: tuple[int, int] = (0, 0)
    fault: type[LorryError] | None = None


class AttachmentState(StrEnum):
    """How far an adapter has come on a deployment."""

    LOADING = "loading"
    READY = "ready"
    REMOVING = "removing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attachment:
    """An adapter on a running deployment.

    Attributes:
        id: Its id.
        model: Id of the adapter's model record.
        revision: Id of the revision that shall be loaded.
        state: Where it stands, over all clusters.
        message: The platform's own words.
        said: The platform's own state.
    """

    id: str
    model: str
    revision: str
    state: AttachmentState
    message: str = ""
    said: str = ""


class Registry(Protocol):
    """Models and their files at a platform."""

    async def base(self, name: str) -> HostedBase:
        """Find a base model by its public name. Raises NotThere when the platform does not serve it."""

    async def find(self, name: str) -> HostedModel | None:
        """Find our model record by its bare name."""

    async def create(self, name: str, base: HostedBase, description: str, kind: ModelKind) -> HostedModel:
        """Create a model record; sent once."""

    async def upload(self, model: str, files: Sequence[UploadFile], progress: Progress) -> Revision:
        """Upload files to the model with id `model` as one revision; content already there is skipped."""

    async def fetch(self, model: str, address: str, token: str | None) -> Import:
        """Have the platform fetch files into the model with id `model`; sent once."""

    async def imports(self, model: str) -> tuple[Import, ...]:
        """List what the platform fetches or fetched into the model with id `model`, newest first."""

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

    async def route(self, endpoint: str, weights: Mapping[str, float]) -> HostedEndpoint:
        """Send an endpoint's traffic to these deployments (ids) by their weights, to none when empty."""

    async def events(self, endpoint: str) -> tuple[HostedEvent, ...]:
        """List what happened to an endpoint and its deployments, oldest first; the newest hundred."""

    async def delete(self, endpoint: str) -> None:
        """Delete an endpoint by id; one that is not there is fine."""


class Deployments(Protocol):
    """Replicas behind an endpoint; every id is a platform's."""

    async def list(self, endpoint: str) -> tuple[HostedDeployment, ...]:
        """List all deployments of an endpoint."""

    async def create(self, endpoint: str, order: DeploymentOrder) -> HostedDeployment:
        """Make a deployment; sent once."""

    async def validate(self, endpoint: str, order: DeploymentOrder) -> None:
        """Have the platform check a deployment without making it. Raises what the platform objects to."""

    async def look(self, endpoint: str, deployment: str) -> HostedDeployment | None:
        """Read one deployment's present state; `None` when it is not there."""

    async def start(self, endpoint: str, deployment: str, scaling: Scaling) -> None:
        """Give a stopped deployment its replicas again."""

    async def stop(self, endpoint: str, deployment: str) -> None:
        """Scale a deployment to zero; one that is stopped or not there is fine."""

    async def delete(self, endpoint: str, deployment: str) -> None:
        """Delete a stopped deployment; one that is not there is fine."""


class Attachments(Protocol):
    """Adapters on running deployments."""

    async def list(self, endpoint: str, deployment: str) -> tuple[Attachment, ...]:
        """List the adapters on a deployment, oldest first."""

    async def attach(
        self, endpoint: str, deployment: str, model: str, revision: str, *, evict: bool
    ) -> Attachment:
        """Attach an adapter; sent once. Raises SlotsFull when there is no place and `evict` is not set."""

    async def detach(self, endpoint: str, deployment: str, attachment: str) -> None:
        """Take an adapter off; one that is not there is fine."""
