"""Watching: what is finished and still is shipped once; what is broken is told once. The clock is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lorry.errors import EngineNotRunning, NameTaken, SourceNotFound
from lorry.training.ports import Training, TrainingState
from lorry.training.watching import Watcher

NOW = datetime(2026, 11, 30, tzinfo=UTC)


class Memory:
    """Remembers in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[str, Training] = {}

    async def seen(self) -> Mapping[str, Training]:
        """Read all."""
        return self.rows

    async def remember(self, training: Training) -> None:
        """Write one."""
        self.rows[training.key] = training


@dataclass
class Shipper:
    """Ships into a list; fails where a test says so."""

    shipped: list[tuple[str, str]] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    ends: dict[str, bool | None] = field(default_factory=dict)
    fails: dict[str, Exception] = field(default_factory=dict)
    hold: asyncio.Event | None = None

    async def finished(self, path: Path) -> tuple[bool | None, str]:
        """Say what the test says."""
        if b"broken" in await asyncio.to_thread(path.read_bytes):
            raise SourceNotFound(f"{path.name} is broken.")
        return self.ends.get(path.name), f"{path.name} is a step."

    async def ship(self, path: Path, name: str) -> None:
        """Note it."""
        if self.hold is not None:
            await self.hold.wait()
        if name in self.taken:
            raise NameTaken(f"{name} is taken.")
        if path.name in self.fails:
            raise self.fails[path.name]
        self.shipped.append((path.name, name))


class Ground:
    """A watched folder, and what was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory, self.shipper = Memory(), Shipper()
        self.told: list[tuple[TrainingState, str]] = []
        self.now = 0.0
        self.watcher = self.again()

    def again(self) -> Watcher:
        """Start anew, as after a restart."""
        self.watcher = Watcher(
            [self.folder],
            self.memory,
            self.shipper,
            lambda training, _: self.told.append((training.state, Path(training.path).name)),
            lambda: self.now,
            lambda: NOW,
        )
        return self.watcher

    def write(self, path: str, content: bytes = b"weights") -> None:
        """Write a file."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    async def look(self, seconds: float = 0.0) -> None:
        """Look after so many seconds, and let what was begun end."""
        self.now += seconds
        await self.watcher.look()
        if self.shipper.hold is None:
            await self.watcher.ended()

    async def settle(self) -> None:
        """Look twice, with the quiet between."""
        await self.look()
        await self.look(2.0)


@pytest.fixture
async def ground(tmp_path: Path) -> Ground:
    """Give a folder with nothing in it, watched."""
    made = Ground(tmp_path)
    await made.watcher.begin()
    return made


async def test_a_finished_training_is_shipped_once(ground: Ground) -> None:
    """When it has looked the same for two seconds; never again, also not after a restart."""
    ground.write("tok/tok.safetensors")
    await ground.look()
    await ground.look(1.9)
    assert ground.shipper.shipped == []
    await ground.look(0.1)
    assert ground.shipper.shipped == [("tok.safetensors", "tok")]
    await ground.settle()
    await ground.again().begin()
    await ground.settle()
    assert ground.shipper.shipped == [("tok.safetensors", "tok")]
    assert [state for state, _ in ground.told] == [TrainingState.SHIPPING, TrainingState.SHIPPED]


async def test_what_grows_is_waited_for(ground: Ground) -> None:
    """Each change of size or time begins the two seconds anew, and those of its other files do too."""
    for number in range(4):
        ground.write("tok/tok.safetensors", b"x" * (number + 1))
        await ground.look(1.5)
    ground.write("tok/tok_000000250.safetensors")
    await ground.look(1.5)
    assert ground.shipper.shipped == []
    await ground.look(2.0)
    assert len(ground.shipper.shipped) == 1


async def test_a_broken_file_is_told_once_and_tried_when_it_changes(ground: Ground) -> None:
    """Nothing of it is shipped; written anew it is."""
    ground.write("tok.safetensors", b"broken")
    for _ in range(3):
        await ground.settle()
    assert ground.told == [(TrainingState.FAILED, "tok.safetensors")]
    ground.write("tok.safetensors", b"whole and sound")
    await ground.settle()
    assert ground.shipper.shipped == [("tok.safetensors", "tok")]


async def test_steps_wait_for_the_end(ground: Ground) -> None:
    """A training under way is told once, however many steps it saves; its end is shipped when it comes."""
    for step in (1, 2, 3):
        ground.write(f"ann-{step:06}.safetensors")
        await ground.settle()
    assert [state for state, _ in ground.told] == [TrainingState.UNFINISHED]
    ground.shipper.ends["ann-000004.safetensors"] = True
    ground.write("ann-000004.safetensors")
    await ground.settle()
    assert ground.shipper.shipped == [("ann-000004.safetensors", "ann")]


