"""Where a delivery stands: `files → job → revision → deployment → routed → proved`, in the platform's words.

Folded from the journal, so it can be told while another process delivers and after it ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from lorry.model.events import Event
from lorry.model.placement import Placement, PlacementState

#: The stages of every route, in order.
STAGES = ("files", "job", "revision", "deployment", "routed", "proved")

#: To which stage a step belongs. An adapter is reached once it is loaded, not when its base has traffic.
STAGE_OF = MappingProxyType(
    {
        **dict.fromkeys(("check", "convert", "publish", "register", "upload", "address"), "files"),
        **dict.fromkeys(("import", "job"), "job"),
        "validate": "revision",
        **dict.fromkeys(("endpoint", "deploy", "container", "wait"), "deployment"),
        **dict.fromkeys(("route", "attach", "load"), "routed"),
        **dict.fromkeys(("prove", "ready"), "proved"),
    }
)

_FEWER = MappingProxyType(
    {
        "together-url": ("files", "proved"),
        "together-container": ("files", "deployment", "proved"),
        "together-v1": ("files", "job", "deployment", "proved"),
    }
)

#: Reasons that are shown: the newest.
_REASONS = 5


class StageState(StrEnum):
    """How a stage stands; `sentence` says each in words."""

    AHEAD = "ahead"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def sentence(self) -> str:
        """Say the state in words a user understands."""
        return _SENTENCES[self]


_SENTENCES = {
    StageState.AHEAD: "It has not begun.",
    StageState.RUNNING: "It has begun and not ended yet.",
    StageState.DONE: "It ended well.",
    StageState.FAILED: "It ended with an error.",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a delivery.

    Attributes:
        name: Which.
        state: How it stands.
        step: The step of it that ran last.
        said: The platform's own word for its state, as it was said last.
        message: The last sentence about it.
        began: When that step began, UTC.
    """

    name: str
    state: StageState = StageState.AHEAD
    step: str | None = None
    said: str | None = None
    message: str = ""
    began: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        began = self.began.isoformat() if self.began else None
        return {**asdict(self), "state": str(self.state), "began": began}


@dataclass(frozen=True, slots=True)
class Reason:
    """Something that the platform says happened to what is being started; its own words."""

    at: str
    level: str
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Status:
    """Where a delivery stands.

    Attributes:
        stages: Those of its route, in order.
        reasons: What the platform told of what it starts, oldest first: warnings and errors, if any.
    """

    stages: tuple[Stage, ...]
    reasons: tuple[Reason, ...] = field(default=())

    @property
    def current(self) -> Stage:
        """The stage that runs or has failed; the last one that is done when none does."""
        for stage in self.stages:
            if stage.state in (StageState.RUNNING, StageState.FAILED):
                return stage
        done = [stage for stage in self.stages if stage.state is StageState.DONE]
        return done[-1] if done else self.stages[0]

    @property
    def word(self) -> str:
        """The whole in a word: the present stage, `proved` when all are done, or `failed`."""
        current = self.current
        return "failed" if current.state is StageState.FAILED else current.name

    @property
    def said(self) -> str | None:
        """What the platform said last."""
        return next((stage.said for stage in reversed(self.stages) if stage.said), None)

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "status": self.word,
            "said": self.said,
            "stages": [stage.as_dict() for stage in self.stages],
            "reasons": [asdict(reason) for reason in self.reasons],
        }


def stages_of(route: str, *, fetched: bool) -> tuple[str, ...]:
    """List the stages that a delivery goes through.

    Args:
        route: By which route.
        fetched: Whether the platform fetches the files by itself.
    """
    names = _FEWER.get(route, STAGES)
    return names if fetched or route in _FEWER else tuple(name for name in names if name != "job")


def status_of(placement: Placement, events: Iterable[Event]) -> Status:
    """Fold a model's events into the status of its latest delivery.

    Args:
        placement: Where the model stands.
        events: Its whole journal, oldest first.
    """
    told = _latest(events)
    names = stages_of(placement.route, fetched=placement.options.remote is not None)
    stages = {name: Stage(name) for name in names}
    for event in told:
        name = STAGE_OF.get(event.subject)
        if name in stages:
            stages[name] = _after(stages[name], event)
    ready = placement.state is PlacementState.READY
    return Status(_ordered(tuple(stages.values()), ready=ready), _reasons(told))


def _latest(events: Iterable[Event]) -> list[Event]:
    """Leave out what earlier deliveries and a retiring tell; every delivery begins with its check."""
    told = [event for event in events if event.source == "delivery"]
    begins = [
        place for place, event in enumerate(told) if (event.subject, event.action) == ("check", "started")
    ]
    return told[begins[-1] :] if begins else told


def _after(stage: Stage, event: Event) -> Stage:
    said = str(event.data["said"]) if event.data.get("said") else stage.said
    if event.action == "started":
        return replace(
            stage, state=StageState.RUNNING, step=event.subject, message=event.message, began=event.at
        )
    if event.action == "platform":  # it is told as a reason
        return stage
    state = StageState.FAILED if event.action == "failed" else stage.state
    return replace(stage, state=state, step=event.subject, said=said, message=event.message)


def _ordered(stages: Sequence[Stage], *, ready: bool) -> tuple[Stage, ...]:
    """Close what lies behind the furthest stage that has begun; stages follow each other."""
    begun = [place for place, stage in enumerate(stages) if stage.state is not StageState.AHEAD]
    furthest = len(stages) if ready else max(begun, default=0)
    return tuple(
        replace(stage, state=StageState.DONE) if place < furthest else stage
        for place, stage in enumerate(stages)
    )


def _reasons(events: Sequence[Event]) -> tuple[Reason, ...]:
    told = [event for event in events if event.action == "platform"]
    grave = [event for event in told if event.data.get("level") in ("warn", "error")]
    return tuple(
        Reason(
            at=str(event.data.get("at") or event.at.isoformat()),
            level=str(event.data.get("level") or "info"),
            kind=str(event.data.get("kind") or ""),
            message=event.message,
        )
        for event in (grave or told)[-_REASONS:]
    )


def together_of(placement: Placement, status: Status) -> dict[str, Any] | None:
    """Give what Together calls everything of a model, in one flat piece of JSON for other systems.

    Args:
        placement: Where the model stands.
        status: The status of its delivery.

    Returns:
        `None` for a model that is not on a route to Together. With `rehearsal` the embedded engine gave the
        ids.
    """
    if not placement.route.startswith("together-"):
        return None
    ids = placement.ids
    return {
        "together_model_id": ids.model,
        "together_model_name": ids.adapter_name,
        "together_job_id": ids.job,
        "together_revision_id": ids.revision,
        "together_endpoint_id": ids.endpoint,
        "together_endpoint_name": ids.endpoint_name,
        "together_status": status.word,
        "together_said": status.said,
        "deployment_id": ids.deployment,
        "attachment_id": ids.attachment,
        "container_id": ids.container,
        "rehearsal": placement.rehearsal,
    }
