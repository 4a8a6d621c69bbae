"""What is asked of the engine itself, below `/_lorry`: faults, time, and the invoice."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Body, Depends, Request

from lorry.engine.api_errors import invalid
from lorry.engine.clock import stamp
from lorry.engine.control.faults import Faults, owner_of
from lorry.engine.control.invoice import invoice
from lorry.engine.together.deployments import Deployments
from lorry.engine.together.identity import key_check
from lorry.engine.together.records import Shelves
from lorry.engine.works import Works

#: A hundred years: more is a mistake.
_LONGEST = 100 * 365 * 86400.0


class Control:
    """The routes by which an engine is told what a platform is never told.

    Args:
        works: State and time.
        shelves: The records.
        faults: What waits.
        deployments: Looked at before an invoice is written: what has stopped by now counts as stopped.
    """

    def __init__(self, works: Works, shelves: Shelves, faults: Faults, deployments: Deployments) -> None:
        self._works = works
        self._shelves = shelves
        self._faults = faults
        self._deployments = deployments

    def router(self) -> APIRouter:
        """Make the routes."""
        routes = APIRouter(prefix="/_lorry", dependencies=[Depends(key_check(self._works.config))])
        for method, path, answer in (
            ("POST", "/faults", self.add),
            ("GET", "/faults", self.index),
            ("DELETE", "/faults", self.clear),
            ("GET", "/clock", self.time),
            ("POST", "/clock/advance", self.advance),
            ("GET", "/invoice", self.invoice),
        ):
            routes.add_api_route(path, answer, methods=[method], response_model=None)
        return routes

    def add(self, request: Request, wanted: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008 - FastAPI
        """Have a fault wait for the caller's own requests."""
        return self._faults.add(_owner(request), wanted).answer()

    def index(self, request: Request) -> dict[str, Any]:
        """List the faults that wait for the caller."""
        return {"object": "list", "data": [fault.answer() for fault in self._faults.of(_owner(request))]}

    def clear(self, request: Request) -> dict[str, Any]:
        """Forget the caller's faults."""
        return {"cleared": self._faults.clear(_owner(request))}

    def time(self) -> dict[str, Any]:
        """Tell the engine's time."""
        return {"now": stamp(self._works.clock.now())}

    def advance(self, seconds: float = Body(embed=True)) -> dict[str, Any]:
        """Let time pass at once; it never goes back."""
        if not 0 < seconds <= _LONGEST:
            raise invalid(f"seconds is {seconds:g}; it is a number above 0, at most {_LONGEST:g}.", "seconds")
        self._works.advance(seconds)
        self._look()
        return self.time()

    def invoice(self, since: str | None = None, until: str | None = None) -> dict[str, Any]:
        """Write what ran for how long at which price; all of it, or of a period."""
        self._look()
        now = self._works.clock.now()
        begin = _moment(since, "since") if since else datetime.fromtimestamp(0, UTC)
        end = min(_moment(until, "until"), now) if until else now
        return invoice(self._shelves, begin, end)

    def _look(self) -> None:
        for endpoint in self._shelves.endpoints.all():
            self._deployments.look_at_all(endpoint.id, counts=False)


def _owner(request: Request) -> str:
    return owner_of(request.headers.get("authorization", ""))


def _moment(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"{name} is {text!r}; write it as 2026-11-25T12:00:00Z.", name) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