async def test_half_of_a_pair_waits_for_the_other(ground: Ground) -> None:
    """A LoRA for Wan 2.2 are two files: told once, and shipped when both are there."""
    ground.write("wan/ann_low_noise.safetensors")
    await ground.settle()
    assert ground.told == [(TrainingState.UNFINISHED, "ann_low_noise.safetensors")]
    ground.write("wan/ann_high_noise.safetensors")
    await ground.settle()
    assert ground.shipper.shipped == [("ann_high_noise.safetensors", "ann")]


async def test_a_name_that_is_taken_is_counted_up(ground: Ground) -> None:
    """Trained again in place, or a stranger's name: the next free one is taken."""
    ground.shipper.taken = {"tok", "tok-2"}
    ground.write("tok.safetensors")
    await ground.settle()
    assert ground.shipper.shipped == [("tok.safetensors", "tok-3")]


@pytest.mark.parametrize(
    ("file", "name"), [("a.safetensors", "training-a"), ("日本.safetensors", "training")]
)
async def test_every_training_has_a_name(ground: Ground, file: str, name: str) -> None:
    """Also one whose own name can't be a model's."""
    ground.write(file)
    await ground.settle()
    [(_, given)] = ground.shipper.shipped
    assert given.startswith(name)


async def test_what_fails_for_a_passing_reason_is_tried_again(ground: Ground) -> None:
    """After 30 s, then 60, told once; what fails for good is not tried again."""
    ground.shipper.fails = {
        "ann.safetensors": EngineNotRunning("no"),
        "bob.safetensors": SourceNotFound("no"),
    }
    ground.write("ann.safetensors")
    ground.write("bob.safetensors")
    await ground.settle()
    await ground.look(29.0)
    del ground.shipper.fails["bob.safetensors"]
    await ground.look(1.0)  # the second try of a
    del ground.shipper.fails["ann.safetensors"]
    await ground.look(59.0)
    assert ground.shipper.shipped == []
    await ground.look(1.0)
    assert ground.shipper.shipped == [("ann.safetensors", "ann")]


async def test_a_fault_of_ours_is_told_once_and_not_tried_for_ever(ground: Ground) -> None:
    """It is an error like any other: the others are shipped, and the file is tried when it changes."""
    ground.shipper.fails = {"ann.safetensors": ZeroDivisionError("no")}
    ground.write("ann.safetensors")
    ground.write("bob.safetensors")
    for _ in range(3):
        await ground.settle()
    assert ground.told.count((TrainingState.FAILED, "ann.safetensors")) == 1
    assert ground.shipper.shipped == [("bob.safetensors", "bob")]


async def test_a_restart_in_the_middle_goes_on_under_the_same_name(ground: Ground) -> None:
    """Killed while it ships under a second name: the delivery that was begun is gone on with."""
    ground.shipper.taken = {"tok"}
    ground.write("tok.safetensors")
    await ground.settle()
    [row] = ground.memory.rows.values()
    ground.memory.rows[row.key] = replace(row, state=TrainingState.SHIPPING, model="tok-2")
    ground.shipper.shipped.clear()
    await ground.again().begin()
    await ground.settle()
    assert ground.shipper.shipped == [("tok.safetensors", "tok-2")]


async def test_a_slow_delivery_holds_up_no_other(ground: Ground) -> None:
    """What is being shipped is not begun twice, and others are shipped beside it."""
    ground.shipper.hold = asyncio.Event()
    ground.write("ann.safetensors")
    await ground.settle()
    ground.write("bob.safetensors")
    await ground.settle()
    await ground.look(10.0)
    ground.shipper.hold.set()
    await ground.watcher.ended()
    assert sorted(ground.shipper.shipped) == [("ann.safetensors", "ann"), ("bob.safetensors", "bob")]


async def test_what_was_there_before_can_be_left_alone(tmp_path: Path) -> None:
    """For good: also after a restart that does not ask for it; a file written anew is a new one."""
    ground = Ground(tmp_path)
    ground.write("old.safetensors")
    assert await ground.watcher.begin(leave=True) == 1
    ground.write("new.safetensors")
    await ground.settle()
    await ground.again().begin()
    await ground.settle()
    assert ground.shipper.shipped == [("new.safetensors", "new")]
    ground.write("old.safetensors", b"trained again")
    await ground.settle()
    assert ground.shipper.shipped[1:] == [("old.safetensors", "old")]


async def test_a_folder_that_goes_away_is_told_once_and_looked_at_again(tmp_path: Path) -> None:
    """A network drive comes and goes; nothing of what was seen is forgotten."""
    ground = Ground(tmp_path / "drive")
    ground.write("tok.safetensors")
    await ground.watcher.begin()
    await ground.settle()
    (tmp_path / "drive").rename(tmp_path / "gone")
    await ground.settle()
    (tmp_path / "gone").rename(tmp_path / "drive")
    await ground.settle()
    assert ground.told.count((TrainingState.FAILED, "drive")) == 1
    assert ground.shipper.shipped == [("tok.safetensors", "tok")]
