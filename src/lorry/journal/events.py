"""Building events: pure, one function for each thing that can be said about a step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lorry.errors import LorryError
from lorry.model.events import Event


def step_started(model: str, source: str, step: str, message: str, at: datetime) -> Event:
    """Say that a step begins."""
    return Event(model, source, step, "started", message, at)


def step_note(
    model: str,
    source: str,
    step: str,
    action: str,
    message: str,
    at: datetime,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Say something that happens within a step (`intended`, `created`, `adopted`, `progress`, `state`)."""
    return Event(model, source, step, action, message, at, data=dict(data or {}))


def step_done(
    model: str,
    source: str,
    step: str,
    message: str,
    at: datetime,
    began: datetime,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Say that a step ended well, and how long it took."""
    return Event(model, source, step, "done", message, at, _seconds(began, at), dict(data or {}))


def step_failed(
    model: str, source: str, step: str, error: LorryError, at: datetime, began: datetime
) -> Event:
    """Say that a step ended with an error; its whole data goes along."""
    return Event(
        model, source, step, "failed", error.message, at, _seconds(began, at), {"error": error.as_dict()}
    )


def step_retrying(model: str, source: str, step: str, error: LorryError, at: datetime, after: float) -> Event:
    """Say that a step met an error that may pass, and when it is tried again (seconds)."""
    message = f"{error.message} Trying again in {after:.3g} s."
    return Event(model, source, step, "retry", message, at, data={"error": error.as_dict(), "after": after})


def _seconds(began: datetime, at: datetime) -> float:
    return round(max(0.0, (at - began).total_seconds()), 3)
