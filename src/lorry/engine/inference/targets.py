"""What a request's `model` means: a base, an endpoint, one deployment, an adapter.

The forms are those of Together API dossier 2.9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lorry.engine.api_errors import Refusal, Rpc
from lorry.engine.drawing.port import Needed
from lorry.engine.language_serving import BASE, Weights
from lorry.engine.together.ab_experiments import AbExperiments
from lorry.engine.together.attaching import Attaching
from lorry.engine.together.bases import Base, Catalog
from lorry.engine.together.deployment_answers import state_of
from lorry.engine.together.deployments import Deployments
from lorry.engine.together.endpoints import Endpoints
from lorry.engine.together.identity import PROJECT_ID, PROJECT_SLUG
from lorry.engine.together.lifecycle import Lifecycle
from lorry.engine.together.loading import Loading
from lorry.engine.together.models import Models
from lorry.engine.together.records import AttachmentRecord, DeploymentRecord, EndpointRecord, ModelRecord
from lorry.engine.together.traffic import choose, shares


@dataclass(frozen=True, slots=True)
class Target:
    """What answers a request.

    Attributes:
        base: The base model.
        endpoint: Id of the endpoint; `None` for the base alone.
        deployment: Id of the deployment; `None` for the base alone.
        adapter: The adapter that acts: deployed, or attached and named by the request.
        adapter_names: Every name under which a request may speak of a deployed adapter.
        weights: Whole weights, where it answers in words.
    """

    base: Base
    endpoint: str | None = None
    deployment: str | None = None
    adapter: Needed | None = None
    adapter_names: frozenset[str] = frozenset()
    weights: Weights = BASE


class Targets:
    """Finds what answers a request."""

    def __init__(
        self,
        catalog: Catalog,
        models: Models,
        endpoints: Endpoints,
        deployments: Deployments,
        lifecycle: Lifecycle,
        loading: Loading,
        attaching: Attaching,
        experiments: AbExperiments,
    ) -> None:
        self._catalog = catalog
        self._models = models
        self._endpoints = endpoints
        self._deployments = deployments
        self._lifecycle = lifecycle
        self._loading = loading
        self._attaching = attaching
        self._experiments = experiments

    def find(self, model: str, sticky: str) -> Target:
        """Find the target that a request's `model` names.

        Args:
            model: A base's public id, `local/ENDPOINT`, `local/ENDPOINT/DEPLOYMENT`, either of these with
                `:local/ADAPTER` behind it, or `local/ADAPTER`.
            sticky: What ties requests of the same kind to the same deployment.

        Raises:
            Refusal: There is none, or it does not run.
        """
        if base := next((each for each in self._catalog.bases if each.name == model), None):
            return Target(base)
        place, _, adapter = model.partition(":")
        name, _, deployment = place.removeprefix(f"{PROJECT_SLUG}/").partition("/")
        endpoint = self._endpoints.named(name) if place.startswith(f"{PROJECT_SLUG}/") and name else None
        if adapter:
            record = self._models.named(adapter) if adapter.startswith(f"{PROJECT_SLUG}/") else None
            if endpoint is None or record is None:
                raise _unknown(model)
            return self._attached(model, [endpoint], record, deployment, sticky)
        if endpoint is None:
            record = self._models.named(place) if place.startswith(f"{PROJECT_SLUG}/") else None
            if record is None or record.type != "adapter" or deployment:
                raise _unknown(model)
            return self._attached(model, self._endpoints.all(), record, "", sticky)
        rows = self._rows(model, endpoint, deployment)
        chosen = rows[0] if deployment else self._member(endpoint, _routed(endpoint, rows, sticky), sticky)
        if not chosen.serving:
            raise _not_running(model, chosen)
        return self._deployed(endpoint, chosen)

    def mirror(self, endpoint: str, deployment: str) -> Target | None:
        """Find a deployment that gets a copy of a request; `None` when it does not run."""
        owner = next((each for each in self._endpoints.all() if each.id == endpoint), None)
        rows = self._deployments.look_at_all(endpoint, counts=False) if owner else []
        chosen = next((row for row in rows if row.id == deployment and row.serving), None)
        return self._deployed(owner, chosen) if owner and chosen else None

    def _member(self, endpoint: EndpointRecord, chosen: DeploymentRecord, sticky: str) -> DeploymentRecord:
        """Let an A/B experiment choose among the deployments that share what the split sends to one."""
        key = self._experiments.member(endpoint.id, chosen.id, sticky)
        rows = self._deployments.look_at_all(endpoint.id, counts=False)
        return next((row for row in rows if row.id == key), chosen)

    def _rows(self, model: str, endpoint: EndpointRecord, deployment: str) -> list[DeploymentRecord]:
        rows = self._deployments.look_at_all(endpoint.id, counts=False)
        if not deployment:
            return rows
        named = [row for row in rows if row.name == deployment]
        if not named:
            raise _unknown(model)
        return named

    def _deployed(self, endpoint: EndpointRecord, chosen: DeploymentRecord) -> Target:
        self._lifecycle.used(chosen)
        served = self._loading.resume(chosen)
        names = {chosen.model_id, f"projects/{PROJECT_ID}/models/{chosen.model_id}"}
        if served.adapter and (record := self._models.find(chosen.model_id)):
            names |= {record.name, f"{PROJECT_SLUG}/{record.name}"}
        return Target(served.base, endpoint.id, chosen.id, served.adapter, frozenset(names), served.weights)

    def _attached(
        self,
        model: str,
        endpoints: Sequence[EndpointRecord],
        adapter: ModelRecord,
        deployment: str,
        sticky: str,
    ) -> Target:
        """Find a deployment to which an adapter is attached; one that gets traffic, unless it is named."""
        unready: AttachmentRecord | None = None
        refused: Refusal | None = None
        for endpoint in endpoints:
            attached = {}
            for row in self._rows(model, endpoint, deployment):
                for attachment in self._attaching.look_at_all(row, counts=False):
                    if attachment.model_id != adapter.id:
                        continue
                    if attachment.realized_id and attachment.phase != "removing":
                        attached[row.id] = (row, attachment)
                    else:
                        unready = attachment
            if not attached:
                continue
            rows = [row for row, _ in attached.values()]
            try:
                chosen = rows[0] if deployment else _routed(endpoint, rows, sticky)
            except Refusal as error:
                refused = error
                continue
            return self._acting(endpoint, *attached[chosen.id])
        raise refused or _not_attached(model, adapter, unready)

    def _acting(
        self, endpoint: EndpointRecord, chosen: DeploymentRecord, attachment: AttachmentRecord
    ) -> Target:
        base, _ = self._loading.config(chosen)
        self._lifecycle.used(chosen)
        needed = self._loading.adapter(base, attachment.realized_id)
        self._loading.hold(base, needed)
        return Target(base, endpoint.id, chosen.id, needed)


def _routed(endpoint: EndpointRecord, rows: Sequence[DeploymentRecord], sticky: str) -> DeploymentRecord:
    by_id = {row.id: row for row in rows}
    weighted = [entry for entry in endpoint.traffic if entry["weight"] > 0 and entry["deploymentId"] in by_id]
    if not weighted:
        raise Refusal(
            Rpc.INVALID_ARGUMENT,
            f"The endpoint {PROJECT_SLUG}/{endpoint.name} sends its traffic to no deployment that could "
            "answer this; set its traffic split.",
            reason="endpoint_not_configured",
            param="model",
        )
    share = shares(weighted, {row.id: row.serving for row in rows})
    key = choose(share, sticky) or weighted[0]["deploymentId"]
    return by_id[key]


def _not_running(model: str, chosen: DeploymentRecord) -> Refusal:
    return Refusal(
        Rpc.INVALID_ARGUMENT,
        f"The dedicated endpoint {model} is not running: its deployment {chosen.name} is {state_of(chosen)}.",
        reason="dedicated_endpoint_not_running",
        param="model",
    )


def _not_attached(model: str, adapter: ModelRecord, unready: AttachmentRecord | None) -> Refusal:
    if unready is None:
        why = f"the adapter {PROJECT_SLUG}/{adapter.name} is attached to no deployment there."
    else:
        why = f"the adapter {PROJECT_SLUG}/{adapter.name} is attached, and {unready.phase}."
        if unready.message:
            why = f"{why} {unready.message}"
    return Refusal(
        Rpc.NOT_FOUND,
        f"The model {model} is not available: {why}",
        reason="model_not_available",
        param="model",
    )


def _unknown(model: str) -> Refusal:
    return Refusal(
        Rpc.NOT_FOUND,
        f"The model {model} is not available: it is no base model, endpoint or attached adapter here.",
        reason="model_not_available",
        param="model",
    )
