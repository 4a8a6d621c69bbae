"""What the engine remembers about containers; every field is a JSON value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lorry.engine.documents import Documents, Shelf


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """A container deployment.

    Attributes:
        spec: What was asked for, whole (`specs.Spec`).
        revision_id: The revision that is active.
        phase: `updating`, `scaling`, `ready`, `failed` or `asleep`.
        since: When the phase began.
        looks: How often it was looked at since.
        host: Address under which the engine was asked to run it.
        reason: Short word for why a replica does not run, as Kubernetes has them.
        message: The same in a sentence.
        ready_at: When its replica was last ready.
        used_at: When a job or a request last came.
    """

    id: str
    name: str
    spec: dict[str, Any]
    revision_id: str
    created_at: str
    updated_at: str
    phase: str
    since: str
    host: str
    looks: int = 0
    reason: str = ""
    message: str = ""
    ready_at: str | None = None
    used_at: str | None = None


@dataclass(frozen=True, slots=True)
class ContainerRevision:
    """One immutable configuration of a container."""

    id: str
    container_id: str
    number: int
    spec: dict[str, Any]
    created_at: str


@dataclass(frozen=True, slots=True)
class RevisionEvent:
    """A revision that became active: `create`, `update` or `rollback`."""

    id: str
    container_id: str
    number: int
    action: str
    revision_id: str
    activated_at: str


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A line that a container wrote, or that the engine says about it."""

    id: str
    container_id: str
    revision_id: str
    at: str
    line: str


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """A secret; its value leaves the engine only into containers."""

    id: str
    name: str
    value: str = field(repr=False)
    description: str
    created_at: str
    updated_at: str
    ttl_seconds: int | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """A volume: the content of each version, by its number as text."""

    id: str
    name: str
    type: str
    versions: dict[str, dict[str, Any]]
    current: int
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of the storage; its id is its name."""

    id: str
    sha256: str
    size: int
    updated_at: str


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """Permission to send a file, in one piece (`parts` 0) or in several."""

    id: str
    filename: str
    parts: int
    created_at: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job in a queue; its outputs are kept apart, as they may be large.

    Attributes:
        queue: Name of the deployment that it was submitted to.
        claim_until: When it goes back into the queue unless a report comes; `None` while nobody holds it.
        worker: Who holds it.
    """

    id: str
    queue: str
    payload: dict[str, Any]
    info: dict[str, Any]
    priority: int
    status: str
    created_at: str
    claimed_at: str | None = None
    claim_seconds: int = 0
    claim_until: str | None = None
    worker: str = ""
    done_at: str | None = None
    retries: int = 0
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OutputsRecord:
    """What a job gave; its id is the job's."""

    id: str
    outputs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PullerRecord:
    """A worker outside of the engine that pulls from a queue; its id is the queue's name."""

    id: str
    host: str
    seen_at: str


class ContainerShelves:
    """All kinds of records about containers."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self.containers = Shelf(documents, "container", ContainerRecord)
        self.revisions = Shelf(documents, "container_revision", ContainerRevision, "container_id")
        self.events = Shelf(documents, "container_event", RevisionEvent, "container_id")
        self.logs = Shelf(documents, "container_log", LogRecord, "container_id")
        self.secrets = Shelf(documents, "secret", SecretRecord)
        self.volumes = Shelf(documents, "volume", VolumeRecord)
        self.files = Shelf(documents, "stored_file", FileRecord)
        self.transfers = Shelf(documents, "transfer", TransferRecord)
        self.jobs = Shelf(documents, "job", JobRecord, "queue")
        self.outputs = Shelf(documents, "job_outputs", OutputsRecord)
        self.pullers = Shelf(documents, "puller", PullerRecord)
