"""The fault machine: anything may happen in any order, and some things must hold all the same.

Over the doubles with the real durable runtime. Rules ship, resume, cancel, retry and retire models, let a
worker sweep, crash in the middle, lose answers of calls that acted, lose and stop objects behind our back,
and let another process work on the same model. After each of them:

* there is at most one object of each kind for a model;
* nothing that bills is without an owner in our records;
* every request ended in a result or in one of our errors, or is still owned;
* no more runs than was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lorry.delivery import Deliveries, Policy, Working
from lorry.delivery.doubles import Fault
from lorry.errors import (
    AnswerLost,
    Conflict,
    LorryError,
    PlatformFault,
    RateLimited,
    Unreachable,
)
from lorry.model.events import Event
from lorry.model.options import ShipOptions, Wish
from lorry.model.placement import PlacementState
from tests.delivery.conftest import Bench
from tests.delivery.others import Cut, agree, other_holds
from tests.delivery.test_every_call_is_intended import ACTS, LOOKS

#: Models by name, each with the route that it goes, and where the platform takes the files from.
MODELS = {
    "one": ("together-merged", None),
    "two": ("together-attached", None),
    "three": ("together-merged", "hub"),
}
#: No pause is felt, what does not come is given up after a few hundred looks, and a lease that ended is not
#: waited for.
QUICK = Policy(
    first_look=0.0005,
    steady=0.001,
    slowest=0.001,
    first_retry=0.0005,
    longest_retry=0.001,
    tries=3,
    limits={},
    limit=0.2,
)
ERRORS = (AnswerLost, PlatformFault, Unreachable, Conflict, RateLimited)

names = st.sampled_from(sorted(MODELS))


class Faults(RuleBasedStateMachine):
    """One run of the machine; `steps` counts those of all runs."""

    steps = 0

    @initialize()
    def begin(self) -> None:
        """Make an empty platform and a home."""
        self._folder = tempfile.TemporaryDirectory()
        home = Path(self._folder.name, "home")
        home.mkdir()
        self._runner = asyncio.Runner()
        self.bench = Bench(home, Path(self._folder.name, "one.safetensors"), policy=QUICK)
        self.bench.ground = replace(self.bench.ground, slots=4)
        for name in MODELS:
            self._source(name).write_bytes(f"weights of {name}".encode() * 20)
        self._door: Deliveries | None = None
        self._open()

    def teardown(self) -> None:
        """Close what is open."""
        if hasattr(self, "_runner"):
            self._close()
            self._runner.close()
            self._folder.cleanup()

    # Requests

    @rule(name=names)
    def ship(self, name: str) -> None:
        """Ship a model, or go on with it."""
        self._ask(lambda door: door.ship(self._source(name), name, self._wish(name), agree))

    @rule(name=names)
    def resume(self, name: str) -> None:
        """Go on with a delivery, or bring back what the platform stopped."""
        self._ask(lambda door: door.resume(name))

    @rule(name=names, undo=st.booleans())
    def cancel(self, name: str, undo: bool) -> None:
        """Stop a delivery, keeping or undoing what exists."""
        self._ask(lambda door: door.cancel(name, undo=undo))

    @rule(name=names, start=st.sampled_from(["upload", "import", "deploy", "attach", "prove"]))
    def retry(self, name: str, start: str) -> None:
        """Do a part of it again."""
        self._ask(lambda door: door.retry(name, start))

    @rule(name=names)
    def retire(self, name: str) -> None:
        """Remove a model."""
        self._ask(lambda door: door.retire(name))

    @rule()
    def sweep(self) -> None:
        """Let a worker look, and do all that it takes up."""

        async def work(door: Deliveries) -> None:
            await Working(door).sweep()
            await door.settled()

        self._ask(work)

    # What goes wrong

    @rule(
        verb=st.sampled_from(sorted(ACTS | LOOKS)),
        kind=st.sampled_from(ERRORS),
        acts=st.booleans(),
        times=st.integers(1, 4),
    )
    def lose_an_answer(self, verb: str, kind: type[Any], acts: bool, times: int) -> None:
        """Have calls fail: without having acted, or after they acted."""
        acted = acts and kind in (AnswerLost, PlatformFault)
        self.bench.ground.faults.append(Fault(verb, kind("It went wrong."), acts=acted, times=times))

    @rule()
    def recover(self) -> None:
        """Have the platform be well again."""
        self.bench.ground.faults.clear()

    @rule(name=names, after=st.integers(1, 40))
    def crash(self, name: str, after: int) -> None:
        """End the process in the middle of a delivery; another one begins."""
        cut = Cut(after)
        self._close()
        self._open(cut.hear)
        self._ask(lambda door: cut.off(door.ship(self._source(name), name, self._wish(name), agree)))
        self._close()
        self._open()

    @rule(kind=st.sampled_from(["deployments", "attachments", "endpoints", "models", "repos"]))
    def lose_an_object(self, kind: str) -> None:
        """Have the platform forget something that is ours."""
        things = self.bench.ground.things
        if not things[kind]:
            return
        lost = sorted(things[kind])[0]
        del things[kind][lost]
        if kind == "endpoints":  # what lived in it goes with it
            for id_ in _of(things["deployments"], "endpoint", {lost}):
                del things["deployments"][id_]
        gone = {row["deployment"] for row in things["attachments"].values()} - set(things["deployments"])
        for id_ in _of(things["attachments"], "deployment", gone):
            del things["attachments"][id_]

    @rule()
    def stop_behind_our_back(self) -> None:
        """Have the platform stop a deployment."""
        for row in self.bench.ground.things["deployments"].values():
            row.update(aim="stop", looks=9)

    @rule(name=names)
    def another_works_and_dies(self, name: str) -> None:
        """Have another process take a delivery that nobody has, and end with it."""

        async def work(_: Deliveries) -> None:
            if name not in await self.bench.claims.claims():
                other = await other_holds(self.bench.claims, name)
                self.bench.claims.expire(other.id)

        self._ask(work)

    # What must hold

    @invariant()
    def one_of_each(self) -> None:
        """At most one object of each kind has the name of a model."""
        Faults.steps += 1
        if not hasattr(self, "bench"):
            return
        things = self.bench.ground.things
        for kind in ("models", "endpoints", "deployments"):
            counted = Counter(row["name"] for row in things[kind].values())
            assert not [name for name, count in counted.items() if count > 1], (kind, counted)
        sent = Counter(
            row["model"] for row in things["revisions"].values() if row["model"] in things["models"]
        )
        assert not [model for model, count in sent.items() if count > 1]
        fetched = Counter(
            row["model"] for row in things["imports"].values() if row["model"] in things["models"]
        )
        assert not [model for model, count in fetched.items() if count > 1]
        attached = Counter((row["deployment"], row["model"]) for row in things["attachments"].values())
        assert not [pair for pair, count in attached.items() if count > 1]

    @invariant()
    def what_bills_has_an_owner(self) -> None:
        """A deployment that runs belongs to a model that is known here; no more run than are placed."""
        if not hasattr(self, "bench"):
            return
        placements = self._runner.run(self.bench.store.placements())
        running = [row for row in self.bench.ground.things["deployments"].values() if row["aim"] == "run"]
        assert len(running) <= len(placements)
        for row in running:
            owners = [each.model for each in placements if f"-{each.model}-" in row["name"]]
            shared = row["name"].startswith("lorry-adapters-")
            assert owners or (shared and any(each.route == "together-attached" for each in placements)), row

    @invariant()
    def every_request_has_ended_or_is_owned(self) -> None:
        """Nothing is held by a process that does nothing; a state is one of those that mean something."""
        door = getattr(self, "_door", None)
        if door is None:
            return
        assert door.custody.held == frozenset()
        for placement in self._runner.run(self.bench.store.placements()):
            assert placement.state is not PlacementState.RETIRED
            if placement.state is PlacementState.FAILED:
                assert placement.error is not None

    # How

    def _open(self, hear: Callable[[Event], None] | None = None) -> None:
        opening = self.bench.open(listen=hear) if hear else self.bench.open()
        self._opened = opening
        self._door = self._runner.run(opening.__aenter__())

    def _close(self) -> None:
        if self._door is not None:
            self._door = None
            self._runner.run(self._opened.__aexit__(None, None, None))

    def _ask(self, request: Callable[[Deliveries], Awaitable[object]]) -> None:
        """Make a request; it ends with a result or with one of our errors, and leaves nothing running."""

        async def asked() -> None:
            assert self._door is not None
            with contextlib.suppress(LorryError):
                await request(self._door)
            await self._door.settled()

        self._runner.run(asked())

    def _source(self, name: str) -> Path:
        return Path(self._folder.name, f"{name}.safetensors")

    def _wish(self, name: str) -> Wish:
        route, remote = MODELS[name]
        self.bench.wish = Wish(route, options=ShipOptions(remote=remote))
        self.bench.check.kind = "text-lora"
        return self.bench.wish


def _of(rows: dict[str, Any], column: str, values: set[str]) -> list[str]:
    """List the ids of rows that belong to something."""
    return [id_ for id_, row in rows.items() if row[column] in values]
