"""The invoice: what ran for how long, at which price.

GPUs bill by the minute that is begun (Together API dossier 0, fact 10).
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from lorry.engine.clock import moment_of, stamp
from lorry.engine.together.records import RunRecord, Shelves

_MINUTES_PER_HOUR = 60


def invoice(shelves: Shelves, since: datetime, until: datetime) -> dict[str, Any]:
    """Write the invoice of a period; replicas that still run count up to its end.

    Args:
        shelves: The records.
        since: Its beginning.
        until: Its end, at most now.

    Returns:
        `lines` in the order in which the replicas came up, and `totalCents`.
    """
    lines = [line for run in shelves.runs.all() if (line := _line(run, since, until)) is not None]
    total = sum(line["cents"] for line in lines if line["cents"] is not None)
    return {
        "object": "invoice",
        "since": stamp(since),
        "until": stamp(until),
        "lines": lines,
        "totalCents": round(total, 4),
    }


def _line(run: RunRecord, since: datetime, until: datetime) -> dict[str, Any] | None:
    begun = max(moment_of(run.begun_at), since)
    ended = min(moment_of(run.ended_at), until) if run.ended_at else until
    seconds = (ended - begun).total_seconds()
    if seconds <= 0:
        return None
    minutes = math.ceil(seconds / 60)  # each minute that is begun
    price = run.cents_per_hour
    return {
        "name": run.name,
        "deploymentId": run.deployment_id,
        "endpointId": run.endpoint_id,
        "hardware": run.hardware,
        "replicas": run.replicas,
        "begunAt": stamp(begun),
        "endedAt": stamp(ended) if run.ended_at else None,
        "seconds": seconds,
        "minutes": minutes,
        "centsPerHour": price,
        "cents": None if price is None else round(minutes * run.replicas * price / _MINUTES_PER_HOUR, 4),
    }
