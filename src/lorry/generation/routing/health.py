"""The health of a place, from what came of its requests: a circuit breaker as plain data.

A circuit is closed while all is well. Failures in a row open it, for a time that doubles up to a limit; then
it is half open and one request is let through, whose outcome decides. What a person has to mend (no credit,
a wrong key) opens it until a person says that it is mended, and a rate limit until the platform's own reset.
After M. Nygard, Release It!, 2nd edition, "Circuit Breaker".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

#: Failures in a row that open a circuit.
FAILURES = 5
#: Seconds for which it opens first, and at most.
FIRST_REST, LONGEST_REST = 1.0, 120.0
#: Seconds for which a rate limit without a reset counts.
LIMITED_REST = 10.0
#: Seconds after which a probe counts as lost, and the next may go.
PROBE_SECONDS = 60.0


class Circuit(StrEnum):
    """Whether requests go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Outcome(StrEnum):
    """What came of a request, as far as the place's health is concerned."""

    GOOD = "good"  # it answered; a refusal of the request itself is an answer too
    FAILED = "failed"
    LIMITED = "limited"
    HELD = "held"  # a person has to do something first


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a place.

    Attributes:
        failures: In a row.
        opened: How often in a row the circuit opened.
        until: When an open circuit becomes half open, seconds of the caller's clock; 0 for a closed one.
        held: Why a person has to do something first; `None` when nobody has to.
        probing: When the request began that is let through half-open; `None` without one.
        reason: What was said last, for people.
    """

    failures: int = 0
    opened: int = 0
    until: float = 0.0
    held: str | None = None
    probing: float | None = None
    reason: str = ""

    def circuit(self, now: float) -> Circuit:
        """Say whether requests go through."""
        if self.held is not None or now < self.until:
            return Circuit.OPEN
        return Circuit.HALF_OPEN if self.until else Circuit.CLOSED

    def admits(self, now: float) -> bool:
        """Say whether a request may go now."""
        state = self.circuit(now)
        if state is Circuit.HALF_OPEN:
            return self.probing is None or now - self.probing >= PROBE_SECONDS
        return state is Circuit.CLOSED

    def wait(self, now: float) -> float | None:
        """Give the seconds until a request may go; `None` when only a person can tell."""
        return None if self.held is not None else max(0.0, self.until - now)


WELL = Health()


def begun(health: Health, now: float) -> Health:
    """Note that a request goes: half open, it is the probe.

    Args:
        health: Before it.
        now: Seconds of the caller's clock.
    """
    return replace(health, probing=now) if health.circuit(now) is Circuit.HALF_OPEN else health


def after(
    health: Health, outcome: Outcome, now: float, *, reason: str = "", reset: float | None = None
) -> Health:
    """Give the health after an outcome.

    Args:
        health: Before it.
        outcome: What came of a request.
        now: Seconds of the caller's clock.
        reason: Why, for people.
        reset: Seconds until a rate limit ends, as the platform says.
    """
    match outcome:
        case Outcome.GOOD:
            return WELL if health.held is None else health
        case Outcome.HELD:
            return replace(health, held=reason or "a person has to mend it", probing=None, reason=reason)
        case Outcome.LIMITED:
            rest = LIMITED_REST if reset is None else reset
            until = max(health.until, now + rest)
            return replace(health, until=until, probing=None, reason=reason)
        case Outcome.FAILED:
            return _failed(health, now, reason)


def _failed(health: Health, now: float, reason: str) -> Health:
    failures = health.failures + 1
    if failures < FAILURES and health.circuit(now) is Circuit.CLOSED:
        return replace(health, failures=failures, reason=reason)
    if now < health.until:  # began before it opened; it says nothing new
        return replace(health, failures=failures, reason=reason)
    rest = min(FIRST_REST * 2**health.opened, LONGEST_REST)
    opened = min(health.opened + 1, 16)
    return Health(failures, opened, now + rest, health.held, None, reason)
