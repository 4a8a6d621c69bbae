"""Everything that bills on one account: deployments, dedicated containers, endpoints of the first version.

Until when something may run stands in the platform's own fields, so that it can be read without our database:
in the name of a deployment and in the display name of a v1 endpoint (`…-until-202611301530`), and in the
description of a container. Whether Together renames a running deployment without touching its replicas is
what its reference says (dossier 2.7) and was not tried on the real service.
"""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from together import omit
from together.types import Endpoint

from lorry.delivery.ports import Scaling
from lorry.errors import AccessDenied, NotThere, PlatformError
from lorry.model.billing import Billed, BilledKind
from lorry.model.names import stamped
from lorry.model.prices import HardwarePrice, TokenPrice
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.deployments import TogetherDeployments
from lorry.platforms.together.fleet_rows import (
    UNTIL,
    changes_of,
    container_row,
    deployment_row,
    legacy_row,
)
from lorry.platforms.together.price_list import hardware_prices, token_prices
from lorry.spend.ports import Listing

#: Rows of a page: the most that Together gives (dossier 2.0), so that a thousand endpoints are two calls.
PAGE = 500
#: How long prices are believed.
_PRICES = timedelta(minutes=10)
#: How many deployments an endpoint shows of itself (dossier 2.6); with as many there may be more.
_SHOWN = 10
#: Events that are read of an endpoint's history.
_EVENTS = 100


