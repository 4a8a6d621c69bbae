"""What becomes of each thing that bills: a pure function from what is known to a decision with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from lorry.model.billing import Billed, BilledKind, Lease
from lorry.model.hours import Hours, open_until
from lorry.spend.scaling import Load, Range, replicas_for

#: A lease is renewed at the platform when less than this share of it is left: a change of a name for each
#: request would be a call for each request.
RENEW_BELOW = 0.5


#: By so much a time in the platform's fields may be later than ours: it is rounded up to a minute there.
_ROUNDED = timedelta(minutes=1)


class Act(StrEnum):
    """What is done."""

    KEEP = "keep"
    RENEW = "renew"
    START = "start"
    SCALE = "scale"
    STOP = "stop"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for one thing.

    Attributes:
        idle: How long it runs on after it was last used.
        grace: How long it is left alone after it first answers, used or not.
        hours: Hours in which it is kept running.
        range: Replicas by load; `None` leaves their number alone.
        at_once: Whether it stops as soon as it is not used: its budget is nearly gone.
        over: Why it has to stop now, whatever else holds: its budget is gone. Empty while it is not.
        final: Whether it may be stopped although it can't be started again: somebody set its idle time.
    """

    idle: timedelta
    grace: timedelta
    hours: Sequence[Hours] = ()
    range: Range | None = None
    at_once: bool = False
    over: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that is known of one thing when it is decided on.

    Attributes:
        object: As the platform lists it.
        lease: Its lease in our own store; `None` where there is none.
        load: Requests under way.
        used_at: When it was last used.
        awaited: Whether a delivery waits for it to answer.
    """

    object: Billed
    lease: Lease | None = None
    load: Load = field(default_factory=Load)
    used_at: datetime | None = None
    awaited: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done with one thing.

    Attributes:
        act: What.
        reason: Why, in words.
        until: When its lease ends from now on; `None` for what needs none.
        replicas: How many there shall be, where that changes.
        granted: Whether its lease holds whether it is used or not.
    """

    act: Act
    reason: str
    until: datetime | None = None
    replicas: int | None = None
    granted: bool = False


def decide(known: Known, rules: Rules, now: datetime) -> Decision:
    """Decide on one thing.

    Args:
        known: What is known of it.
        rules: What holds for it.
        now: The time, UTC.
    """
    thing = known.object
    if not thing.ours:
        return Decision(Act.REPORT, "its name is none of Lorry's, so it isn't ours to stop")
    if thing.free:
        return Decision(Act.KEEP, "it costs nothing")
    window = open_until(rules.hours, now)
    if rules.over:
        return Decision(Act.STOP, rules.over) if thing.bills else Decision(Act.KEEP, rules.over)
    if not thing.bills:
        if window is not None:
            return Decision(Act.START, f"its hours last until {window:%H:%M} UTC", window, 1)
        return Decision(Act.KEEP, "nothing of it runs")
    if thing.wanted == 0:
        return Decision(Act.KEEP, "it is being stopped, or sleeps as soon as nothing is asked of it")
    if known.awaited and thing.running == 0:  # such as for hours until there is room; nothing bills meanwhile
        return Decision(Act.KEEP, "a delivery waits for it")
    if thing.kind is BilledKind.LEGACY and not rules.final:
        why = "of the first version nothing can be started again, so only a policy with `idle` stops it"
        return Decision(Act.KEEP, why)
    return _running(known, rules, now, window)


def _running(known: Known, rules: Rules, now: datetime, window: datetime | None) -> Decision:
    """Decide on what bills: it is stopped when its lease is over, else renewed or scaled."""
    thing, lease = known.object, known.lease
    end, reason, granted = lease_end(known, rules, now, window)
    if now >= end:
        return Decision(Act.STOP, f"its lease is over: {reason}", end)
    if rules.range is not None and thing.running > 0:
        changed = lease.changed_at if lease else None
        count, why = replicas_for(thing.wanted, known.load, rules.range, changed, now)
        if count != thing.wanted:
            return Decision(Act.SCALE, why, end, count, granted)
    told = thing.until
    short = told is None or end - told > (end - now) * RENEW_BELOW or told - now < timedelta(minutes=5)
    if short and (told is None or end > told):
        return Decision(Act.RENEW, reason, end, granted=granted)
    return Decision(Act.KEEP, reason, end, granted=granted)


def lease_end(
    known: Known, rules: Rules, now: datetime, window: datetime | None = None
) -> tuple[datetime, str, bool]:
    """Say until when something that runs may run, and what says so.

    The latest of: what a person granted, or another home wrote into the platform's fields; its last use and
    how long it may idle; the grace after it first answered; and its hours.

    Args:
        known: What is known of it.
        rules: What holds for it.
        now: The time, UTC.
        window: When its hours end, where they are open.

    Returns:
        The time, the reason, and whether it holds whether the thing is used or not.
    """
    thing, lease = known.object, known.lease
    idle = rules.grace if rules.at_once else rules.idle
    ends: list[tuple[datetime, str, bool]] = []
    if not rules.at_once:
        if lease is not None and lease.granted is not None:
            ends.append((lease.granted, lease.reason, True))
        if thing.until is not None and (lease is None or thing.until - lease.until > _ROUNDED):
            ends.append((thing.until, "the platform's own fields say so", True))
        if window is not None:
            ends.append((window, f"its hours last until {window:%H:%M} UTC", False))
    if known.used_at is not None:
        used = f"it was last used at {known.used_at:%Y-%m-%d %H:%M} UTC"
        ends.append((known.used_at + idle, used, False))
    if lease is not None and lease.ready_at is not None:
        ready = f"it answers since {lease.ready_at:%Y-%m-%d %H:%M} UTC"
        ends.append((lease.ready_at + rules.grace, ready, False))
    if not ends:  # ours and lost, or found for the first time: from when it was made on
        begun = thing.created_at or now
        ends.append((max(begun + rules.idle, now + rules.grace), "it was found without a lease", True))
    return max(ends)
