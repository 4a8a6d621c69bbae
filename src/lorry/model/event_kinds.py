"""What the journal can say: every source and action, and what is in its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lorry.model.events import Event


class Source(StrEnum):
    """Who says something."""

    DELIVERY = "delivery"
    RETIRE = "retire"
    WORKER = "worker"
    KEEPER = "keeper"
    GATEWAY = "gateway"
    DASHBOARD = "dashboard"


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that can be said.

    Attributes:
        source: Who says it.
        subject: What it is about; `a step` for any step of a route.
        action: What happened.
        meaning: In words.
        data: The fields of its data, with what they are; those of a step's `done` are the step's own.
        open: Whether there may be other fields, of a step's own.
    """

    source: Source
    subject: str
    action: str
    meaning: str
    data: Mapping[str, str] = field(default_factory=dict)
    open: bool = False


STEP = "a step"
_ERROR = {"error": "code, message, fix and evidence"}
_THING = {
    "object": "the platform's id of it",
    "name": "its name there",
    "cents_per_hour": "what it costs while it runs",
}


def _steps(source: Source) -> tuple[Kind, ...]:
    made = {"name": "the name that is asked for"}
    return (
        Kind(source, STEP, "started", "A step begins."),
        Kind(
            source,
            STEP,
            "intended",
            "Something is to be made; written before it is asked for.",
            made,
            open=True,
        ),
        Kind(source, STEP, "created", "It was made.", open=True),
        Kind(
            source,
            STEP,
            "adopted",
            "It was there, from a call whose answer was lost, and is used.",
            open=True,
        ),
        Kind(
            source,
            STEP,
            "state",
            "Something changed, or is as it was.",
            {"said": "the platform's word"},
            open=True,
        ),
        Kind(
            source,
            STEP,
            "progress",
            "How far an upload has come.",
            {"sent": "bytes", "total": "bytes", "per_second": "bytes a second"},
            open=True,
        ),
        Kind(
            source,
            STEP,
            "platform",
            "What the platform tells of what it starts, in its own words.",
            {"id": "its id of it", "kind": "its kind", "level": "info, warning or error", "at": "when"},
        ),
        Kind(
            source,
            STEP,
            "late",
            "A step waits longer than it usually does.",
            {"waited": "seconds", "limit": "seconds until it is given up"},
        ),
        Kind(source, STEP, "retry", "An error that may pass; tried again.", {**_ERROR, "after": "seconds"}),
        Kind(source, STEP, "done", "A step ended well; `seconds` says how long it took.", open=True),
        Kind(source, STEP, "failed", "A step ended with an error.", _ERROR),
    )


#: Everything that is said.
KINDS: tuple[Kind, ...] = (
    *_steps(Source.DELIVERY),
    *_steps(Source.RETIRE),
    Kind(Source.WORKER, "resume", "waits", "A worker can't go on with a delivery yet.", open=True),
    Kind(Source.KEEPER, "lease", "start", "A person or a policy had it started.", _THING, open=True),
    Kind(Source.KEEPER, "lease", "stop", "It was stopped, and why.", _THING),
    Kind(Source.KEEPER, "lease", "scale", "Its number of replicas was changed, and why.", _THING),
    Kind(Source.KEEPER, "lease", "adopted", "It is ours and was lost; it has a lease from now on.", _THING),
    Kind(Source.KEEPER, "lease", "failed", "It could not be started, stopped or scaled.", _THING),
    Kind(Source.KEEPER, "lease", "budget", "A budget is nearly spent, or spent."),
    Kind(
        Source.DASHBOARD,
        "action",
        "asked",
        "Somebody asked for something on the dashboard.",
        {
            "did": "ship, start, stop, scale, resume, cancel, undo, retire, convert, mend, budget",
            "who": "the id of the token; `this machine` while there are no tokens",
            "owner": "whose token it is",
            "route": "where it is shipped to",
            "options": "of a conversion",
        },
    ),
    *(
        Kind(
            Source.GATEWAY,
            "generation",
            action,
            meaning,
            {
                "outcome": "what came of them",
                "code": "the error's code",
                "route": "by which route",
                "count": "how many since this was told last, an hour ago or more",
                "milliseconds": "how long they took on average",
                "request": "the id of the newest",
            },
        )
        for action, meaning in (
            ("sample", "Requests that went well, or were left by their callers."),
            ("refused", "Requests that were refused for what they asked."),
            ("failed", "Requests that failed."),
        )
    ),
)

_BY_WHAT = {(kind.source.value, kind.subject, kind.action): kind for kind in KINDS}


def undeclared(event: Event) -> str | None:
    """Say what of an event is declared nowhere; `None` when all of it is.

    Args:
        event: It.
    """
    kind = _BY_WHAT.get((event.source, event.subject, event.action)) or _BY_WHAT.get(
        (event.source, STEP, event.action)
    )
    if kind is None:
        return f"{event.source} {event.subject} {event.action}"
    more = sorted(set(event.data) - set(kind.data))
    return None if kind.open or not more else f"{event.source} {event.action}: {', '.join(more)}"
