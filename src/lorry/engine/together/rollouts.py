"""Rollouts: traffic that moves from one deployment of an endpoint to another (Together API dossier 2.9).

As with deployments, everything is computed when somebody looks. A step lasts as long as the engine's pace
says; the soak between steps that a request asks for is kept and shown, and the pace decides.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from lorry.engine.api_errors import check_etag, invalid, not_found, not_now
from lorry.engine.clock import stamp
from lorry.engine.documents import new_id
from lorry.engine.paging import DEFAULT_LIMIT, Limit, page
from lorry.engine.together.lifecycle import new_etag
from lorry.engine.together.records import DeploymentRecord, EndpointRecord, Shelves
from lorry.engine.together.rolling_out import RollingOut
from lorry.engine.together.rollout_answers import answer, preview
from lorry.engine.together.rollout_steps import planned_steps, strategy_of
from lorry.engine.together.trial_records import OVER, RolloutRecord, TrialShelves
from lorry.engine.together.wire import Body, project_router
from lorry.engine.works import Works


class NewRollout(Body):
    """Body of a create, and of a preview."""

    source_deployment_id: str
    target_deployment_id: str
    canary: dict[str, Any] | None = None
    blue_green: dict[str, Any] | None = None
    rolling: dict[str, Any] | None = None
    metrics: list[dict[str, Any]] | None = None
    final_source_replicas: int | None = None
    final_target_replicas: int | None = None

    def spec(self) -> dict[str, Any]:
        """Give what was sent, in the API's own names."""
        return self.model_dump(by_alias=True, exclude_none=True)


class RolloutAction(Body):
    """Body of a verb."""

    etag: str | None = None
    reason: str | None = None
    disposition: str | None = None


