"""Addresses at the platform, and where their traffic goes (Together API dossier 2.6 and 2.9)."""

from __future__ import annotations

from collections.abc import Mapping

from together.types import Endpoint, EndpointTrafficSplitEntryParam

from lorry.delivery.ports import HostedEndpoint, HostedEvent
from lorry.errors import Conflict, NotThere
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.events import newest_events
from lorry.platforms.together.fields import bare_name, text

#: How often a change of the traffic is sent, when the endpoint changes in other ways meanwhile.
_ATTEMPTS = 4


class TogetherEndpoints:
    """The port `Endpoints`.

    Args:
        connection: Where to.
    """

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def find(self, name: str) -> HostedEndpoint | None:
        """Find our endpoint by its bare name, on whatever page it is."""
        doing = f"list endpoints to find {name!r}"
        project = await self._at.project()
        with self._at.faults.translated(doing):
            async for found in self._at.client.endpoints.list(project_id=project):
                if self._at.read(doing, bare_name, found) == name:
                    return self._at.read(doing, _endpoint, found)
        return None

    async def create(self, name: str) -> HostedEndpoint:
        """Create an endpoint; sent once."""
        doing = f"create the endpoint {name!r}"
        project = await self._at.project()
        with self._at.faults.translated(doing):
            made = await self._at.client.endpoints.create(project_id=project, name=name)
        return self._at.read(doing, _endpoint, made)

    async def route(self, endpoint: str, weights: Mapping[str, float]) -> HostedEndpoint:
        """Send an endpoint's traffic to these deployments by their weights, to none when empty.

        The etag of what was read goes along. When somebody changes the endpoint in between, it is read again:
        while its traffic is as it was, ours is sent once more.

        Raises:
            Conflict: Somebody else changed where the traffic goes.
        """
        doing = f"route the endpoint {endpoint}"
        present = await self._read(doing, endpoint)
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._split(doing, present, weights)
            except Conflict:
                before, present = present, await self._read(doing, endpoint)
                if self._at.read(doing, _weights, before) != self._at.read(doing, _weights, present):
                    raise
        return await self._split(doing, present, weights)

    async def _read(self, doing: str, endpoint: str) -> Endpoint:
        project = await self._at.project()
        with self._at.faults.translated(doing):
            return await self._at.client.endpoints.retrieve(endpoint, project_id=project)

    async def _split(self, doing: str, present: Endpoint, weights: Mapping[str, float]) -> HostedEndpoint:
        project = await self._at.project()
        split: list[EndpointTrafficSplitEntryParam] = [
            {"deployment_id": deployment, "weight": weight} for deployment, weight in weights.items()
        ]
        with self._at.faults.translated(doing):
            changed = await self._at.client.endpoints.update(
                self._at.read(doing, text, present, "id"),
                project_id=project,
                etag=self._at.read(doing, text, present, "etag"),
                traffic_split=split,
                update_mask="trafficSplit",  # without it an empty split is "no fields to update" (2.0)
            )
        return self._at.read(doing, _endpoint, changed)

    async def events(self, endpoint: str) -> tuple[HostedEvent, ...]:
        """List what happened to an endpoint and its deployments, oldest first; the newest hundred."""
        return await newest_events(self._at, endpoint)

    async def delete(self, endpoint: str) -> None:
        """Delete an endpoint by id; one that is not there is fine."""
        doing = f"delete the endpoint {endpoint}"
        project = await self._at.project()
        try:
            with self._at.faults.translated(doing):
                present = await self._at.client.endpoints.retrieve(endpoint, project_id=project)
                etag = self._at.read(doing, text, present, "etag")
                await self._at.client.endpoints.delete(endpoint, project_id=project, etag=etag)
        except NotThere:
            return


def _endpoint(found: Endpoint) -> HostedEndpoint:
    return HostedEndpoint(text(found, "id"), text(found, "name"), _weights(found))


def _weights(found: Endpoint) -> dict[str, float]:
    # A weight that did not come may be any: the deployment counts as one that gets traffic.
    return {
        text(entry, "deployment_id"): 1.0 if entry.weight is None else float(entry.weight)
        for entry in found.traffic_split or []
    }
