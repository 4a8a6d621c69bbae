"""What operators look at: metrics, traces, readiness, the dashboard, the API's own description."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lorry.errors import DatabaseUnreachable
from lorry.server.meters import Meters
from lorry.server.spans import Spans
from tests.server.ground import gate, place, refusal, settings_of, trained

DASHBOARD = Path(__file__).resolve().parents[2] / "docs" / "grafana-dashboard.json"


def series(page: str) -> dict[str, float]:
    """Read a page of metrics."""
    rows = [line.rsplit(" ", 1) for line in page.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in rows}


async def test_requests_are_counted_by_what_became_of_them(home: Path) -> None:
    """By form and status, by route and outcome, by code; cost, pictures, times, places, models, queue."""
    settings = settings_of(home)
    await place(settings, "tok", "together-url", model=trained("tok", base="black-forest-labs/FLUX.2-dev"))
    async with gate(settings) as here:
        await here.images(n=2)
        await here.images("nope")
        here.places.answer = lambda _: refusal(401, "invalid_api_key")
        await here.images()
        page = series((await here.client.get("/metrics")).text)
    assert page['lorry_requests_total{form="images",status="200"}'] == 1
    assert page['lorry_requests_total{form="images",status="404"}'] == 1
    assert page['lorry_errors_total{code="key_rejected"}'] == 1
    assert page['lorry_attempts_total{outcome="ok",route="together-url"}'] == 1
    assert page['lorry_pictures_total{route="together-url"}'] == 2
    assert page['lorry_cents_total{rehearsal="false",route="together-url"}'] == pytest.approx(
        2 * 1.048576 * 1.54
    )
    assert page['lorry_attempt_seconds_count{route="together-url",stage="head"}'] == 2
    assert page['lorry_places{circuit="open"}'] == 1
    assert page['lorry_models{state="ready"}'] == 1
    assert page["lorry_requests_in_flight"] == 0


def test_a_histogram_counts_as_the_library_does() -> None:
    """Our cheap one gives the same page as prometheus-client's own, for the same times."""
    from prometheus_client import CollectorRegistry, Histogram, generate_latest

    from lorry.server.counting import Times

    bounds = (0.1, 0.5, 2.0)
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Times("x", "X.", ["a"], bounds)
    ours.register(mine)
    other = Histogram("x", "X.", ["a"], buckets=bounds, registry=theirs)
    for seconds in (0.05, 0.1, 0.11, 0.5, 1.9, 2.0, 7.0):
        mine.add(("b",), seconds)
        other.labels("b").observe(seconds)
    plain = [line for line in generate_latest(theirs).decode().splitlines() if "_created" not in line]
    assert generate_latest(ours).decode().splitlines() == plain


def test_the_dashboard_names_only_metrics_that_exist() -> None:
    """Every name in every query is one of the page's; every panel has a query and a title."""
    board = json.loads(DASHBOARD.read_text())
    names = Meters().names()
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(queries) >= 10
    used = {name for query in queries for name in re.findall(r"lorry_[a-z_]+", query)}
    assert used <= names, used - names
    assert all(panel["title"] for panel in board["panels"])


async def test_a_trace_goes_from_the_caller_to_the_platform(home: Path) -> None:
    """One span for the request below the caller's, one for each attempt below that; no prompt in either."""
    settings = settings_of(home)
    await place(settings, "tok")
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with gate(settings) as here:
        here.rooms.watch._tracer = Spans(provider)
        parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
        await here.post(
            "/v1/images/generations",
            {"model": "tok", "prompt": "a secret wish", "response_format": "base64"},
            traceparent=parent,
            x_request_id="mine-1",
        )
        sent = here.places.sent[0].headers
        assert (sent["x-request-id"], sent["traceparent"][3:35]) == ("mine-1", "a" * 32)
    attempt, request = exporter.get_finished_spans()
    assert f"{request.context.trace_id:x}" == "a" * 32
    assert attempt.parent is not None
    assert attempt.parent.span_id == request.context.span_id
    told: dict[str, Any] = {**(request.attributes or {}), **(attempt.attributes or {})}
    assert told["lorry.request.id"] == "mine-1"
    assert told["http.response.status_code"] == 200
    assert "secret" not in str(told)


async def test_a_server_whose_database_is_gone_is_alive_and_not_ready(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a balancer sends it nothing, and nobody restarts it."""
    settings = settings_of(home)
    async with gate(settings) as here:
        assert (await here.client.get("/readyz")).status_code == 200

        async def gone() -> str:
            raise DatabaseUnreachable("The database does not answer.")

        monkeypatch.setattr(here.rooms.access, "mark", gone)
        got = await here.client.get("/readyz")
        assert (got.status_code, got.json()) == (503, {"status": "The database does not answer."})
        assert (await here.client.get("/healthz")).status_code == 200


async def test_requests_without_a_place_are_in_the_ledger_too(home: Path) -> None:
    """Who asked for what, and why it was refused."""
    settings = settings_of(home)
    async with gate(settings) as here:
        await here.images("nope")
        [row] = await here.ledger()
        assert (row["model"], row["place"], row["code"], row["status"]) == (
            "nope",
            None,
            "model_not_found",
            404,
        )
