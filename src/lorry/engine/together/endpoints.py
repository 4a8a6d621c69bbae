"""Endpoints: the addresses that requests go to (Together API dossier 2.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query

from lorry.engine.api_errors import check_etag, invalid, not_found, not_now, taken
from lorry.engine.clock import stamp
from lorry.engine.documents import new_id
from lorry.engine.paging import DEFAULT_LIMIT, EventLimit, Limit, masked, page, parse_filter
from lorry.engine.together import events as history
from lorry.engine.together.deployments import Deployments
from lorry.engine.together.events import LEVELS, Events
from lorry.engine.together.identity import PROJECT_ID, PROJECT_SLUG, bare_name
from lorry.engine.together.lifecycle import new_etag
from lorry.engine.together.records import EndpointRecord, EventRecord, Shelves
from lorry.engine.together.traffic import parse_split, shares
from lorry.engine.together.trial_records import TrialShelves
from lorry.engine.together.wire import Body, UpdateMask, project_router
from lorry.engine.works import Works

_VISIBILITIES = ("VISIBILITY_PRIVATE", "VISIBILITY_INTERNAL")
_FIELDS = frozenset({"name", "created_at", "updated_at"})

#: An endpoint shows the newest of its deployments (Together API dossier 2.6).
_SHOWN_DEPLOYMENTS = 10


class NewEndpoint(Body):
    """Body of a create."""

    name: str
    visibility: str = "VISIBILITY_PRIVATE"


class EndpointChange(Body):
    """Body of an update."""

    name: str | None = None
    visibility: str | None = None
    traffic_split: list[dict[str, Any]] | None = None
    etag: str | None = None


class Endpoints:
    """The endpoints of one engine."""

    def __init__(self, works: Works, shelves: Shelves, deployments: Deployments, events: Events) -> None:
        self._works = works
        self._shelves = shelves
        self._deployments = deployments
        self._events = events
        self._trials = TrialShelves(works.documents)

    def router(self) -> APIRouter:
        """Make the routes."""
        return project_router(
            self._works.config,
            [
                ("POST", "/endpoints", self.create),
                ("GET", "/endpoints", self.index),
                ("GET", "/endpoints/{endpoint}", self.get),
                ("PATCH", "/endpoints/{endpoint}", self.change),
                ("DELETE", "/endpoints/{endpoint}", self.delete),
                ("GET", "/endpoints/{endpoint}/events", self.events),
            ],
        )

    def create(self, body: NewEndpoint) -> dict[str, Any]:
        """Create an endpoint without deployments and traffic."""
        name = bare_name(body.name, "an endpoint")
        _check_visibility(body.visibility)
        now = stamp(self._works.clock.now())
        with self._works.documents.transaction():
            self._refuse_taken(name)
            record = EndpointRecord(new_id("ep"), name, new_etag(), now, now, visibility=body.visibility)
            self._shelves.endpoints.put(record)
            self._events.note("endpoint.created", record.id, f"The endpoint {name} was created.", name=name)
        return self._answer(record, counts=False)

    def index(
        self,
        limit: Limit = DEFAULT_LIMIT,
        after: str | None = None,
        filter_: Annotated[str | None, Query(alias="filter")] = None,
        order: Annotated[str | None, Query(alias="orderBy")] = None,
    ) -> dict[str, Any]:
        """List the endpoints."""
        test = parse_filter(filter_, _FIELDS)
        records = [record for record in self._shelves.endpoints.all() if test(_filterable(record))]
        newest_first = bool(order and order.strip().endswith("desc"))
        return page(records, self._answer, limit, after, newest_first=newest_first)

    def get(self, endpoint: str) -> dict[str, Any]:
        """Read one, with its deployments as they are now."""
        return self._answer(self.record(endpoint))

    def change(self, endpoint: str, body: EndpointChange, mask: UpdateMask = None) -> dict[str, Any]:
        """Write the masked fields; this is how traffic is routed."""
        given = body.given() - ({"trafficSplit"} if not body.traffic_split else set())
        fields = masked(mask, given)
        with self._works.documents.transaction():
            record = self.record(endpoint)
            check_etag(body.etag, record.etag, f"the endpoint {record.name}")
            if "name" in fields:
                name = bare_name(body.name or "", "an endpoint")
                if name != record.name:
                    self._refuse_taken(name)
                record = replace(record, name=name)
            if "visibility" in fields:
                _check_visibility(body.visibility)
                record = replace(record, visibility=str(body.visibility))
            if "trafficSplit" in fields:
                if active := self._trials.active(record.id):
                    raise not_now(f"The rollout {active.id} moves this endpoint's traffic; cancel it first.")
                known = [deployment.id for deployment in self._shelves.deployments.all(record.id)]
                record = replace(record, traffic=parse_split(body.traffic_split or [], known))
            record = replace(record, etag=new_etag(), updated_at=stamp(self._works.clock.now()))
            self._shelves.endpoints.put(record)
            self._events.note(
                "endpoint.updated",
                record.id,
                f"The endpoint {record.name} was changed.",
                paths=sorted(fields),
            )
        return self._answer(record, counts=False)

    def delete(self, endpoint: str, etag: str | None = None) -> dict[str, Any]:
        """Delete an endpoint that has no deployments, with its history."""
        with self._works.documents.transaction():
            record = self.record(endpoint)
            check_etag(etag, record.etag, f"the endpoint {record.name}")
            if left := self._shelves.deployments.all(record.id):
                raise not_now(
                    f"The endpoint {record.name} has {len(left)} deployments; delete {left[0].id} first."
                )
            for shadow in self._trials.shadows.all(record.id):
                self._works.documents.delete_all("shadow_target", shadow.id)
            for kind in ("event", "request", "rollout", "ab_experiment", "shadow_experiment"):
                self._works.documents.delete_all(kind, record.id)
            self._shelves.endpoints.delete(record.id)
        return {}

    def events(
        self,
        endpoint: str,
        limit: EventLimit = DEFAULT_LIMIT,
        after: str | None = None,
        deployments: Annotated[str | None, Query(alias="deploymentIds")] = None,
        types: str | None = None,
        kinds: Annotated[str | None, Query(alias="sourceKinds")] = None,
        least: Annotated[str | None, Query(alias="minLevel")] = None,
        since: str | None = None,
        until: str | None = None,
    ) -> dict[str, Any]:
        """List what happened, newest first."""
        if least is not None and least not in LEVELS:
            raise invalid(f"minLevel can be {', '.join(LEVELS)}.", "minLevel")
        self._deployments.look_at_all(self.record(endpoint).id, counts=False)
        ids, names, sources = _items(deployments), _items(types), _items(kinds)

        def wanted(event: EventRecord) -> bool:
            kind = "SOURCE_KIND_DEPLOYMENT" if event.deployment_id else "SOURCE_KIND_ENDPOINT"
            return (
                (not ids or event.deployment_id in ids)
                and (not names or event.type in names)
                and (not sources or kind in sources)
                and (least is None or LEVELS.index(event.level) >= LEVELS.index(least))
                and (since is None or event.created_at >= since)
                and (until is None or event.created_at <= until)
            )

        rows = [event for event in self._events.of(endpoint) if wanted(event)]
        return page(rows, history.answer, limit, after, newest_first=True)

    def record(self, key: str) -> EndpointRecord:
        """Find an endpoint by id.

        Raises:
            Refusal: 404.
        """
        record = self._shelves.endpoints.get(key)
        if record is None:
            raise not_found(f"The endpoint {key}")
        return record

    def all(self) -> list[EndpointRecord]:
        """List all endpoints, oldest first."""
        return self._shelves.endpoints.all()

    def named(self, name: str) -> EndpointRecord | None:
        """Find an endpoint by its bare or qualified name."""
        bare = name.removeprefix(f"{PROJECT_SLUG}/")
        return next((record for record in self._shelves.endpoints.all() if record.name == bare), None)

    def _refuse_taken(self, name: str) -> None:
        if self.named(name):
            raise taken(f"Endpoint name already exists: {PROJECT_SLUG}/{name}.")

    def _answer(self, record: EndpointRecord, *, counts: bool = True) -> dict[str, Any]:
        deployments = self._deployments.look_at_all(record.id, counts=counts)
        split = shares(record.traffic, {row.id: row.serving for row in deployments})
        share = self._trials.effective(record.id, split)
        newest = list(reversed(deployments))[:_SHOWN_DEPLOYMENTS]
        active = self._trials.active(record.id)
        return {
            **({"activeRolloutId": active.id} if active else {}),
            "id": record.id,
            "name": f"{PROJECT_SLUG}/{record.name}",
            "projectId": PROJECT_ID,
            "endpointType": "ENDPOINT_TYPE_DEDICATED",
            "visibility": record.visibility,
            "etag": record.etag,
            "trafficSplit": record.traffic,
            "deployments": [self._deployments.summary(row, record, share.get(row.id, 0.0)) for row in newest],
            "createdAt": record.created_at,
            "updatedAt": record.updated_at,
        }


def _items(text: str | None) -> frozenset[str]:
    # The official client joins the items of a list with commas.
    return frozenset(filter(None, (text or "").split(",")))


def _check_visibility(visibility: str | None) -> None:
    if visibility not in _VISIBILITIES:
        raise invalid(f"visibility can be {' or '.join(_VISIBILITIES)}.", "visibility")


def _filterable(record: EndpointRecord) -> Mapping[str, str]:
    return {
        "name": f"{PROJECT_SLUG}/{record.name}",
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }
