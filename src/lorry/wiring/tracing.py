"""Traces, where an operator asks for them: the OpenTelemetry SDK behind `lorry.server.watching.Tracer`."""

from __future__ import annotations

import os

from lorry.server.watching import Tracer


def tracer_of() -> Tracer | None:
    """Give the tracer that the environment asks for (OTEL_EXPORTER_OTLP_ENDPOINT), `None` where it does not.

    Raises:
        ExtraMissing: It asks for one, and the extra `otel` is not installed.
    """
    if not (
        os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    ):
        return None
    from lorry.errors import ExtraMissing

    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ExtraMissing(
            "OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, and their exporter is not installed.",
            fix="Run `pip install 'lorry[otel]'`, or unset the variable.",
        ) from error
    from lorry.server.spans import Spans

    provider = TracerProvider(resource=Resource.create({"service.name": "lorry"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Spans(provider)
