"""What exists at the doubles, and the faults that their calls meet."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lorry.delivery.ports import AdapterMode, Configuration, HostedEvent
from lorry.errors import NotThere, PlatformError

Answer = TypeVar("Answer")

#: Whose account it is; qualified names begin with it.
SLUG = "someone"
#: What runs a base of the doubles: adapters while it runs, or a model of its own.
CONFIGURATIONS = (
    Configuration("projects/public/configs/cr_own", None, AdapterMode.DISABLED, "1xcpu", 1, 0.0, 9),
    Configuration("projects/public/configs/cr_live", None, AdapterMode.DYNAMIC, "1xcpu", 1, 0.0, 9),
)
_KINDS = (
    "models",
    "revisions",
    "imports",
    "endpoints",
    "deployments",
    "attachments",
    "containers",
    "jobs",
    "repos",
)
#: What most routes make.
_COMMON = frozenset({"models", "revisions", "endpoints", "deployments", "repos"})


@dataclass(slots=True)
class Fault:
    """A fault to meet: `verb` (such as `endpoints.create`) raises `error`, before or after it acted.

    Attributes:
        verb: Which call.
        error: What it raises.
        acts: Whether the call takes effect all the same.
        times: How often, from the first call on.
        spared: Calls that come before the first that meets it.
    """

    verb: str
    error: PlatformError
    acts: bool = False
    times: int = 1
    spared: int = 0


@dataclass(slots=True)
class Ground:
    """What exists at the doubles, as JSON values.

    Attributes:
        file: Where it is kept; `None` keeps it in memory.
        bases: Public names of the bases that are served.
        looks: Looks until a revision is validated, a deployment is ready, or has stopped.
        reject: Reasons for which every revision that is uploaded from now on is refused.
        fail: The sentence with which every deployment that is made from now on fails.
        fail_import: The sentence with which every import that is begun from now on fails.
        fail_attachment: The sentence with which every adapter that is attached from now on fails to load.
        configurations: How a base can be run.
        slots: Adapters that a deployment takes.
        silent: Bases that do not answer without an endpoint.
        closed: Whether the first version makes no endpoints.
        cents: Price of an hour of the first version's hardware, US cents.
        events: What the platform says happened to every endpoint.
        effect: By how many 8-bit levels an adapter changes a picture.
        noise: By how many 8-bit levels two draws of one order differ.
        faults: Faults to meet.
        calls: Every call that was made, in order.
        watch: Told of every call before it does anything.
    """

    file: Path | None = None
    bases: tuple[str, ...] = ("icons",)
    looks: int = 1
    reject: tuple[str, ...] = ()
    fail: str = ""
    fail_import: str = ""
    fail_attachment: str = ""
    configurations: tuple[Configuration, ...] = CONFIGURATIONS
    slots: int = 2
    silent: tuple[str, ...] = ()
    closed: bool = False
    cents: float = 0.0
    events: tuple[HostedEvent, ...] = ()
    effect: int = 40
    noise: int = 0
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    things: dict[str, Any] = field(default_factory=dict)
    watch: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        if self.file is not None and self.file.exists():
            self.things = json.loads(self.file.read_text(encoding="utf-8"))
        else:
            self.things = {"next": 1, **{kind: {} for kind in _KINDS}}

    def counts(self) -> dict[str, int]:
        """Count what exists, by kind; what only some routes make is left out where there is none."""
        counts = {kind: len(self.things[kind]) for kind in _KINDS}
        return {kind: count for kind, count in counts.items() if count or kind in _COMMON}

    def new_id(self, prefix: str) -> str:
        """Give an id that was not given before."""
        self.things["next"] += 1
        return f"{prefix}_{self.things['next'] - 1}"

    async def meet(self, verb: str, act: Callable[[], Answer]) -> Answer:
        """Make a call: note it, meet its fault, act, keep."""
        self.calls.append(verb)
        self.watch(verb)
        fault = next((fault for fault in self.faults if fault.verb == verb and fault.times > 0), None)
        if fault is not None and fault.spared > 0:
            fault.spared -= 1
            fault = None
        if fault is not None:
            fault.times -= 1
            if not fault.acts:
                raise fault.error
        answer = act()
        self._keep()
        if fault is not None:
            raise fault.error
        return answer

    def _keep(self) -> None:
        if self.file is not None:
            draft = self.file.with_suffix(".draft")
            draft.write_text(json.dumps(self.things), encoding="utf-8")
            draft.replace(self.file)


def row_of(rows: dict[str, Any], id_: str) -> dict[str, Any]:
    """Give the row of an id. Raises NotThere when there is none."""
    if id_ not in rows:
        raise NotThere(f"Nothing has the id {id_}.")
    found: dict[str, Any] = rows[id_]
    return found
