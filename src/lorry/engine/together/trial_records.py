"""What the engine remembers about rollouts and experiments; every field is a JSON value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lorry.engine.documents import Documents, Shelf

#: Whose traffic an A/B experiment shares.
CONTROL = "AB_EXPERIMENT_MEMBER_ROLE_CONTROL"

#: Phases of a rollout that is over.
OVER = frozenset({"completed", "canceled"})


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """Traffic that moves from one deployment to another, step by step.

    Attributes:
        strategy: `canary`, `blueGreen` or `rolling`.
        spec: What was asked for, as it was sent.
        steps: `{traffic, replicas, state, startedAt, completedAt, failureReason, metrics}` of each step.
        phase: `pending`, `running`, `paused`, `system_paused`, `completed` or `canceled`.
        step: Which step it is at; -1 before it is started.
        since: When that step began.
        looks: How often it was looked at since.
        reason: Why it was paused or canceled.
        condition: Why the engine stopped it.
    """

    id: str
    endpoint_id: str
    source: str
    target: str
    strategy: str
    spec: dict[str, Any]
    steps: list[dict[str, Any]]
    etag: str
    created_at: str
    updated_at: str
    phase: str = "pending"
    step: int = -1
    since: str = ""
    looks: int = 0
    started_at: str = ""
    completed_at: str = ""
    paused_at: str = ""
    reason: str = ""
    condition: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AbRecord:
    """An A/B experiment: the control's traffic, shared among `{deploymentId, percent, role}`."""

    id: str
    endpoint_id: str
    name: str
    members: list[dict[str, Any]]
    etag: str
    created_at: str
    updated_at: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class ShadowRecord:
    """A shadow experiment; `source` is where its requests come from, as it was sent."""

    id: str
    endpoint_id: str
    name: str
    source: dict[str, Any]
    etag: str
    created_at: str
    updated_at: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class ShadowTargetRecord:
    """A deployment that gets copies of requests."""

    id: str
    experiment_id: str
    endpoint_id: str
    name: str
    deployment_id: str
    etag: str
    created_at: str
    updated_at: str
    description: str = ""


class TrialShelves:
    """The records of rollouts and experiments."""

    def __init__(self, documents: Documents) -> None:
        self.rollouts = Shelf(documents, "rollout", RolloutRecord, "endpoint_id")
        self.experiments = Shelf(documents, "ab_experiment", AbRecord, "endpoint_id")
        self.shadows = Shelf(documents, "shadow_experiment", ShadowRecord, "endpoint_id")
        self.targets = Shelf(documents, "shadow_target", ShadowTargetRecord, "experiment_id")

    def active(self, endpoint: str) -> RolloutRecord | None:
        """Find the rollout of an endpoint that has begun and is not over."""
        rows = self.rollouts.all(endpoint)
        return next((row for row in rows if row.phase not in OVER | {"pending"}), None)

    def effective(self, endpoint: str, shares: Mapping[str, float]) -> dict[str, float]:
        """Divide what a split sends to the controls of A/B experiments among their members.

        Args:
            endpoint: Id of the endpoint.
            shares: Share of the traffic of each deployment, by the split alone.
        """
        divided = dict(shares)
        for row in self.experiments.all(endpoint):
            control = next(member["deploymentId"] for member in row.members if member["role"] == CONTROL)
            total = divided.get(control, 0.0)
            for member in row.members:
                divided[member["deploymentId"]] = total * member["percent"] / 100
        return divided

    def listens(self, endpoint: str, deployment: str) -> bool:
        """Say whether a deployment gets copies of requests."""
        experiments = self.shadows.all(endpoint)
        return any(
            row.deployment_id == deployment for each in experiments for row in self.targets.all(each.id)
        )

    def busy(self, endpoint: str) -> frozenset[str]:
        """Name the deployments of an endpoint that a rollout or an A/B experiment needs."""
        rollout = self.active(endpoint)
        moved = {rollout.source, rollout.target} if rollout else set()
        split = {member["deploymentId"] for row in self.experiments.all(endpoint) for member in row.members}
        return frozenset(moved | split)
