"""How a rollout gets from step to step, and what that does to the endpoint's traffic and to the replicas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lorry.engine.clock import moment_of, stamp
from lorry.engine.together.deployment_requests import DeploymentChange
from lorry.engine.together.deployments import Deployments
from lorry.engine.together.events import Events
from lorry.engine.together.lifecycle import Lifecycle, new_etag
from lorry.engine.together.records import DeploymentRecord, Shelves
from lorry.engine.together.rollout_steps import gate, weights
from lorry.engine.together.trial_records import RolloutRecord, TrialShelves
from lorry.engine.works import Works


class RollingOut:
    """What moves the rollouts of one engine."""

    def __init__(
        self, works: Works, shelves: Shelves, deployments: Deployments, lifecycle: Lifecycle, events: Events
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._trials = TrialShelves(works.documents)
        self._deployments = deployments
        self._lifecycle = lifecycle
        self._events = events

    def look(self, record: RolloutRecord) -> RolloutRecord:
        """Bring a rollout's state up to date: at most one step for each look."""
        with self._lifecycle.alone():
            present = self._trials.rollouts.get(record.id) or record
            if present.phase != "running":
                return present
            looked = replace(present, looks=present.looks + 1)
            if not self._works.config.pace.over(
                since=moment_of(looked.since), looks=looked.looks, now=self._works.clock.now()
            ):
                return self._trials.rollouts.put(looked)
            return self._passed(looked)

    def start(self, record: RolloutRecord) -> RolloutRecord:
        """Begin with the first step."""
        now = self._now()
        return self._entered(replace(record, phase="running", started_at=now), 0)

    def pause(self, record: RolloutRecord, reason: str) -> RolloutRecord:
        """Stay at the present step."""
        paused = replace(record, phase="paused", paused_at=self._now(), reason=reason)
        return self._put(self._marked(paused, "PAUSED"), f"The rollout was paused: {reason}")

    def resume(self, record: RolloutRecord) -> RolloutRecord:
        """Go on at the present step, which begins anew."""
        running = replace(
            record, phase="running", paused_at="", reason="", condition={}, since=self._now(), looks=0
        )
        return self._put(self._marked(running, "RUNNING"), "The rollout goes on.")

    def promote(self, record: RolloutRecord) -> RolloutRecord:
        """Skip the steps that are left."""
        steps = [dict(step) for step in record.steps]
        for step in steps[max(record.step, 0) : -1]:
            if step.get("state") != "PASSED":
                step |= {"state": "SKIPPED", "completedAt": self._now()}
        promoted = replace(record, phase="running", steps=steps, paused_at="", reason="", condition={})
        return self._completed(self._entered(promoted, len(steps) - 1))

    def cancel(self, record: RolloutRecord, reason: str) -> RolloutRecord:
        """End it with the traffic as it is."""
        ended = replace(record, phase="canceled", reason=reason, completed_at=self._now())
        return self._put(self._marked(ended, "CANCELED"), f"The rollout was canceled: {reason}", "LEVEL_WARN")

    def _passed(self, record: RolloutRecord) -> RolloutRecord:
        """End the present step, unless its target does not answer or a gate is breached."""
        target = self._deployment(record.target)
        if target is None or target.phase in ("failed", "stopped", "stopping"):
            return self._stopped(record, "TARGET_NOT_READY", "The target does not run.", [])
        if not target.serving:
            return self._trials.rollouts.put(record)
        results = self._gates(record)
        for verdict, category in (("BREACHED", "METRIC_REGRESSION"), ("UNAVAILABLE", "METRICS_UNAVAILABLE")):
            if wrong := [row for row in results if row["verdict"].endswith(verdict)]:
                names = ", ".join(row["name"] for row in wrong)
                return self._stopped(record, category, f"A gate did not pass: {names}.", results)
        steps = [dict(step) for step in record.steps]
        steps[record.step] |= {"state": "PASSED", "completedAt": self._now(), "metrics": results}
        record = replace(record, steps=steps)
        if record.step + 1 < len(steps):
            return self._entered(record, record.step + 1)
        return self._completed(record)

    def _gates(self, record: RolloutRecord) -> list[dict[str, Any]]:
        since = record.since
        asked = [row for row in self._shelves.requests.all(record.endpoint_id) if row.created_at >= since]
        source = [row for row in asked if row.deployment_id == record.source]
        target = [row for row in asked if row.deployment_id == record.target]
        return [gate(rule, source, target) for rule in record.spec.get("metrics") or ()]

    def _entered(self, record: RolloutRecord, number: int) -> RolloutRecord:
        """Begin a step: the target gets its replicas, and its share of the traffic."""
        steps = [dict(step) for step in record.steps]
        steps[number] |= {"state": "RUNNING", "startedAt": self._now()}
        if (replicas := steps[number].get("replicas")) is not None:
            self._scale(record.endpoint_id, record.target, replicas)
        self._route(record, steps[number]["traffic"])
        entered = replace(record, step=number, steps=steps, since=self._now(), looks=0)
        return self._put(
            entered, f"Step {number + 1} of {len(steps)}: {steps[number]['traffic']} % to the target."
        )

    def _completed(self, record: RolloutRecord) -> RolloutRecord:
        """End it: the source drains to its final replicas, the target keeps its own."""
        steps = [dict(step) for step in record.steps]
        steps[-1] |= {"state": "PASSED", "completedAt": self._now()}
        self._scale(record.endpoint_id, record.source, record.spec.get("finalSourceReplicas", 0))
        if (final := record.spec.get("finalTargetReplicas")) is not None:
            self._scale(record.endpoint_id, record.target, final)
        ended = replace(record, phase="completed", steps=steps, completed_at=self._now())
        return self._put(ended, "The rollout is complete.")

    def _stopped(
        self, record: RolloutRecord, category: str, message: str, metrics: list[dict[str, Any]]
    ) -> RolloutRecord:
        now = self._now()
        condition = {
            "category": f"ROLLOUT_FAILURE_CATEGORY_{category}",
            "message": message,
            "atStep": record.step,
            "observedAt": now,
            "metrics": metrics,
        }
        stopped = replace(record, phase="system_paused", paused_at=now, reason=message, condition=condition)
        return self._put(self._marked(stopped, "FAILED", message), message, "LEVEL_ERROR")

    def _route(self, record: RolloutRecord, percent: int) -> None:
        owner = self._shelves.endpoints.get(record.endpoint_id)
        if owner is None:
            return
        rows = (self._deployment(record.source), self._deployment(record.target))
        ready = {row.id: row.serving for row in rows if row is not None}
        split = weights(owner.traffic, record.source, record.target, percent, ready)
        self._shelves.endpoints.put(replace(owner, traffic=split, etag=new_etag(), updated_at=self._now()))

    def _scale(self, endpoint: str, deployment: str, replicas: int) -> None:
        present = self._deployment(deployment)
        if present is None or int(present.autoscaling["minReplicas"]) == replicas:
            return
        wanted = {"minReplicas": replicas, "maxReplicas": replicas}
        self._deployments.change(endpoint, deployment, DeploymentChange(autoscaling=wanted), "autoscaling")

    def _deployment(self, key: str) -> DeploymentRecord | None:
        record = self._shelves.deployments.get(key)
        return self._lifecycle.look(record, counts=False) if record else None

    def _marked(self, record: RolloutRecord, state: str, failure: str = "") -> RolloutRecord:
        if record.step < 0:
            return record
        steps = [dict(step) for step in record.steps]
        steps[record.step] |= {"state": state}
        if failure:
            steps[record.step]["failureReason"] = failure
        return replace(record, steps=steps)

    def _put(self, record: RolloutRecord, message: str, level: str = "LEVEL_INFO") -> RolloutRecord:
        self._events.note("rollout.updated", record.endpoint_id, message, level=level, subjectId=record.id)
        return self._trials.rollouts.put(replace(record, etag=new_etag(), updated_at=self._now()))

    def _now(self) -> str:
        return stamp(self._works.clock.now())
