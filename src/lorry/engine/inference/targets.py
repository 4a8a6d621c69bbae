"""What a request's `model` means: the base, an endpoint, or one deployment (Together API dossier 2.9)."""

from __future__ import annotations

from dataclasses import dataclass

from lorry.engine.api_errors import Refusal, Rpc
from lorry.engine.serving import Needed
from lorry.engine.together.catalog import BASE_NAME
from lorry.engine.together.deployment_answers import state_of
from lorry.engine.together.deployments import Deployments
from lorry.engine.together.endpoints import Endpoints
from lorry.engine.together.identity import PROJECT_ID, PROJECT_SLUG
from lorry.engine.together.lifecycle import Lifecycle
from lorry.engine.together.records import DeploymentRecord, EndpointRecord, Shelves
from lorry.engine.together.traffic import choose, shares


@dataclass(frozen=True, slots=True)
class Target:
    """What draws a request.

    Attributes:
        endpoint: Id of the endpoint; `None` for the base alone.
        deployment: Id of the deployment; `None` for the base alone.
        adapter: The deployed adapter, if it is not the base that is deployed.
        adapter_names: Every name under which a request may speak of that adapter.
    """

    endpoint: str | None = None
    deployment: str | None = None
    adapter: Needed | None = None
    adapter_names: frozenset[str] = frozenset()


class Targets:
    """Finds what draws a request."""

    def __init__(
        self, shelves: Shelves, endpoints: Endpoints, deployments: Deployments, lifecycle: Lifecycle
    ) -> None:
        self._shelves = shelves
        self._endpoints = endpoints
        self._deployments = deployments
        self._lifecycle = lifecycle

    def find(self, model: str, sticky: str) -> Target:
        """Find the target that a request's `model` names.

        Args:
            model: `local/ENDPOINT`, `local/ENDPOINT/DEPLOYMENT` or the base's public id.
            sticky: What ties requests of the same kind to the same deployment.

        Raises:
            Refusal: There is none, or it does not run.
        """
        if model == BASE_NAME:
            return Target()
        slug, _, rest = model.partition("/")
        name, _, deployment = rest.partition("/")
        endpoint = self._endpoints.named(name) if slug == PROJECT_SLUG and name else None
        if endpoint is None:
            raise _unknown(model)
        rows = self._deployments.look_at_all(endpoint.id, counts=False)
        if deployment:
            chosen = next((row for row in rows if row.name == deployment), None)
            if chosen is None:
                raise _unknown(model)
        else:
            chosen = _routed(endpoint, rows, sticky)
        if chosen.phase != "ready":
            raise _not_running(model, chosen)
        return self._target(endpoint, chosen)

    def _target(self, endpoint: EndpointRecord, chosen: DeploymentRecord) -> Target:
        self._lifecycle.used(chosen)
        names = {chosen.model_id, f"projects/{PROJECT_ID}/models/{chosen.model_id}"}
        if record := self._shelves.models.get(chosen.model_id):
            names |= {record.name, f"{PROJECT_SLUG}/{record.name}"}
        return Target(endpoint.id, chosen.id, self._lifecycle.resume(chosen), frozenset(names))


def _routed(endpoint: EndpointRecord, rows: list[DeploymentRecord], sticky: str) -> DeploymentRecord:
    by_id = {row.id: row for row in rows}
    weighted = [entry for entry in endpoint.traffic if entry["weight"] > 0 and entry["deploymentId"] in by_id]
    if not weighted:
        raise Refusal(
            Rpc.INVALID_ARGUMENT,
            f"The endpoint {PROJECT_SLUG}/{endpoint.name} sends its traffic to no deployment; "
            "set its traffic split.",
            reason="endpoint_not_configured",
            param="model",
        )
    share = shares(weighted, {row.id: int(row.phase == "ready") for row in rows})
    key = choose(share, sticky) or weighted[0]["deploymentId"]
    return by_id[key]


def _not_running(model: str, chosen: DeploymentRecord) -> Refusal:
    return Refusal(
        Rpc.INVALID_ARGUMENT,
        f"The dedicated endpoint {model} is not running: its deployment {chosen.name} is {state_of(chosen)}.",
        reason="dedicated_endpoint_not_running",
        param="model",
    )


def _unknown(model: str) -> Refusal:
    return Refusal(
        Rpc.NOT_FOUND,
        f"The model {model} is not available: it is neither {BASE_NAME} nor an endpoint of this engine.",
        reason="model_not_available",
        param="model",
    )
