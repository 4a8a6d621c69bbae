"""What is measured while pictures are drawn, for `GET /metrics` in Prometheus's text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

#: Seconds: from a step of a small picture to the patience of a caller.
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)

#: The tiers of memory, the nearest first.
TIERS = ("device", "host", "disk")


class ReplicaFigures:
    """How what is drawn elsewhere was spread."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.pictures = Counter(
            "lorry_engine_replica_pictures",
            "Pictures by the replica that drew them.",
            ["replica"],
            registry=registry,
        )
        self.again = Counter(
            "lorry_engine_requests_again",
            "Requests that were sent again, since their replica was lost.",
            registry=registry,
        )

    def text(self) -> bytes:
        """Write all of it down."""
        return generate_latest(self.registry)


class Figures:
    """Counters, gauges and histograms of one process that draws."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.found = Counter(
            "lorry_engine_adapters_found",
            "Adapters that were asked for, by the tier of memory in which they were found.",
            ["tier"],
            registry=registry,
        )
        self.resident = Gauge(
            "lorry_engine_adapters_resident", "Adapters in a tier of memory.", ["tier"], registry=registry
        )
        self.bytes = Gauge(
            "lorry_engine_adapter_bytes", "Bytes of the adapters in a tier.", ["tier"], registry=registry
        )
        self.evicted = Counter(
            "lorry_engine_adapters_evicted",
            "Adapters that left a tier for others.",
            ["tier"],
            registry=registry,
        )
        self.load = Histogram(
            "lorry_engine_adapter_load_seconds",
            "From asking for an adapter that was not on the device until it was there.",
            ["tier"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch = Histogram(
            "lorry_engine_batch_size",
            "Pictures that are drawn together, at each step.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.wait = Histogram(
            "lorry_engine_queue_wait_seconds",
            "From asking for a picture until it is begun.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.step = Histogram(
            "lorry_engine_step_seconds", "One step of a batch.", buckets=_SECONDS, registry=registry
        )
        self.waiting = Gauge("lorry_engine_pictures_waiting", "Pictures that wait.", registry=registry)
        self.drawing = Gauge("lorry_engine_pictures_drawing", "Pictures being drawn.", registry=registry)
        self.pictures = Counter(
            "lorry_engine_pictures", "Pictures by how they ended.", ["outcome"], registry=registry
        )
        for tier in TIERS:
            self.found.labels(tier)
            self.load.labels(tier)
        for outcome in ("drawn", "failed", "abandoned", "shed"):
            self.pictures.labels(outcome)

    def text(self) -> bytes:
        """Write all of it down."""
        return generate_latest(self.registry)
