"""Which requests a shadow experiment copies (types/shadow_endpoint_source_param.py of the client)."""

from __future__ import annotations

import hashlib
from typing import Any

from lorry.engine.api_errors import invalid

_SAMPLINGS = ("uniform", "keyBased", "adaptiveUniform", "adaptiveKeyBased")


def _sampling(source: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    sampling = (source.get("endpoint") or {}).get("sampling") or {}
    named = [name for name in _SAMPLINGS if name in sampling]
    if len(named) != 1:
        raise invalid(f"source.endpoint.sampling has one of {', '.join(_SAMPLINGS)}.", "source")
    return named[0], sampling[named[0]] or {}


def check_sampling(source: dict[str, Any]) -> None:
    """Accept the source of a shadow experiment.

    Raises:
        Refusal: It has no sampling, several, or one whose rate can't be.
    """
    kind, given = _sampling(source)
    number = given.get("targetQps" if kind.startswith("adaptive") else "rate", 0.0)
    most = float("inf") if kind.startswith("adaptive") else 1.0
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= most:
        raise invalid(f"The {kind} sampling's rate can't be {number!r}.", "source")


def sampled(experiment: str, source: dict[str, Any], sticky: str) -> bool:
    """Say whether a request is copied. An adaptive rate copies all: this engine is never that busy.

    Args:
        experiment: Id of the experiment.
        source: Its source.
        sticky: What tells requests apart; the same one is sampled or not, each time.
    """
    kind, given = _sampling(source)
    rate = 1.0 if kind.startswith("adaptive") else float(given.get("rate", 0.0))
    point = int.from_bytes(hashlib.sha256(f"{experiment}:{sticky}".encode()).digest()[:8]) / 2**64
    return point < rate
