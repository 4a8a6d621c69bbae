"""A platform and a store in memory, with a clock, an invoice and faults: what a month is simulated on."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from lorry.errors import AnswerLost, NotThere
from lorry.model.billing import Billed, BilledKind, Lease, Run
from lorry.model.budget import Budget, Spent
from lorry.model.names import provider_name
from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel
from lorry.model.serving import Policy
from lorry.spend.ports import Activity, Listing
from lorry.spend.scaling import Load

START = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
CENTS = 549.0


@dataclass
class Replica:
    """A deployment of one replica: when it was asked for, when it answers, when it stopped."""

    id: str
    name: str
    created: float
    on: bool = True
    ready: float = 0.0
    until: datetime | None = None
    runs: list[list[float]] = field(default_factory=list)
    steps: list[tuple[float, int]] = field(default_factory=list)
    asked: float = -math.inf


class World:
    """The platform: `Fleet`, with its clock in seconds since `START`.

    Args:
        start: Seconds from asked for to answering.
    """

    def __init__(self, start: float) -> None:
        self.address, self.rehearsal = "the simulated platform", False
        self.clock = 0.0
        self.start_seconds = start
        self.things: dict[str, Replica] = {}
        self.stale: Listing | None = None
        self.calls: dict[str, int] = defaultdict(int)
        self.lose_stops = 0

    def now(self) -> datetime:
        """Give the time, UTC."""
        return START + timedelta(seconds=self.clock)

    def create(self, name: str) -> Replica:
        """Make a deployment that starts."""
        made = Replica(f"dep_{len(self.things)}", name, self.clock)
        self.things[made.id] = made
        self._begin(made)
        return made

    def _begin(self, thing: Replica) -> None:
        thing.on, thing.ready = True, self.clock + self.start_seconds
        thing.runs.append([thing.ready, math.inf])
        thing.steps.append((thing.ready, 1))

    def _end(self, thing: Replica) -> None:
        if not thing.on:
            return
        thing.on = False
        run = thing.runs[-1]
        if run[0] >= self.clock:  # it never answered
            thing.runs.pop()
            thing.steps.pop()
        else:
            run[1] = self.clock
            thing.steps.append((self.clock, 0))

    def ask(self, id_: str) -> float:
        """Ask something that may be off; it starts then. Give the seconds that the request waits."""
        thing = self.things[id_]
        if not thing.on:
            self._begin(thing)
        thing.asked = self.clock
        return max(0.0, thing.ready - self.clock)

    def minutes(self) -> int:
        """Give the minutes that are billed, each that is begun."""
        return sum(
            max(0, math.ceil(round(min(end, self.clock) - begin, 6) / 60))
            for thing in self.things.values()
            for begin, end in thing.runs
        )

    async def list(self) -> Listing:
        """List everything, or what was there before while the list is stale."""
        self.calls["list"] += 1
        return self.stale or Listing(tuple(map(self._shown, self.things.values())))

    def _shown(self, thing: Replica) -> Billed:
        running = int(thing.on and thing.ready <= self.clock)
        return Billed(
            thing.id, BilledKind.DEPLOYMENT, thing.name, "ep", thing.name, running, int(thing.on),
            "1xh100", CENTS, "", START + timedelta(seconds=thing.created), thing.until,
        )  # fmt: skip

    async def changes(self, thing: Billed) -> tuple[tuple[datetime, int], ...]:
        """Give the history of its replicas."""
        self.calls["changes"] += 1
        found = self.things.get(thing.id)
        if found is None:
            raise NotThere("It is gone.")
        return tuple((START + timedelta(seconds=at), count) for at, count in found.steps if at <= self.clock)

    async def requests(self, thing: Billed, since: datetime) -> int | None:
        """Count what was asked since a time: one, or none."""
        self.calls["requests"] += 1
        return int(self.things[thing.id].asked >= (since - START).total_seconds())

    async def renew(self, thing: Billed, until: datetime) -> None:
        """Note the expiry."""
        self.calls["renew"] += 1
        self.things[thing.id].until = until

    async def start(self, thing: Billed, replicas: int, most: int) -> None:
        """Have it run."""
        del replicas, most
        self.calls["start"] += 1
        if not self.things[thing.id].on:
            self._begin(self.things[thing.id])

    async def stop(self, thing: Billed) -> None:
        """Have it not run; some answers are lost after it acted."""
        self.calls["stop"] += 1
        self._end(self.things[thing.id])
        if self.lose_stops:
            self.lose_stops -= 1
            raise AnswerLost("The answer did not arrive.")


class Memory:
    """`Books` in memory."""

    def __init__(self) -> None:
        self.models: dict[str, TrainedModel] = {}
        self.placements: dict[str, Placement] = {}
        self.policies: dict[str, Policy] = {}
        self.held: dict[str, Lease] = {}
        self.ran: dict[tuple[str, datetime], Run] = {}
        self.seen: dict[str, Activity] = {}

    def place(self, model: str, deployment: str | None) -> str:
        """Write a model and its placement; give the name of its things."""
        digest = hashlib.sha256(model.encode()).hexdigest()
        self.models[model] = TrainedModel(model, "/x", digest, "f", "b", None, 1, START, "text-lora")
        self.placements[model] = Placement(
            model, "together-merged", PlacementState.READY, None, ProviderIds(deployment=deployment), None,
            None, START,
        )  # fmt: skip
        return provider_name(model, digest)

    def note(self, model: str, at: datetime) -> None:
        """Note a request."""
        self.seen[model] = Activity(at, Load(1.0, 1.0))

    async def leases(self) -> tuple[Lease, ...]:
        """Read all leases."""
        return tuple(self.held.values())

    async def save_leases(self, leases: Sequence[Lease], gone: Collection[str] = ()) -> None:
        """Write leases, and forget some."""
        for each in gone:
            self.held.pop(each, None)
        self.held.update((each.object, each) for each in leases)

    async def open_runs(self) -> tuple[Run, ...]:
        """Read what runs."""
        return tuple(run for run in self.ran.values() if run.ended_at is None)

    async def save_runs(self, runs: Sequence[Run]) -> None:
        """Write runs."""
        self.ran.update(((run.object, run.begun_at), run) for run in runs)

    async def activity(self, since: datetime, now: datetime) -> Mapping[str, Activity]:
        """Give what was asked; a request a moment ago is one at once."""
        fresh = now - timedelta(minutes=2)
        return {
            model: found if found.used_at and found.used_at >= fresh else replace(found, load=Load())
            for model, found in self.seen.items()
            if found.used_at is not None and found.used_at >= since
        }

    async def budgets(self) -> tuple[Budget, ...]:
        """Give no budgets."""
        return ()

    async def spent(self, now: datetime) -> Mapping[str, Spent]:
        """Give nothing."""
        del now
        return {}

    async def shipped(self) -> tuple[tuple[TrainedModel, ...], tuple[Placement, ...], Mapping[str, Policy]]:
        """Read models, placements, policies."""
        return tuple(self.models.values()), tuple(self.placements.values()), self.policies
