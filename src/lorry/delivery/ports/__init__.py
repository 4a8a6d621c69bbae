"""What a delivery needs from the world, as narrow protocols.

A platform is a bundle of small ports (`Platform`). `platforms/` implements them over HTTP, doubles implement
them in memory. Every verb translates its transport's faults into `lorry.errors.PlatformError`: a delivery
never sees an SDK's exception.

No verb repeats a call that creates something: it is sent once, and the caller looks by name after a doubt
(`PlatformError.may_have_acted`).
"""

from __future__ import annotations

from dataclasses import dataclass

from lorry.delivery.ports.answering import (
    Painter,
    Writer,
)
from lorry.delivery.ports.claiming import Claim, Claims, Worker
from lorry.delivery.ports.containers import (
    Container,
    ContainerOrder,
    Containers,
    ContainerState,
    Job,
    JobState,
    Legacy,
    LegacyEndpoint,
    LegacyHardware,
    LegacyState,
    Queue,
    QueueCounts,
)
from lorry.delivery.ports.hosting import (
    AdapterMode,
    Attachment,
    Attachments,
    AttachmentState,
    Configuration,
    DeploymentOrder,
    Deployments,
    DeploymentState,
    Endpoints,
    HostedBase,
    HostedDeployment,
    HostedEndpoint,
    HostedEvent,
    HostedModel,
    Import,
    ImportState,
    ModelKind,
    Progress,
    Registry,
    Revision,
    RevisionState,
    Scaling,
    UploadFile,
)
from lorry.delivery.ports.keeping import (
    Intents,
    Journal,
    Now,
    Publication,
    Published,
    Publisher,
    Records,
)

__all__ = [
    "AdapterMode",
    "Attachment",
    "AttachmentState",
    "Attachments",
    "Claim",
    "Claims",
    "Configuration",
    "Container",
    "ContainerOrder",
    "ContainerState",
    "Containers",
    "DeploymentOrder",
    "DeploymentState",
    "Deployments",
    "Endpoints",
    "HostedBase",
    "HostedDeployment",
    "HostedEndpoint",
    "HostedEvent",
    "HostedModel",
    "Import",
    "ImportState",
    "Intents",
    "Job",
    "JobState",
    "Journal",
    "Legacy",
    "LegacyEndpoint",
    "LegacyHardware",
    "LegacyState",
    "ModelKind",
    "Now",
    "Painter",
    "Platform",
    "Progress",
    "Publication",
    "Published",
    "Publisher",
    "Queue",
    "QueueCounts",
    "Records",
    "Registry",
    "Revision",
    "RevisionState",
    "Scaling",
    "UploadFile",
    "Worker",
    "Writer",
]


@dataclass(frozen=True, slots=True)
class Platform:
    """A place that can serve models: everything that its routes use of it.

    Attributes:
        address: Where it is, for sentences.
    """

    address: str
    registry: Registry
    endpoints: Endpoints
    deployments: Deployments
    attachments: Attachments
    painter: Painter
    writer: Writer
    containers: Containers
    queue: Queue
    legacy: Legacy
