"""What a probe asks: about twenty reads, most of them of what everybody may see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: The most requests of a probe, whatever the answers are.
MOST = 20

#: Base models whose configurations are asked for.
_BASES = 3


@dataclass(frozen=True, slots=True)
class Question:
    """One read.

    Attributes:
        name: Short and stable; beliefs and fixtures go by it.
        path: On the platform.
        query: Its parameters.
        private: Whether the answer is about the account; nothing of such an answer is saved as it is.
    """

    name: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    private: bool = False


#: Whose key it is: the first question, and the only one whose failure ends the probe.
WHOAMI = Question("whoami", "/v3/whoami", private=True)

#: What is the same for everybody (Together API dossier 1.3, 1.4, 1.6, 2.1, 2.5).
PUBLIC = (
    Question("supported-models", "/v2/supported-models", {"limit": "500"}),
    Question("dedicated-models", "/v2/supported-models", {"limit": "500", "product": "PRODUCT_DEDICATED"}),
    Question("instance-types", "/v2/public/inference-instance-types", {"limit": "500"}),
    Question("v1-models", "/v1/models"),
    Question("v1-hardware", "/v1/hardware"),
)

#: What is the account's own and has no project in its path (dossier 1.3, 2.1, 4.1).
OWN = (
    Question("v1-whoami", "/v1/whoami", private=True),
    Question("v1-endpoints", "/v1/endpoints", {"type": "dedicated"}, private=True),
    Question("containers", "/v1/deployments", private=True),
)


def of_project(project: str) -> Iterator[Question]:
    """Ask what a project has; the lists are counted, and read no further (dossier 2.2, 2.4 to 2.6).

    Args:
        project: Its id.
    """
    for name in ("models", "endpoints", "placement-profiles"):
        yield Question(name, f"/v2/projects/{project}/{name}", {"limit": "100"}, private=True)
    yield Question("imports", f"/v2/projects/{project}/models/uploads", {"limit": "100"}, private=True)


def of_catalogue(project: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Question]:
    """Ask for the configurations of a few base models, and for one row by itself (dossier 2.5).

    Args:
        project: Id of the project that asks.
        rows: The catalogue.
    """
    hosted = [row for row in rows if row.get("baseModel") and row.get("deploymentProfiles")]
    for number, row in enumerate(hosted[:_BASES], 1):
        query = {"referenceModel": str(row["baseModel"])}
        yield Question(f"configs-{number}", f"/v2/projects/{project}/configs", query)
    if rows and rows[0].get("id"):
        yield Question("supported-model", f"/v2/supported-models/{rows[0]['id']}")


def of_model(project: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Question]:
    """Ask for the revisions of one model of the account: what its validation says (dossier 10.5).

    Args:
        project: Id of the project.
        rows: Its models.
    """
    if rows and rows[0].get("id"):
        yield Question(
            "revisions",
            f"/v2/projects/{project}/models/{rows[0]['id']}/revisions",
            {"limit": "100"},
            private=True,
        )
