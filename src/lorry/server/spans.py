"""Requests as OpenTelemetry spans: one for the request, and below it one for each attempt at a place.

Names are those of the GenAI conventions where there is one (semantic-conventions-genai, status Development).
Neither prompts nor results are in a span.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from lorry.errors import LorryError
from lorry.model.kept import Came, LedgerRow
from lorry.server.asgi import Scope
from lorry.server.watching import nanoseconds

_NAMES = {"images": "image", "chat": "text", "generate": "image"}


class Spans:
    """Begins spans.

    Args:
        provider: Of the OpenTelemetry SDK.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("lorry.gateway")

    def begin(self, form: str, request: str, scope: Scope) -> RequestSpan:
        """Begin the span of a request, below the caller's own where it sent one."""
        carrier = {
            key.decode("latin-1"): value.decode("latin-1")
            for key, value in scope["headers"]
            if key in (b"traceparent", b"tracestate")
        }
        span = self._tracer.start_span(
            f"generate_content {form}",
            context=extract(carrier),
            kind=SpanKind.SERVER,
            attributes={
                "gen_ai.operation.name": "generate_content",
                "gen_ai.output.type": _NAMES.get(form, form),
                "lorry.request.id": request,
            },
        )
        return RequestSpan(self._tracer, span)


class RequestSpan:
    """The span of one request."""

    def __init__(self, tracer: trace.Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span

    def headers(self) -> dict[str, str]:
        """Give the headers that carry the trace on to the platform."""
        carrier: dict[str, str] = {}
        inject(carrier, trace.set_span_in_context(self._span))
        return carrier

    def tried(self, row: LedgerRow) -> None:
        """Note an attempt as a span of its own, which has ended."""
        ended = nanoseconds()
        attributes: Mapping[str, Any] = {
            "gen_ai.request.model": row.model,
            "lorry.place": row.place or "",
            "lorry.route": row.route or "",
            "lorry.cents": row.cents,
            "gen_ai.usage.input_tokens": row.tokens_in,
            "gen_ai.usage.output_tokens": row.tokens_out,
            **({"error.type": row.code} if row.code else {}),
        }
        child = self._tracer.start_span(
            f"attempt {row.route}",
            context=trace.set_span_in_context(self._span),
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=ended - int(row.milliseconds * 1e6),
        )
        if row.outcome is not Came.OK:
            child.set_status(Status(StatusCode.ERROR, row.code or str(row.outcome)))
        child.end(ended)

    def end(self, status: int, error: LorryError | None) -> None:
        """End it."""
        self._span.set_attribute("http.response.status_code", status)
        if error is not None:
            self._span.set_attribute("error.type", error.code)
            if status >= 500:
                self._span.set_status(Status(StatusCode.ERROR, error.code))
        self._span.end()