class Rollouts:
    """The rollouts of one engine."""

    def __init__(self, works: Works, shelves: Shelves, rolling: RollingOut) -> None:
        self._works = works
        self._shelves = shelves
        self._trials = TrialShelves(works.documents)
        self._rolling = rolling

    def router(self) -> APIRouter:
        """Make the routes."""
        path = "/endpoints/{endpoint}/rollouts"
        verbs = (self.start, self.pause, self.resume, self.promote, self.cancel)
        return project_router(
            self._works.config,
            [
                ("POST", path + "/preview-defaults", self.preview),
                ("POST", path, self.create),
                ("GET", path, self.index),
                ("GET", path + "/{rollout}", self.get),
                ("DELETE", path + "/{rollout}", self.delete),
                *(("POST", f"{path}/{{rollout}}/{verb.__name__}", verb) for verb in verbs),
            ],
        )

    def create(self, endpoint: str, body: NewRollout) -> dict[str, Any]:
        """Plan a rollout; nothing moves before it is started."""
        spec = body.spec()
        strategy = strategy_of(spec)
        steps = planned_steps(strategy, spec)
        with self._works.documents.transaction():
            owner = self._endpoint(endpoint)
            self._pair(owner, body)
            now = stamp(self._works.clock.now())
            record = RolloutRecord(
                id=new_id("rol"),
                endpoint_id=owner.id,
                source=body.source_deployment_id,
                target=body.target_deployment_id,
                strategy=strategy,
                spec=spec,
                steps=steps,
                etag=new_etag(),
                created_at=now,
                updated_at=now,
            )
            self._trials.rollouts.put(record)
        return answer(record)

    def preview(self, endpoint: str, body: NewRollout) -> dict[str, Any]:
        """Fill in what a request leaves open, and say what would stand in its way."""
        spec = body.spec()
        steps = planned_steps(strategy_of(spec), spec)
        owner = self._endpoint(endpoint)
        pair = [
            self._shelves.deployments.get(key)
            for key in (body.source_deployment_id, body.target_deployment_id)
        ]
        source, target = (row if row is not None and row.endpoint_id == owner.id else None for row in pair)
        if source is None or target is None:
            raise not_found("One of the two deployments of this endpoint")
        return preview(spec, steps, source, target, owner, self._obstacle(owner, source, target))

    def index(self, endpoint: str, limit: Limit = DEFAULT_LIMIT, after: str | None = None) -> dict[str, Any]:
        """List an endpoint's rollouts; each that is shown counts as looked at."""
        owner = self._endpoint(endpoint)
        return page(
            self._trials.rollouts.all(owner.id), lambda row: answer(self._rolling.look(row)), limit, after
        )

    def get(self, endpoint: str, rollout: str) -> dict[str, Any]:
        """Look at one."""
        return answer(self._rolling.look(self._record(endpoint, rollout)))

    def delete(self, endpoint: str, rollout: str, etag: str | None = None) -> dict[str, Any]:
        """Forget a rollout that has not begun or is over."""
        record = self._record(endpoint, rollout)
        check_etag(etag, record.etag, f"the rollout {record.id}")
        if record.phase not in OVER | {"pending"}:
            raise not_now(f"The rollout {record.id} is {record.phase}; cancel it first.")
        self._trials.rollouts.delete(record.id)
        return {}

    def start(self, endpoint: str, rollout: str) -> dict[str, Any]:
        """Begin with the first step."""
        record = self._record(endpoint, rollout)
        self._require(record, "pending")
        owner = self._endpoint(endpoint)
        source, target = (
            self._shelves.deployments.get(record.source),
            self._shelves.deployments.get(record.target),
        )
        if source is None or target is None:
            raise not_now("One of the rollout's deployments is gone.")
        if obstacle := self._obstacle(owner, source, target):
            raise not_now(obstacle)
        return answer(self._rolling.start(record))

    def pause(self, endpoint: str, rollout: str, body: RolloutAction) -> dict[str, Any]:
        """Stay at the present step until it is resumed."""
        record = self._acted(endpoint, rollout, body, "running")
        return answer(self._rolling.pause(record, body.reason or "Paused by its owner."))

    def resume(self, endpoint: str, rollout: str, body: RolloutAction) -> dict[str, Any]:
        """Go on from where it was paused."""
        return answer(self._rolling.resume(self._acted(endpoint, rollout, body, "paused", "system_paused")))

    def promote(self, endpoint: str, rollout: str, body: RolloutAction) -> dict[str, Any]:
        """Skip the steps that are left, and end it with all traffic on the target."""
        record = self._acted(endpoint, rollout, body, "running", "paused", "system_paused")
        return answer(self._rolling.promote(record))

    def cancel(self, endpoint: str, rollout: str, body: RolloutAction) -> dict[str, Any]:
        """End it with the traffic as it is now."""
        if not body.reason:
            raise invalid("A rollout is canceled with a reason.", "reason")
        if body.disposition == "CANCEL_DISPOSITION_REVERT":
            raise not_now("A rollout can't be reverted; cancel it, then roll out back to the source.")
        record = self._acted(endpoint, rollout, body, "pending", "running", "paused", "system_paused")
        return answer(self._rolling.cancel(record, body.reason))

    def _acted(self, endpoint: str, rollout: str, body: RolloutAction, *phases: str) -> RolloutRecord:
        record = self._record(endpoint, rollout)
        check_etag(body.etag, record.etag, f"the rollout {record.id}")
        self._require(record, *phases)
        return record

    @staticmethod
    def _require(record: RolloutRecord, *phases: str) -> None:
        if record.phase not in phases:
            raise not_now(f"The rollout {record.id} is {record.phase}; this needs it {' or '.join(phases)}.")

    def _pair(self, owner: EndpointRecord, body: NewRollout) -> None:
        for key in (body.source_deployment_id, body.target_deployment_id):
            record = self._shelves.deployments.get(key)
            if record is None or record.endpoint_id != owner.id:
                raise not_found(f"The deployment {key} of the endpoint {owner.name}")
        if body.source_deployment_id == body.target_deployment_id:
            raise invalid("Source and target of a rollout are two deployments.", "targetDeploymentId")

    def _obstacle(
        self, owner: EndpointRecord, source: DeploymentRecord, target: DeploymentRecord
    ) -> str | None:
        """Say why a rollout between two deployments can't start, if so."""
        if active := self._trials.active(owner.id):
            return f"The endpoint {owner.name} has a rollout that is not over ({active.id})."
        for row in (source, target):
            if row.inactive_timeout:
                # togethercomputer/skills, models-and-configs.md: such deployments take no part in rollouts.
                return f"The deployment {row.name} has an inactive timeout; those take no part in rollouts."
            if row.phase in ("stopped", "stopping", "failed"):
                return f"The deployment {row.name} is {row.phase}."
        if not any(entry["deploymentId"] == source.id and entry["weight"] for entry in owner.traffic):
            return f"The source {source.name} gets no traffic that could move."
        return None

    def _endpoint(self, key: str) -> EndpointRecord:
        record = self._shelves.endpoints.get(key)
        if record is None:
            raise not_found(f"The endpoint {key}")
        return record

    def _record(self, endpoint: str, key: str) -> RolloutRecord:
        record = self._trials.rollouts.get(key)
        if record is None or record.endpoint_id != self._endpoint(endpoint).id:
            raise not_found(f"The rollout {key} of the endpoint {endpoint}")
        return record
