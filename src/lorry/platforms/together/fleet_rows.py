"""What bills, as Together's lists show it, read as one noun (dossier 2.6, 2.7, 4.1 and 1.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from together.types import Endpoint, EndpointDeploymentSummary
from together.types.beta import Deployment

from lorry.model.billing import Billed, BilledKind
from lorry.model.names import unstamped
from lorry.platforms.together.fields import bare_name, text

#: How the expiry of a container stands in its description.
UNTIL = re.compile(r"\s*\[lorry: may run until (\d{4}-\d\d-\d\dT\d\d:\d\dZ)\]")
_ENDED = ("DEPLOYMENT_STATE_STOPPING", "DEPLOYMENT_STATE_STOPPED", "DEPLOYMENT_STATE_FAILED")


def deployment_row(
    row: Endpoint, each: EndpointDeploymentSummary, prices: Mapping[str, float], *, rehearsal: bool
) -> Billed:
    """Read a deployment, as its endpoint shows it or whole.

    Args:
        row: Its endpoint.
        each: The deployment.
        prices: By the hour, US cents, by name of hardware.
        rehearsal: Whether the embedded engine plays the platform.

    Raises:
        ValueError: A field lacks that has to be there.
    """
    name, until = unstamped(bare_name(each))
    status = getattr(each, "status", None)  # whole deployments have one, summaries their state alone
    said = getattr(each, "state", None) or getattr(status, "state", "") or ""
    ready = getattr(each, "ready_replicas", None)
    ready = getattr(status, "ready_replicas", None) if ready is None else ready
    wanted = each.desired_replicas
    if wanted is None:
        wanted = 0 if said in _ENDED else int(each.autoscaling.min_replicas or 0)
    hardware = each.hardware or ""
    return Billed(
        id=text(each, "id"),
        kind=BilledKind.DEPLOYMENT,
        name=name,
        parent=text(row, "id"),
        address=row.name,
        running=0 if said in _ENDED else int(ready or 0),
        wanted=wanted,
        hardware=hardware,
        cents_per_hour=prices.get(hardware),
        said=said,
        created_at=_utc(each.created_at),
        until=until,
        rehearsal=rehearsal,
    )


def container_row(row: Deployment, *, rehearsal: bool) -> Billed:
    """Read a dedicated container.

    Args:
        row: As the platform lists it.
        rehearsal: Whether the embedded engine plays the platform.

    Raises:
        ValueError: A field lacks that has to be there.
    """
    name = text(row, "name")
    said = UNTIL.search(row.description or "")
    asleep = row.status in ("ScaledToZero", "Failed")
    least = row.min_replicas if row.min_replicas is not None else 1
    return Billed(
        id=row.id or name,
        kind=BilledKind.CONTAINER,
        name=name,
        address=name,
        running=0 if asleep else row.ready_replicas or 0,
        wanted=0 if asleep else least,
        hardware=f"{row.gpu_count or 1}x{row.gpu_type or 'unknown'}",
        said=row.status or "",
        created_at=_utc(row.created_at),
        until=datetime.fromisoformat(said[1]) if said else None,
        rehearsal=rehearsal,
    )


def legacy_row(row: Mapping[str, Any], *, rehearsal: bool) -> Billed:
    """Read an endpoint of the first version.

    Args:
        row: As the platform lists it.
        rehearsal: Whether the embedded engine plays the platform.

    Raises:
        LookupError: A field lacks that has to be there.
    """
    name, until = unstamped(str(row.get("display_name") or row["name"]).rpartition("/")[2])
    said = str(row["state"])
    on = said in ("PENDING", "STARTING", "STARTED")
    least = int((row.get("autoscaling") or {}).get("min_replicas") or 1)
    created = row.get("created_at")
    return Billed(
        id=str(row["id"]),
        kind=BilledKind.LEGACY,
        name=name,
        address=str(row["name"]),
        running=least if said == "STARTED" else 0,
        wanted=least if on else 0,
        hardware=str(row.get("hardware") or ""),
        said=said,
        created_at=_utc(datetime.fromisoformat(str(created))) if created else None,
        until=until,
        rehearsal=rehearsal,
    )


def changes_of(rows: list[Any], count: int) -> tuple[tuple[datetime, int], ...]:
    """Read the states that were written down, newest first, as numbers of replicas, oldest first.

    `deployment.scaled` tells how many there shall be, and the state that follows that they are there.
    """
    found: list[tuple[datetime, int]] = []
    wanted = _first_wanted(rows, count)
    for row in reversed(rows):
        at = _utc(row.created_at)
        if at is None:
            continue
        if row.type == "deployment.scaled" and row.new_replicas is not None:
            wanted = int(row.new_replicas) or wanted
        elif row.type == "deployment.status_updated":
            said = row.status or ""
            if said == "DEPLOYMENT_STATE_READY":
                found.append((at, wanted))
            elif said in _ENDED:
                found.append((at, 0))
    return tuple(step for number, step in enumerate(found) if number == 0 or step[1] != found[number - 1][1])


def _first_wanted(rows: list[Any], count: int) -> int:
    """Say how many replicas there should be before the first of these events, newest first."""
    for row in reversed(rows):
        if row.type == "deployment.scaled" and row.old_replicas is not None:
            return int(row.old_replicas) or int(row.new_replicas or count)
    return count


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
