"""What is counted and traced of requests: Prometheus and OpenTelemetry, each behind one class."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from lorry.errors import LorryError
from lorry.model.kept import LedgerRow
from lorry.server.asgi import Scope
from lorry.server.meters import Meters


class Span(Protocol):
    """A request as a trace sees it."""

    def headers(self) -> dict[str, str]:
        """Give the headers that carry the trace on."""

    def tried(self, row: LedgerRow) -> None:
        """Note an attempt."""

    def end(self, status: int, error: LorryError | None) -> None:
        """End it."""


class Tracer(Protocol):
    """Begins spans."""

    def begin(self, form: str, request: str, scope: Scope) -> Span:
        """Begin the span of a request."""


@dataclass(slots=True)
class Seen:
    """A request under way."""

    form: str
    request: str
    span: Span | None

    def headers(self) -> dict[str, str]:
        """Give the headers that carry its trace on."""
        return self.span.headers() if self.span else {}


class Watch:
    """Sees requests come and go; the gateway's `Observer`.

    Args:
        meters: Counts.
        tracer: Traces; `None` for no traces.
    """

    def __init__(self, meters: Meters, tracer: Tracer | None = None) -> None:
        self.meters = meters
        self.in_flight = 0
        meters.in_flight.set_function(lambda: self.in_flight)
        self._tracer = tracer
        self._spans: dict[str, Span] = {}

    def begin(self, form: str, request: str, scope: Scope) -> Seen:
        """See a request come."""
        self.in_flight += 1
        if self._tracer is None:
            return Seen(form, request, None)
        span = self._tracer.begin(form, request, scope)
        self._spans[request] = span
        return Seen(form, request, span)

    def tried(self, row: LedgerRow, first_byte: float | None) -> None:
        """See the end of an attempt."""
        self.meters.tried(row, first_byte)
        if self._spans and row.request in self._spans:
            self._spans[row.request].tried(row)

    def end(self, seen: Seen, status: int, error: LorryError | None, seconds: float) -> None:
        """See a request go."""
        self.in_flight -= 1
        self.meters.request(seen.form, status, error.code if error else None, seconds)
        if seen.span is not None:
            self._spans.pop(seen.request, None)
            seen.span.end(status, error)


def nanoseconds() -> int:
    """Give the time as traces count it, nanoseconds since 1970."""
    return time.time_ns()
