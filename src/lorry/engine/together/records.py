"""What the engine remembers about Together's things; every field is a JSON value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lorry.engine.documents import Documents, Shelf


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model record: a name and a base; the files are in its revisions.

    Attributes:
        type: `adapter`, or `model` for a full checkpoint.
    """

    id: str
    name: str
    base_model_id: str
    created_at: str
    updated_at: str
    description: str = ""
    visibility: str = "VISIBILITY_PRIVATE"
    type: str = "adapter"


@dataclass(frozen=True, slots=True)
class RevisionRecord:
    """One immutable upload of a model.

    Attributes:
        files: `{path, hash, sha256, size}` of each file.
        outcome: What validation found (`SUCCESS`, `FAILED`, `ERROR`); shown once its phase is over.
        problems: `{rule, severity, message}` of each finding that forbids serving.
        weights: Path of the weights' file among `files`.
        modules: Base layers that the check expects it to change.
        summary: The check's summary.
        since: When validation began.
        looks: How often its state was looked at since.
        shown: Whether the outcome has been shown, and with that fixed.
    """

    id: str
    model_id: str
    created_at: str
    files: list[dict[str, Any]]
    outcome: str
    problems: list[dict[str, str]]
    weights: str | None
    modules: int
    summary: dict[str, Any]
    since: str
    looks: int = 0
    shown: bool = False


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """A file that is being uploaded in parts; its id is the secret in the parts' URLs."""

    id: str
    model_id: str
    path: str
    hash: str
    parts: int
    created_at: str


@dataclass(frozen=True, slots=True)
class ContentRecord:
    """A content that is stored, under the hash that uploads name it by (its id)."""

    id: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class RemoteUploadRecord:
    """The import of a repository into a model; one that is `stuck` never ends."""

    id: str
    model_id: str
    remote_url: str
    created_at: str
    updated_at: str
    status: str
    since: str
    host: str
    looks: int = 0
    message: str = ""
    events: list[dict[str, str]] = field(default_factory=list)
    stuck: bool = False


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """An address for requests; `traffic` holds `{deploymentId, weight}`."""

    id: str
    name: str
    etag: str
    created_at: str
    updated_at: str
    traffic: list[dict[str, Any]] = field(default_factory=list)
    visibility: str = "VISIBILITY_PRIVATE"


#: Phases of a deployment in which replicas are wanted.
WANTED = frozenset({"starting", "ready", "scaling", "degraded"})


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """Replicas of one revision behind an endpoint.

    Attributes:
        phase: `starting`, `ready`, `scaling`, `degraded`, `stopping`, `stopped` or `failed`.
        since: When the phase began.
        looks: How often it was looked at since.
        used_at: When it last answered a request.
        config_id: The configuration that it runs with.
        replicas: Replicas that answer now.
    """

    id: str
    endpoint_id: str
    name: str
    model_project: str
    model_id: str
    revision_id: str
    autoscaling: dict[str, Any]
    etag: str
    created_at: str
    updated_at: str
    phase: str
    since: str
    looks: int = 0
    message: str = ""
    inactive_timeout: int = 0
    max_concurrent: str | None = None
    placement: dict[str, Any] | None = None
    used_at: str | None = None
    config_id: str = "cr_flux_icons_64"
    replicas: int = 0

    @property
    def serving(self) -> int:
        """Replicas that answer now; records of older engines have one, and do not count it."""
        return self.replicas or int(self.phase == "ready")


@dataclass(frozen=True, slots=True)
class AttachmentRecord:
    """An adapter on a deployment that others share.

    Attributes:
        model_id: The adapter's model record.
        revision_id: The revision that shall act.
        realized_id: The revision that acts now; empty before the first one is loaded.
        phase: `pending`, `loading`, `ready`, `removing` or `failed`.
        since: When the phase began.
        looks: How often it was looked at since.
        reason: Stable code of what is wrong.
        message: The same as a sentence.
        loaded_at: When it was first ready.
    """

    id: str
    deployment_id: str
    model_id: str
    revision_id: str
    etag: str
    created_at: str
    updated_at: str
    phase: str
    since: str
    looks: int = 0
    realized_id: str = ""
    reason: str = ""
    message: str = ""
    loaded_at: str = ""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Replicas that ran, or run, at a price: what a bill is made of.

    Attributes:
        hardware: Name of the instance type.
        cents_per_hour: Price of one replica; `None` where nobody publishes it.
        replicas: How many of them.
        begun_at: From when.
        ended_at: Until when; empty while they run.
    """

    id: str
    deployment_id: str
    endpoint_id: str
    name: str
    hardware: str
    cents_per_hour: int | None
    replicas: int
    begun_at: str
    ended_at: str = ""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One entry of an endpoint's history; `more` holds the fields that only some types have."""

    id: str
    endpoint_id: str
    created_at: str
    level: str
    type: str
    message: str
    deployment_id: str | None = None
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One answered request; its tokens where it was answered in words."""

    id: str
    endpoint_id: str
    deployment_id: str | None
    created_at: str
    status: int
    milliseconds: float
    pictures: int
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_token_ms: float = 0.0


class Shelves:
    """All kinds of records of one engine."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self.models = Shelf(documents, "model", ModelRecord)
        self.revisions = Shelf(documents, "revision", RevisionRecord, "model_id")
        self.uploads = Shelf(documents, "upload", UploadRecord, "model_id")
        self.contents = Shelf(documents, "content", ContentRecord)
        self.remote_uploads = Shelf(documents, "remote_upload", RemoteUploadRecord, "model_id")
        self.endpoints = Shelf(documents, "endpoint", EndpointRecord)
        self.deployments = Shelf(documents, "deployment", DeploymentRecord, "endpoint_id")
        self.attachments = Shelf(documents, "attachment", AttachmentRecord, "deployment_id")
        self.runs = Shelf(documents, "run", RunRecord, "deployment_id")
        self.events = Shelf(documents, "event", EventRecord, "endpoint_id")
        self.requests = Shelf(documents, "request", RequestRecord, "endpoint_id")
