"""The replicas that a deployment is asked to have (Together API dossier 2.7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lorry.engine.api_errors import invalid

#: Most replicas of a deployment where the hardware says nothing: this machine is one.
MOST_REPLICAS = 1

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m|h)?")
_UNIT = {"s": 1, "m": 60, "h": 3600, None: 1}


def parse_autoscaling(
    given: Mapping[str, Any],
    present: Mapping[str, Any] | None = None,
    most: int | None = MOST_REPLICAS,
) -> dict[str, Any]:
    """Accept the autoscaling of a deployment.

    Args:
        given: As sent.
        present: What it was before, for an update: what is not sent stays.
        most: Most replicas that can be asked for; `None` for no limit.

    Returns:
        The whole object, with both bounds.

    Raises:
        Refusal: The bounds make no sense, or ask for more than this machine is.
    """
    before = dict(present or {})
    low, high = _count(given, "minReplicas"), _count(given, "maxReplicas")
    if low is None:
        low = before.get("minReplicas", 0 if high == 0 else 1)
    if high is None:
        high = max(low, before.get("maxReplicas", low)) if present else low
    if low > high:
        raise invalid(f"minReplicas ({low}) is above maxReplicas ({high}).", "autoscaling")
    if low == 0 < high:
        raise invalid("minReplicas 0 needs maxReplicas 0, which stops the deployment.", "autoscaling")
    if most is not None and low > most:
        raise invalid(
            f"minReplicas is {low}; this engine is one machine and runs {most} replica(s).", "autoscaling"
        )
    if (window := given.get("scaleToZeroWindow")) is not None:
        parse_duration(window)
    return {**before, **given, "minReplicas": low, "maxReplicas": high}


def parse_duration(text: Any) -> timedelta:
    """Read a duration such as `600s` or `5m`.

    Raises:
        Refusal: It can't be read.
    """
    match = _DURATION.fullmatch(str(text))
    if match is None:
        raise invalid(f"{text!r} is no duration; write it as `600s`.", "autoscaling")
    return timedelta(seconds=float(match[1]) * _UNIT[match[2]])


def _count(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise invalid(f"{name} is {value!r}; it must be a whole number, 0 or more.", "autoscaling")
    return value
