"""What the engine remembers about the first version's things, beside what they serve."""

from __future__ import annotations

from dataclasses import dataclass

from lorry.engine.documents import Documents, Shelf


@dataclass(frozen=True, slots=True)
class JobRecord:
    """An upload job; it has the id of the remote upload that does its work.

    Attributes:
        type: `model_upload` or `adapter_upload`.
        model_name: What was asked for, with the project's slug.
        source: From where.
        description: Free text.
    """

    id: str
    type: str
    model_name: str
    source: str
    description: str
    created_at: str


@dataclass(frozen=True, slots=True)
class LegacyEndpointRecord:
    """An endpoint of the first version: one endpoint of the second with one deployment in it.

    Attributes:
        endpoint_id: That endpoint.
        deployment_id: That deployment.
        model: Name of the model that it serves.
        hardware: Id of its hardware, in the first version's form.
        display_name: What its owner calls it.
    """

    id: str
    endpoint_id: str
    deployment_id: str
    model: str
    hardware: str
    display_name: str
    created_at: str


class LegacyShelves:
    """The records of the first version."""

    def __init__(self, documents: Documents) -> None:
        self.jobs = Shelf(documents, "legacy_job", JobRecord)
        self.endpoints = Shelf(documents, "legacy_endpoint", LegacyEndpointRecord)
