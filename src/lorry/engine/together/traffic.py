"""Where an endpoint's requests go: pure decisions over its split (Together API dossier 2.9)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lorry.engine.api_errors import invalid


def parse_split(entries: Sequence[Mapping[str, Any]], deployments: Collection[str]) -> list[dict[str, Any]]:
    """Accept a traffic split.

    Args:
        entries: `{deploymentId, weight}` as sent.
        deployments: Ids of the endpoint's deployments.

    Raises:
        Refusal: An entry is malformed, repeated, or names no deployment of the endpoint.
    """
    split: dict[str, float] = {}
    for entry in entries:
        key, weight = entry.get("deploymentId"), entry.get("weight")
        if key not in deployments:
            raise invalid(f"The endpoint has no deployment {key}.", "trafficSplit")
        if key in split:
            raise invalid(f"The deployment {key} is named twice in the traffic split.", "trafficSplit")
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise invalid(f"The weight of {key} is {weight!r}, which is no number.", "trafficSplit")
        if not math.isfinite(weight) or weight < 0:
            raise invalid(f"The weight of {key} is {weight}; it must be 0 or more.", "trafficSplit")
        split[str(key)] = float(weight)
    return [{"deploymentId": key, "weight": weight} for key, weight in split.items()]


def shares(split: Sequence[Mapping[str, Any]], ready: Mapping[str, int]) -> dict[str, float]:
    """Compute each deployment's share of the traffic: weight times ready replicas, normalised.

    Args:
        split: A parsed split.
        ready: Ready replicas of each deployment.
    """
    capacity = {
        entry["deploymentId"]: entry["weight"] * ready.get(entry["deploymentId"], 0) for entry in split
    }
    total = sum(capacity.values())
    return {key: (value / total if total else 0.0) for key, value in capacity.items()}


def choose(shares: Mapping[str, float], sticky: str) -> str | None:
    """Choose a deployment; the same request goes the same way as long as the shares stay.

    Args:
        shares: What `shares` gave.
        sticky: What ties requests together: the user, or the content.

    Returns:
        The deployment's id, or `None` when no traffic goes anywhere.
    """
    live = {key: share for key, share in shares.items() if share > 0}
    if not live:
        return None
    point = int.from_bytes(hashlib.sha256(sticky.encode()).digest()[:8]) / 2**64
    for key, share in live.items():
        point -= share
        if point < 0:
            return key
    return next(reversed(live))