class TogetherFleet:
    """The port `lorry.spend.ports.Fleet`.

    Args:
        connection: Where to.
        deployments: Starts and stops them.
        rehearsal: Whether the embedded engine plays the platform.
        now: Gives the time, UTC.
    """

    def __init__(
        self,
        connection: Connection,
        deployments: TogetherDeployments,
        now: Callable[[], datetime],
        *,
        rehearsal: bool = False,
    ) -> None:
        self._at, self._deployments, self._now = connection, deployments, now
        self.address, self.rehearsal = connection.faults.address, rehearsal
        self._prices: Mapping[str, float] = {}
        self._priced_at: datetime | None = None

    async def list(self) -> Listing:
        """List what bills there, ours or not, in as few calls as the platform's pages allow."""
        missing: dict[str, str] = {}
        legacy = await self._or_none(BilledKind.LEGACY, self._legacy, missing)
        containers = await self._or_none(BilledKind.CONTAINER, self._containers, missing)
        # Not being able to list these is not being able to list: whoever asked hears of it.
        deployments = await self._behind_endpoints({thing.address for thing in legacy})
        return Listing((*deployments, *containers, *legacy), missing)

    async def _or_none(
        self,
        kind: BilledKind,
        listed: Callable[[], Awaitable[builtins.list[Billed]]],
        missing: dict[str, str],
    ) -> builtins.list[Billed]:
        """List what an account may not have at all: containers, or what is left of the first version."""
        try:
            return await listed()
        except (AccessDenied, NotThere):
            return []
        except PlatformError as error:
            missing[str(kind)] = error.message
            return []

    async def _behind_endpoints(self, legacy: set[str]) -> builtins.list[Billed]:
        doing = "list the endpoints"
        project = await self._at.project()
        prices = await self._hardware()
        found: builtins.list[Billed] = []
        with self._at.faults.translated(doing):
            rows = [row async for row in self._at.client.endpoints.list(project_id=project, limit=PAGE)]
        for row in rows:
            if row.name in legacy or row.endpoint_type == "ENDPOINT_TYPE_SERVERLESS":
                continue
            shown = row.deployments or []
            whole = shown if len(shown) < _SHOWN else await self._all_of(row, project)
            found += self._at.read(doing, self._shown, row, whole, prices)
        return found

    def _shown(
        self, row: Endpoint, whole: Sequence[Any], prices: Mapping[str, float]
    ) -> builtins.list[Billed]:
        return [deployment_row(row, each, prices, rehearsal=self.rehearsal) for each in whole]

    async def _all_of(self, row: Endpoint, project: str) -> builtins.list[Any]:
        with self._at.faults.translated(f"list the deployments of {row.id}"):
            listed = self._at.client.endpoints.deployments.list(row.id, project_id=project)
            return [each async for each in listed]

    async def _hardware(self) -> Mapping[str, float]:
        """Read prices by the hour, by name of hardware; the last known ones while nobody tells new ones."""
        now = self._now()
        if self._priced_at is None or now - self._priced_at >= _PRICES:
            try:
                rows = await hardware_prices(self._at)
            except PlatformError:
                return self._prices
            self._prices = {row.name: row.cents_per_hour for row in rows if row.cents_per_hour is not None}
            self._priced_at = now
        return self._prices

    async def price_list(self) -> tuple[tuple[HardwarePrice, ...], tuple[TokenPrice, ...]]:
        """Give what the platform says now of its prices."""
        return await hardware_prices(self._at), await token_prices(self._at)

    async def _containers(self) -> builtins.list[Billed]:
        doing = "list the containers"
        with self._at.faults.translated(doing):
            rows = (await self._at.client.beta.jig.list()).data or []
        return self._at.read(doing, lambda: [container_row(row, rehearsal=self.rehearsal) for row in rows])

    async def _legacy(self) -> builtins.list[Billed]:
        doing = "list the endpoints of the first version"
        query = {"type": "dedicated", "mine": "true"}
        with self._at.faults.translated(doing):
            answer: Any = await self._at.client.get(
                "/v1/endpoints", cast_to=object, options={"params": query}
            )
        return self._at.read(
            doing, lambda: [legacy_row(row, rehearsal=self.rehearsal) for row in answer["data"]]
        )

    async def changes(self, thing: Billed) -> tuple[tuple[datetime, int], ...]:
        """Give when the number of replicas that answer changed, and to what, oldest first.

        From the states that the platform wrote down with their times; only for deployments.
        """
        if thing.kind is not BilledKind.DEPLOYMENT:
            return ()
        project = await self._at.project()
        rows: builtins.list[Any] = []
        try:
            with self._at.faults.translated(f"list the events of {thing.parent}"):
                events = self._at.client.endpoints.list_events(
                    thing.parent, project_id=project, deployment_ids=[thing.id], limit=_EVENTS
                )
                async for row in events:
                    rows.append(row)
                    if len(rows) == _EVENTS:
                        break
        except NotThere:
            raise
        except PlatformError:
            return ()  # then the time of the look has to do
        return self._at.read("read what happened", changes_of, rows, max(1, thing.running, thing.wanted))

    async def requests(self, thing: Billed, since: datetime) -> int | None:
        """Count the requests that the platform itself saw since a time; `None` where it does not tell."""
        if thing.kind is not BilledKind.DEPLOYMENT:
            return None
        project = await self._at.project()
        try:
            with self._at.faults.translated(f"count the requests of {thing.id}"):
                seen = await self._at.client.endpoints.analytics(
                    thing.parent, project_id=project, deployment_id=thing.id, start_time=since
                )
        except PlatformError:
            return None
        figures = getattr(getattr(seen, "metrics", None), "request_metrics", None)
        told = getattr(figures, "total_requests", None)
        return int(told) if told is not None else None

    async def renew(self, thing: Billed, until: datetime) -> None:
        """Write into the platform's own fields until when it may run."""
        doing = f"note until when {thing.name} may run"
        with self._at.faults.translated(doing):
            if thing.kind is BilledKind.DEPLOYMENT:
                await self._at.client.endpoints.deployments.update(
                    thing.id,
                    project_id=await self._at.project(),
                    endpoint_id=thing.parent,
                    name=stamped(thing.name, until),
                    update_mask="name",
                )
            elif thing.kind is BilledKind.LEGACY:
                body = {"display_name": stamped(thing.name, until)}
                await self._at.client.patch(f"/v1/endpoints/{thing.id}", cast_to=object, body=body)
            else:
                present = await self._at.client.beta.jig.retrieve(thing.id)
                plain = UNTIL.sub("", present.description or "")
                said = f"{plain} [lorry: may run until {until.astimezone(UTC):%Y-%m-%dT%H:%MZ}]".strip()
                await self._at.client.beta.jig.update(thing.id, description=said)

    async def start(self, thing: Billed, replicas: int, most: int) -> None:
        """Have so many replicas run, whether some do or none does."""
        if thing.kind is BilledKind.DEPLOYMENT:
            await self._deployments.scale(thing.parent, thing.id, Scaling(replicas, most))
        elif thing.kind is BilledKind.CONTAINER:
            with self._at.faults.translated(f"start the container {thing.name}"):
                await self._at.client.beta.jig.update(thing.id, min_replicas=replicas, max_replicas=most)
        else:
            with self._at.faults.translated(f"start the endpoint {thing.name}"):
                body = {"state": "STARTED", "autoscaling": {"min_replicas": replicas, "max_replicas": most}}
                await self._at.client.patch(f"/v1/endpoints/{thing.id}", cast_to=object, body=body)

    async def stop(self, thing: Billed) -> None:
        """Have nothing of it run any more; what is not there is fine.

        A container is told that it needs no replica: it sleeps once its queue is empty.
        """
        try:
            if thing.kind is BilledKind.DEPLOYMENT:
                await self._deployments.stop(thing.parent, thing.id)
            elif thing.kind is BilledKind.CONTAINER:
                with self._at.faults.translated(f"let the container {thing.name} sleep"):
                    await self._at.client.beta.jig.update(thing.id, min_replicas=0, max_replicas=omit)
            else:
                with self._at.faults.translated(f"stop the endpoint {thing.name}"):
                    body = {"state": "STOPPED"}
                    await self._at.client.patch(f"/v1/endpoints/{thing.id}", cast_to=object, body=body)
        except NotThere:
            return
