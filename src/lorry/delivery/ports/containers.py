"""Dedicated containers with their queue, and the first version of Together's API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from lorry.delivery.ports.hosting import Import


class ContainerState(StrEnum):
    """The states of a dedicated container that a delivery tells apart."""

    STARTING = "starting"
    READY = "ready"
    ASLEEP = "asleep"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ContainerOrder:
    """A container to be run.

    Attributes:
        name: Its name; the queue goes by it.
        image: The image, in the platform's registry.
        gpu: Type of accelerator (`h100-80gb`).
        environment: Variables that are set in it.
        min_replicas: That always run, and bill.
        max_replicas: At most.
        volumes: Where each volume (by name) is mounted.
    """

    name: str
    image: str
    gpu: str = "h100-80gb"
    environment: Mapping[str, str] = field(default_factory=dict)
    min_replicas: int = 1
    max_replicas: int = 1
    volumes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Container:
    """A dedicated container; `said` and `message` are the platform's own words."""

    id: str
    name: str
    state: ContainerState
    said: str = ""
    message: str = ""
    image: str = ""


class JobState(StrEnum):
    """The states of a job in a container's queue."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Job:
    """A job in a queue, with what the worker gave (`outputs`) once it is done."""

    id: str
    state: JobState
    outputs: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Jobs of one queue: those at work, those that wait, and all that it knows."""

    running: int
    waiting: int
    total: int


class Containers(Protocol):
    """Dedicated containers."""

    async def find(self, name: str) -> Container | None:
        """Find a container by name."""

    async def create(self, order: ContainerOrder) -> Container:
        """Run a container; sent once."""

    async def look(self, container: str) -> Container | None:
        """Read a container's present state by id; `None` when it is not there."""

    async def logs(self, container: str) -> tuple[str, ...]:
        """Read the newest lines that a container wrote."""

    async def destroy(self, container: str) -> None:
        """Remove a container by id; one that is not there is fine."""


class Queue(Protocol):
    """The queue in front of a container's workers."""

    async def submit(self, container: str, payload: Mapping[str, Any]) -> str:
        """Put a job into the queue of a container (by name) and give its id; sent once."""

    async def look(self, container: str, job: str) -> Job:
        """Read a job's present state. Raises NotThere when the queue does not know it."""

    async def cancel(self, container: str, job: str) -> None:
        """Take a job that no worker has begun out of the queue. Raises Conflict when one has."""

    async def metrics(self, container: str) -> QueueCounts:
        """Count the jobs of a container (by name)."""


class LegacyState(StrEnum):
    """The states of an endpoint of the first version."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LegacyEndpoint:
    """An endpoint of the first version; requests go to `name`, `model` is what it serves."""

    id: str
    name: str
    label: str
    model: str
    state: LegacyState
    said: str = ""


@dataclass(frozen=True, slots=True)
class LegacyHardware:
    """Hardware of the first version for one model; `free` says whether some is available."""

    id: str
    cents_per_hour: float
    free: bool


class Legacy(Protocol):
    """The first version of Together's API: upload job, hardware, endpoint."""

    async def upload(self, name: str, source: str, *, adapter: bool, base: str, token: str | None) -> Import:
        """Have the platform fetch a model from the Hub or from an archive; sent once."""

    async def job(self, job: str) -> Import:
        """Read an upload job's present state."""

    async def find_job(self, name: str) -> Import | None:
        """Find the newest upload job of a model by its name."""

    async def hardware(self, model: str) -> tuple[LegacyHardware, ...]:
        """List what can serve a model, cheapest first."""

    async def find(self, label: str) -> LegacyEndpoint | None:
        """Find our endpoint by its display name."""

    async def create(self, label: str, model: str, hardware: str, inactive_minutes: int) -> LegacyEndpoint:
        """Create an endpoint with one replica; sent once. Raises V1Closed where that is switched off."""

    async def look(self, endpoint: str) -> LegacyEndpoint | None:
        """Read an endpoint's present state by id; `None` when it is not there."""

    async def delete(self, endpoint: str) -> None:
        """Delete an endpoint by id; one that is not there is fine."""
