"""Metrics that are read from the database or from the gateway's own state when Prometheus asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from lorry.errors import LorryError
from lorry.generation.gateway.directory import LiveDirectory
from lorry.generation.gateway.healths import Healths
from lorry.generation.gateway.waking import Waker
from lorry.generation.gateway.writing import LedgerWriter
from lorry.generation.routing.health import Circuit
from lorry.model.budget import standings
from lorry.model.kept import State
from lorry.model.placement import PlacementState
from lorry.server.meters import Meters
from lorry.store import Store


class Measuring:
    """Brings the metrics up to date.

    Args:
        store: The database.
        meters: The metrics.
        directory: Models and where they are.
        healths: Which places answer.
        waker: What is starting.
        ledger: Writes the ledger.
        clock: Seconds that only grow.
        present: Gives the time, UTC.
    """

    def __init__(
        self,
        store: Store,
        meters: Meters,
        directory: LiveDirectory,
        healths: Healths,
        waker: Waker,
        ledger: LedgerWriter,
        clock: Callable[[], float],
        present: Callable[[], datetime],
    ) -> None:
        self._store, self._meters, self._directory = store, meters, directory
        self._healths, self._waker, self._ledger, self._clock = healths, waker, ledger, clock
        self._present = present

    async def measure(self) -> None:
        """Read everything; what the database refuses stays as it was."""
        meters = self._meters
        meters.ledger_written.set(self._ledger.written)
        meters.ledger_dropped.set(self._ledger.dropped)
        meters.starts.set(len(self._waker.under_way))
        now = self._clock()
        circuits = Counter(str(health.circuit(now)) for health in self._healths.known.values())
        for circuit in Circuit:
            meters.places.labels(circuit).set(circuits[circuit])
        placed = Counter(str(found.state) for found in self._directory.now.placements.values())
        for state in PlacementState:
            meters.models.labels(state).set(placed[state])
        try:
            waiting = await self._store.kept.counts()
            steps = await self._store.step_totals()
            await self._money()
        except LorryError:
            return
        for stage in (State.WAITING, State.RUNNING):
            meters.queue.labels(stage).set(waiting.get(stage, 0))
        for step, outcome, count, seconds in steps:
            meters.deliveries.labels(step, outcome).set(count)
            if outcome == "done":
                meters.step_seconds.labels(step).set(seconds)

    async def _money(self) -> None:
        """Read what runs by the hour and how the budgets stand, as of the keeper's last look."""
        books, meters = self._store.books, self._meters
        runs, leases, now = await books.open_runs(), await books.leases(), self._present()
        for rehearsal in (False, True):
            label = str(rehearsal).lower()
            cents = sum(
                run.replicas * (run.cents_per_hour or 0.0) for run in runs if run.rehearsal == rehearsal
            )
            meters.running_cents.labels(label).set(cents)
            meters.leases.labels(label).set(sum(lease.rehearsal == rehearsal for lease in leases))
        budgets = await books.budgets()
        meters.budget_left.clear()
        for each in standings(budgets, await books.spent(now) if budgets else {}, now):
            meters.budget_left.labels(each.budget.scope, each.period).set(each.left)
