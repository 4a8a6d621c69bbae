"""The fault machine over the engine: the official clients, its faults, its clock, its bill.

What `machine.py` does over the doubles, at the price of a real request for each look: rules ship, work, stop,
generate, resume and retire, cut answers of requests that acted, crash, lose objects, let time pass. What
holds after each of them: one object of each kind for a model; what runs belongs to a model that is known here
and not over; and the invoice is at most what the known models were to cost for as long as they were known.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lorry.delivery import Deliveries, Policy, Working
from lorry.delivery.ports import Platform
from lorry.engine.testing import running_engine
from lorry.errors import LorryError
from lorry.generation import Generations
from lorry.model.events import Event
from lorry.model.options import Wish
from lorry.model.placement import Placement, PlacementState
from lorry.platforms.together import connect
from lorry.settings import Settings
from lorry.wiring import House, now
from tests.delivery.others import Cut, agree, other_holds

EXAMPLES = Path(__file__).parents[2] / "examples"
KEY = "the-machine"
#: Models by name, each with its files and the route it goes.
MODELS = {"one": ("tok", "local"), "two": ("dispatch", "together-merged")}
QUICK = Policy(
    first_look=0.001,
    steady=0.002,
    slowest=0.01,
    first_retry=0.001,
    longest_retry=0.01,
    tries=3,
    limits={},
    limit=0.2,
)
#: Where an answer can be lost on the way.
PATHS = ("*/models", "*/models/upload/*", "*/endpoints", "*/deployments", "*/deployments/*", "*/endpoints/*")
#: What is refused for good while a delivery is under way; the last two when all of it runs already.
VAIN = (
    ("POST", "*/models"),
    ("GET", "*/deployments/*"),
    ("PATCH", "*/endpoints/*"),
    ("POST", "*/images/generations"),
    ("POST", "*/chat/completions"),
)

names = st.sampled_from(sorted(MODELS))


class EngineFaults(RuleBasedStateMachine):
    """One run of the machine; `steps` counts those of all runs."""

    steps = 0

    @initialize()
    def begin(self) -> None:
        """Start an engine with prices, and open a home."""
        self._folder = tempfile.TemporaryDirectory()
        self._rooms = contextlib.ExitStack()
        place = Path(self._folder.name)
        self.engine = self._rooms.enter_context(running_engine(place / "engine", hardware="together"))
        self._runner = self._rooms.enter_context(asyncio.Runner())
        self._settings = Settings(home=place / "home", engine_url=self.engine.url, engine_key=KEY)
        self._allowed = 0.0  # replica-seconds that the known models were to cost
        self._open()

    def teardown(self) -> None:
        """Close what is open."""
        if hasattr(self, "_runner"):
            self._close()
            self._rooms.close()
            self._folder.cleanup()

    # Requests

    @rule(name=names)
    def ship(self, name: str) -> None:
        """Ship a model, or go on with it."""
        self._ask(lambda: self._ship(name))

    @rule(name=names)
    def resume(self, name: str) -> None:
        """Go on with a delivery, or start again what was stopped."""
        self._ask(lambda: self._deliveries.resume(name))

    @rule(name=names, undo=st.booleans())
    def cancel(self, name: str, undo: bool) -> None:
        """Stop a delivery, keeping or undoing what exists."""
        self._ask(lambda: self._deliveries.cancel(name, undo=undo))

    @rule(name=names)
    def retire(self, name: str) -> None:
        """Remove a model."""
        self._ask(lambda: self._deliveries.retire(name))

    @rule()
    def work(self) -> None:
        """Let a worker look, and do all that it takes up."""
        self._ask(lambda: Working(self._deliveries).sweep())

    @rule()
    def generate(self) -> None:
        """Draw a picture."""
        self._ask(lambda: self._generations.generate("one", "a tok", seed=1, steps=1, size=64))

    # What goes wrong

    @rule(
        kind=st.sampled_from(["cut", "garble", "refuse", "fail", "capacity", "reject"]),
        path=st.sampled_from(PATHS),
        method=st.sampled_from(["POST", "PATCH", "DELETE", "GET"]),
        times=st.integers(1, 3),
    )
    def fault(self, kind: str, path: str, method: str, times: int) -> None:
        """Have requests act and lose their answer, or be refused, or make what fails."""
        where = {"path": path, "method": method} if kind in ("cut", "garble", "refuse") else {}
        self._engine_is_told("POST", "faults", {"kind": kind, "times": times, **where})

    @rule(name=names, refused=st.sampled_from(VAIN))
    def ship_in_vain(self, name: str, refused: tuple[str, str]) -> None:
        """Ship while one kind of request is refused as often as it is tried."""
        method, path = refused
        self._engine_is_told("POST", "faults", {"kind": "refuse", "times": 9, "path": path, "method": method})
        self._ask(lambda: self._ship(name))
        self._engine_is_told("DELETE", "faults", None)

    @rule()
    def recover(self) -> None:
        """Have the platform be well again."""
        self._engine_is_told("DELETE", "faults", None)

    @rule(name=names, after=st.integers(1, 30))
    def crash(self, name: str, after: int) -> None:
        """End the process in the middle of a delivery; another one begins."""
        cut = Cut(after)
        self._close()
        self._open(cut.hear)
        self._ask(lambda: cut.off(self._ship(name)), settle=False)
        self._close()
        self._open()

    @rule(minutes=st.integers(1, 300))
    def advance(self, minutes: int) -> None:
        """Let time pass; what may run meanwhile is what belongs to a model that is not over."""
        placements = self._runner.run(self._store.placements())
        self._allowed += 60.0 * minutes * sum(_may_run(each) for each in placements)
        self.engine.advance(60.0 * minutes)

    @rule(name=names)
    def stop_behind_our_back(self, name: str) -> None:
        """Have a person stop a model's deployment at the platform."""

        async def stop(at: Platform, endpoint: str, deployment: str) -> None:
            await at.deployments.stop(endpoint, deployment)

        self._ask(lambda: self._by_hand(name, stop))

    @rule(name=names)
    def delete_behind_our_back(self, name: str) -> None:
        """Have a person delete a model's deployment at the platform."""

        async def delete(at: Platform, endpoint: str, deployment: str) -> None:
            await at.endpoints.route(endpoint, {})
            await at.deployments.stop(endpoint, deployment)
            await at.deployments.delete(endpoint, deployment)

        self._ask(lambda: self._by_hand(name, delete))

    @rule(name=names)
    def another_works_and_dies(self, name: str) -> None:
        """Have another process take a delivery that nobody has, and end with it."""

        async def work() -> None:
            claims = self._store.claiming
            if name not in await claims.claims():
                await claims.enlist(await other_holds(claims, name), 0.0)

        self._ask(work)

    # What must hold

    @invariant()
    def one_of_each(self) -> None:
        """At most one object of each kind has the name of a model, and a model one set of files."""
        EngineFaults.steps += 1
        if not hasattr(self, "engine"):
            return
        documents = self.engine.engine.works.documents
        for kind in ("model", "endpoint", "deployment"):
            counted = Counter(row["name"] for row in documents.all(kind))
            assert not [name for name, count in counted.items() if count > 1], (kind, counted)
        sent = Counter(row["model_id"] for row in documents.all("revision") if row["outcome"] == "SUCCESS")
        assert not [model for model, count in sent.items() if count > 1]

    @invariant()
    def what_bills_has_an_owner(self) -> None:
        """What runs belongs to a model that is known here, and that is not over."""
        if not hasattr(self, "engine"):
            return
        known = {each.model: each for each in self._runner.run(self._store.placements())}
        running = [run for run in self.engine.engine.shelves.runs.all() if not run.ended_at]
        for run in running:
            assert run.replicas == 1
            owner = known.get(run.name.removeprefix("lorry-").rpartition("-")[0])
            assert owner is not None, run
            assert _may_run(owner), (run, owner)
        assert len({run.name for run in running}) == len(running)

    @invariant()
    def the_bill_is_as_planned(self) -> None:
        """No more time is billed than models were known for; each start begins one more minute."""
        if not hasattr(self, "engine"):
            return
        headers = {"Authorization": "Bearer a-person"}
        bill = httpx2.get(f"{self.engine.url}/_lorry/invoice", headers=headers).json()
        lines = bill["lines"]
        assert sum(line["seconds"] * line["replicas"] for line in lines) <= self._allowed
        price = max((line["centsPerHour"] for line in lines), default=0)
        assert bill["totalCents"] <= (self._allowed / 60 + len(lines)) * price / 60 + 0.01

    @invariant()
    def nothing_is_held_by_nobody(self) -> None:
        """A request that has ended holds no delivery."""
        if hasattr(self, "_deliveries"):
            assert self._deliveries.custody.held == frozenset()

    # How

    def _open(self, hear: Callable[[Event], None] | None = None) -> None:
        async def open_() -> None:
            self._house = House(self._settings)
            self._store = await self._house.store()
            self._deliveries = await self._open_rooms.enter_async_context(
                Deliveries(
                    home=self._settings.home,
                    records=self._store,
                    journal=self._store,
                    intents=self._store,
                    claims=self._store.claiming,
                    places=self._house,
                    now=now,
                    policy=QUICK,
                    listen=hear,
                )
            )
            self._generations: Generations = await self._house.generations()

        self._open_rooms = AsyncExitStack()
        self._runner.run(open_())

    def _close(self) -> None:
        async def close() -> None:
            await self._open_rooms.aclose()
            await self._house.close()

        self._runner.run(close())

    def _ask(self, request: Callable[[], Awaitable[object]], *, settle: bool = True) -> None:
        """Make a request; it ends with a result or with one of our errors, and leaves nothing running."""

        async def asked() -> None:
            with contextlib.suppress(LorryError):
                await request()
            if settle:
                await self._deliveries.settled()

        self._runner.run(asked())

    async def _ship(self, name: str) -> object:
        example, route = MODELS[name]
        wish = Wish(route, rehearsal=route != "local")
        return await self._deliveries.ship(EXAMPLES / example, name, wish, agree)

    async def _by_hand(self, name: str, act: Callable[[Platform, str, str], Awaitable[None]]) -> None:
        placement = await self._store.placement(name)
        if placement is None or not placement.ids.deployment or not placement.ids.endpoint:
            return
        async with connect(self.engine.url, "a-person") as platform:
            await act(platform, placement.ids.endpoint, placement.ids.deployment)

    def _engine_is_told(self, method: str, what: str, body: Any) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = httpx2.request(method, f"{self.engine.url}/_lorry/{what}", json=body, headers=headers)
        assert answer.is_success, answer.text


def _may_run(placement: Placement) -> bool:
    """Say whether a model may bill: not when its delivery failed, unless that error says so."""
    if placement.state is not PlacementState.FAILED:
        return True
    return "not_stopped" in (placement.error or {}).get("evidence", {})
