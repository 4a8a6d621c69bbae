"""The metrics of the gateway, for Prometheus; their names stand here and nowhere else.

No label has more values than there are routes, forms, stages, codes and steps: a label by model would be a
time series for each of ten thousand models. What a single model did is in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from lorry.model.kept import LedgerRow
from lorry.server.counting import Tally, Times

#: From a small answer of an own engine to a large picture; seconds.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric: its name on the page, its kind, its labels, and what it is."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


class Meters:
    """Counts what happens."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._declared: list[Declared] = []

        def tally(name: str, text: str, *labels: str) -> Tally:
            self._declared.append(Declared(f"{name}_total", "counter", labels, text))
            made = Tally(name, text, labels)
            registry.register(made)
            return made

        def times(name: str, text: str, *labels: str) -> Times:
            self._declared.append(Declared(name, "histogram", labels, text))
            made = Times(name, text, labels, _BUCKETS)
            registry.register(made)
            return made

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            self._declared.append(Declared(name, "gauge", labels, text))
            return Gauge(name, text, labels, registry=registry)

        self._requests = tally("lorry_requests", "Requests by form and HTTP status.", "form", "status")
        self._request_seconds = times("lorry_request_seconds", "Time from request to answer.", "form")
        self._errors = tally("lorry_errors", "Requests that ended with an error, by its code.", "code")
        self._attempts = tally(
            "lorry_attempts", "Requests sent to a place, by route and what came of it.", "route", "outcome"
        )
        self._attempt_seconds = times(
            "lorry_attempt_seconds",
            "Time at a place, by route and stage: to the head of its answer, and in all.",
            "route",
            "stage",
        )
        self._cents = tally("lorry_cents", "Cost of requests by route, US cents.", "route", "rehearsal")
        self._pictures = tally("lorry_pictures", "Pictures by route.", "route")
        self._tokens = tally("lorry_tokens", "Tokens by route and direction.", "route", "direction")
        self.in_flight = gauge("lorry_requests_in_flight", "Requests that are being answered.")
        self.queue = gauge("lorry_queue_depth", "Generations in the queue, by state.", "state")
        self.ledger_written = gauge("lorry_ledger_rows_written", "Rows of the ledger that were written.")
        self.ledger_dropped = gauge("lorry_ledger_rows_dropped", "Rows that a full disk made us drop.")
        self.places = gauge("lorry_places", "Places and accounts that are not well, by circuit.", "circuit")
        self.models = gauge("lorry_models", "Models by the state of their placement.", "state")
        self.starts = gauge("lorry_starts_under_way", "Places that were asleep and are starting.")
        self.running_cents = gauge(
            "lorry_running_cents_per_hour", "What runs by the hour, US cents an hour.", "rehearsal"
        )
        self.leases = gauge("lorry_leases", "Things that bill by the hour and have a lease.", "rehearsal")
        self.budget_left = gauge(
            "lorry_budget_left_cents", "What is left of a budget, US cents.", "scope", "period"
        )
        self.deliveries = gauge("lorry_delivery_steps", "Steps of deliveries by outcome.", "step", "outcome")
        self.step_seconds = gauge(
            "lorry_delivery_step_seconds", "Time that steps of deliveries took, in all.", "step"
        )

    def request(self, form: str, status: int, code: str | None, seconds: float) -> None:
        """Count a request."""
        self._requests.add((form, str(status)))
        self._request_seconds.add((form,), seconds)
        if code is not None:
            self._errors.add((code,))

    def tried(self, row: LedgerRow, first_byte: float | None) -> None:
        """Count an attempt."""
        route = row.route or ""
        self._attempts.add((route, row.outcome.value))
        self._attempt_seconds.add((route, "all"), row.milliseconds / 1000)
        if first_byte is not None:
            self._attempt_seconds.add((route, "head"), first_byte)
        if row.cents:
            self._cents.add((route, str(row.rehearsal).lower()), row.cents)
        if row.pictures:
            self._pictures.add((route,), row.pictures)
        if row.tokens_out:
            self._tokens.add((route, "in"), row.tokens_in)
            self._tokens.add((route, "out"), row.tokens_out)

    def page(self) -> tuple[bytes, str]:
        """Write the page that Prometheus reads, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def declared(self) -> tuple[Declared, ...]:
        """List the metrics."""
        return tuple(self._declared)

    def names(self) -> set[str]:
        """List the names of all series that the page may have."""
        parts = ("_bucket", "_sum", "_count")
        return {
            name
            for metric in self._declared
            for name in (
                [metric.name + part for part in parts] if metric.kind == "histogram" else [metric.name]
            )
        }
