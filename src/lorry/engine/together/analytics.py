"""How an endpoint was used, counted from the requests it answered (Together API dossier 2.6)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query

from lorry.engine.api_errors import invalid, not_found
from lorry.engine.clock import moment_of, stamp
from lorry.engine.together.endpoints import Endpoints
from lorry.engine.together.records import RequestRecord, Shelves
from lorry.engine.together.wire import project_router
from lorry.engine.works import Works

_BUCKET = re.compile(r"([1-9][0-9]{0,3})([mhd])")
_UNIT = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_MOST_BUCKETS = 10_000

#: How long a request is remembered; older ones are swept away when the engine starts.
MEMORY = timedelta(days=30)


class Analytics:
    """The figures of one engine's endpoints."""

    def __init__(self, works: Works, shelves: Shelves, endpoints: Endpoints) -> None:
        self._works = works
        self._shelves = shelves
        self._endpoints = endpoints
        self._sweep()

    def router(self) -> APIRouter:
        """Make the route."""
        return project_router(self._works.config, [("GET", "/endpoints/{endpoint}/analytics", self.get)])

    def get(
        self,
        endpoint: str,
        deployment: Annotated[str | None, Query(alias="deploymentId")] = None,
        start_time: Annotated[datetime | None, Query(alias="startTime")] = None,
        end_time: Annotated[datetime | None, Query(alias="endTime")] = None,
        granularity: str = "1d",
        series: Annotated[bool, Query(alias="includeTimeSeries")] = False,
    ) -> dict[str, Any]:
        """Count the requests of a time, of the last 24 hours unless told otherwise."""
        owner = self._endpoints.record(endpoint)
        known = {row.id for row in self._shelves.deployments.all(owner.id)}
        if deployment is not None and deployment not in known:
            raise not_found(f"The deployment {deployment} of the endpoint {endpoint}")
        # The end is exclusive, and what happened just now belongs to the time up to now.
        end = _aware(end_time) if end_time else self._works.clock.now() + timedelta(microseconds=1)
        start = _aware(start_time) if start_time else end - timedelta(hours=24)
        if start >= end:
            raise invalid("startTime must be before endTime.", "startTime")
        bucket = _bucket(granularity, end - start)
        rows = [
            row
            for row in self._shelves.requests.all(owner.id)
            if start <= moment_of(row.created_at) < end and deployment in (None, row.deployment_id)
        ]
        time_range = {"startTime": stamp(start), "endTime": stamp(end)}

        def figures(of: Sequence[RequestRecord], **more: str) -> dict[str, Any]:
            place = {"endpointId": owner.id, "timeRange": time_range, **more}
            return {**place, "metrics": {**place, **metrics(of, end - start)}}

        answer = figures(rows)
        answer["deploymentAnalytics"] = [
            figures([row for row in rows if row.deployment_id == key], deploymentId=key)
            for key in sorted({row.deployment_id for row in rows if row.deployment_id})
        ]
        if series:
            answer["timeSeries"] = time_series(rows, start, bucket)
        return answer

    def _sweep(self) -> None:
        now = self._works.clock.now()
        with self._works.documents.transaction():
            for row in self._shelves.requests.all():
                if now - moment_of(row.created_at) > MEMORY:
                    self._shelves.requests.delete(row.id)


def metrics(rows: Sequence[RequestRecord], span: timedelta) -> dict[str, Any]:
    """Summarise requests.

    Args:
        rows: The requests of a time.
        span: How long that time was.
    """
    failed = Counter(str(row.status) for row in rows if row.status >= 400)
    per_second = len(rows) / span.total_seconds()
    times = sorted(row.milliseconds for row in rows if row.status < 400)
    return {
        "requestMetrics": {
            "totalRequests": str(len(rows)),
            "successfulRequests": str(len(rows) - failed.total()),
            "failedRequests": str(failed.total()),
            "requestsByStatusCode": {
                key: str(count) for key, count in Counter(str(row.status) for row in rows).items()
            },
            "requestsPerSecond": per_second,
        },
        "latencyMetrics": {f"latencyP{p}Ms": percentile(times, p) for p in (50, 90, 99)},
        "errorMetrics": {
            "errorRate": 100 * failed.total() / len(rows) if rows else 0.0,
            "errorsByType": {key: str(count) for key, count in failed.items()},
        },
        "throughputMetrics": {"requestsPerSecond": per_second},
    }


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Give the smallest value that this share of the values does not exceed (nearest rank); 0 of none."""
    if not ordered:
        return 0.0
    rank = -(-percent * len(ordered) // 100)
    return ordered[max(rank, 1) - 1]


def time_series(rows: Sequence[RequestRecord], start: datetime, bucket: timedelta) -> list[dict[str, Any]]:
    """Count requests per bucket; buckets in which nothing happened are left out.

    Args:
        rows: The requests.
        start: Where the first bucket begins.
        bucket: How long each is.
    """
    filled: dict[int, list[RequestRecord]] = {}
    for row in rows:
        filled.setdefault((moment_of(row.created_at) - start) // bucket, []).append(row)
    return [
        {
            "timestamp": stamp(start + number * bucket),
            "values": {
                "totalRequests": float(len(inside)),
                "failedRequests": float(sum(row.status >= 400 for row in inside)),
                "pictures": float(sum(row.pictures for row in inside if row.status < 400)),
            },
        }
        for number, inside in sorted(filled.items())
    ]


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _bucket(text: str, span: timedelta) -> timedelta:
    match = _BUCKET.fullmatch(text)
    if match is None:
        raise invalid(f"{text!r} is no granularity; write it as 1m, 1h or 1d.", "granularity")
    bucket = int(match[1]) * _UNIT[match[2]]
    if span / bucket > _MOST_BUCKETS:
        raise invalid(f"{text} is too fine for a time of {span}.", "granularity")
    return bucket
