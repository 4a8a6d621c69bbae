"""Building events: pure, one function for each thing that can be said about a step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lorry.errors import LorryError
from lorry.model.events import Event
from lorry.redaction import shown, shown_value


def step_started(model: str, source: str, step: str, message: str, at: datetime) -> Event:
    """Say that a step begins."""
    return _event(model, source, step, "started", message, at)


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
    return _event(model, source, step, action, message, at, data=data)


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
    return _event(model, source, step, "done", message, at, _seconds(began, at), data)


def step_failed(
    model: str, source: str, step: str, error: LorryError, at: datetime, began: datetime
) -> Event:
    """Say that a step ended with an error; its whole data goes along."""
    seconds = _seconds(began, at)
    return _event(model, source, step, "failed", error.message, at, seconds, {"error": error.as_dict()})


def step_retrying(model: str, source: str, step: str, error: LorryError, at: datetime, after: float) -> Event:
    """Say that a step met an error that may pass, and when it is tried again (seconds)."""
    message = f"{error.message} Trying again in {after:.3g} s."
    data = {"error": error.as_dict(), "after": after}
    return _event(model, source, step, "retry", message, at, data=data)


def _event(
    model: str,
    source: str,
    subject: str,
    action: str,
    message: str,
    at: datetime,
    seconds: float | None = None,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Make an event of what may be shown: the journal outlives every key, and is sent to whoever helps."""
    return Event(model, source, subject, action, shown(message), at, seconds, shown_value(dict(data or {})))


def _seconds(began: datetime, at: datetime) -> float:
    return round(max(0.0, (at - began).total_seconds()), 3)
