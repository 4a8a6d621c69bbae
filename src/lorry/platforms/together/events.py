"""What the platform says happened to an endpoint and its deployments (Together API dossier 2.6)."""

from __future__ import annotations

from datetime import datetime

from together.types import EndpointListEventsResponse

from lorry.delivery.ports import HostedEvent
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.fields import text

#: Of all that happened, as much as is read: the newest.
NEWEST = 100


async def newest_events(at: Connection, endpoint: str) -> tuple[HostedEvent, ...]:
    """Read an endpoint's newest events.

    Args:
        at: Where from.
        endpoint: Its id.

    Returns:
        The newest hundred, oldest first.
    """
    doing = f"list the events of {endpoint}"
    project = await at.project()
    rows: list[EndpointListEventsResponse] = []
    with at.faults.translated(doing):
        # Newest first (the SDK says so), on as many pages as the platform makes of it.
        async for row in at.client.endpoints.list_events(endpoint, project_id=project, limit=NEWEST):
            rows.append(row)
            if len(rows) == NEWEST:
                break
    return at.read(doing, lambda: tuple(map(_event, reversed(rows))))


def _event(row: EndpointListEventsResponse) -> HostedEvent:
    at = row.created_at
    return HostedEvent(
        id=text(row, "id"),
        at=at.isoformat() if isinstance(at, datetime) else str(at),
        level=(row.level or "").removeprefix("LEVEL_").lower() or "info",
        kind=row.type or "",
        message=_words(row),
        deployment=row.deployment_id,
    )


def _words(row: EndpointListEventsResponse) -> str:
    """Put what an event says into one sentence; which fields it has depends on its type."""
    replicas = ""
    if row.old_replicas is not None or row.new_replicas is not None:
        replicas = f"replicas {row.old_replicas or 0} → {row.new_replicas or 0}"
    said = [row.status, row.reason, row.message, replicas, row.log_excerpt]
    kept = list(dict.fromkeys(part.strip() for part in said if part and part.strip()))
    return ": ".join(kept) or (row.type or "")
