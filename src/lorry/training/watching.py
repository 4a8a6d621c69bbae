"""Watching folders: what is finished and still is shipped once; what is broken is told once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lorry.errors import InternalError, LorryError, NameInvalid
from lorry.model.batch import name_from
from lorry.training.naming import under_a_free_name
from lorry.training.ports import Shipper, Training, Trainings, TrainingState
from lorry.training.results import Result, results
from lorry.training.scan import Stamp, scan
from lorry.training.stillness import Stillness, mark_of

#: Seconds after which what failed for a passing reason is tried again, doubled each time.
_AGAIN_SECONDS, _AGAIN_AT_MOST = 30.0, 900.0

_ANEW = (TrainingState.FAILED, TrainingState.UNFINISHED)

#: Told of each training whose state changes; the error, where there is one.
Tell = Callable[[Training, LorryError | None], None]


@dataclass(slots=True)
class _Waiting:
    """What failed for a passing reason."""

    mark: str
    tries: int
    due: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """A training as a look found it."""

    key: str
    path: Path
    mark: str
    result: Result

    @classmethod
    def of(cls, folder: Path, result: Result, stamps: Mapping[str, Stamp]) -> _Seen:
        return cls(str(folder / result.key), folder / result.path, mark_of(result.files, stamps), result)


class Watcher:
    """Looks at folders, and has shipped what it finds.

    Args:
        folders: What to watch.
        memory: Remembers what was seen.
        shipper: Ships.
        tell: Is told what happens.
        clock: Seconds that only grow.
        present: Gives the time, UTC.
        at_once: How many are shipped at a time.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        memory: Trainings,
        shipper: Shipper,
        tell: Tell,
        clock: Callable[[], float],
        present: Callable[[], datetime],
        *,
        at_once: int = 4,
    ) -> None:
        self._folders = tuple(folders)
        self._memory, self._shipper, self._tell = memory, shipper, tell
        self._clock, self._present = clock, present
        self._room = asyncio.Semaphore(at_once)
        self._stillness = Stillness()
        self._seen: dict[str, Training] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._shipping: dict[str, asyncio.Task[None]] = {}
        self._unreadable: set[Path] = set()

    @property
    def busy(self) -> bool:
        """Whether anything is being shipped."""
        return bool(self._shipping)

    async def begin(self, *, leave: bool = False) -> int:
        """Read what was seen before; what failed, or was not finished, is looked at anew.

        Args:
            leave: Whether trainings that are there now, and were never seen, are left alone for good.

        Returns:
            How many are left alone.
        """
        known = (await self._memory.seen()).items()
        self._seen = {path: each for path, each in known if each.state not in _ANEW}
        left = 0
        for folder in self._folders if leave else ():
            stamps = await asyncio.to_thread(scan, folder)
            for result in results(stamps, folder.name):
                seen = _Seen.of(folder, result, stamps)
                if seen.key not in self._seen:
                    message = f"{seen.path} was there before the watching began."
                    await self._note(seen, TrainingState.LEFT, None, message, None, quietly=True)
                    left += 1
        return left

    async def look(self) -> bool:
        """Look once; begin to ship what is finished and still.

        Returns:
            Whether something is not still yet, or is not decided: another look is wanted soon.
        """
        soon = False
        there: set[str] = set()
        for folder in self._folders:
            stamps = await self._scanned(folder)
            for result in results(stamps, folder.name):
                seen = _Seen.of(folder, result, stamps)
                there.add(seen.key)
                soon |= await self._consider(seen)
        self._stillness.forget(there)
        return soon

    async def ended(self) -> None:
        """Wait for whatever is being shipped."""
        await asyncio.gather(*self._shipping.values(), return_exceptions=True)

    async def close(self) -> None:
        """Stop what is being shipped; a delivery that was begun goes on the next time."""
        for task in self._shipping.values():
            task.cancel()
        await self.ended()

    async def _scanned(self, folder: Path) -> dict[str, Stamp]:
        try:
            found = dict(await asyncio.to_thread(scan, folder))
        except OSError as error:
            if folder not in self._unreadable:
                self._unreadable.add(folder)
                message = f"{folder} can't be read: {error.strerror}. It is looked at again."
                where = str(folder)
                state = TrainingState.FAILED
                self._tell(Training(where, where, "", state, None, message, self._present()), None)
            return {}
        self._unreadable.discard(folder)
        return found

    async def _consider(self, seen: _Seen) -> bool:
        key, mark, now = seen.key, seen.mark, self._clock()
        if key in self._shipping:
            return False
        known = self._seen.get(key)
        waiting = self._waiting.get(key)
        if waiting is not None and waiting.mark == mark:
            if now < waiting.due:
                return False
        elif known is not None and known.mark == mark and known.state is not TrainingState.SHIPPING:
            return False
        if not self._stillness.still(key, mark, now):
            return True
        if not await self._is_end(seen, known):
            return False
        begun = known is not None and known.state is TrainingState.SHIPPING and known.mark == mark
        task = asyncio.create_task(self._ship(seen, known.model if known and begun else None))
        self._shipping[key] = task
        task.add_done_callback(lambda _: self._shipping.pop(key, None))
        return True

    async def _is_end(self, seen: _Seen, known: Training | None) -> bool:
        """Ask the header; a training that goes on is told of once, not with each of its steps."""
        try:
            finished, why = await self._shipper.finished(seen.path)
        except LorryError as error:
            await self._fail(seen, error)
            return False
        if seen.result.lacks is not None:
            finished, why = False, f"{seen.path} waits for {seen.result.lacks}."
        if finished or (seen.result.final and seen.result.lacks is None):
            return True
        again = known is not None and known.state is TrainingState.UNFINISHED
        await self._note(seen, TrainingState.UNFINISHED, None, why, None, quietly=again)
        return False

    async def _ship(self, seen: _Seen, begun: str | None) -> None:
        async with self._room:
            try:
                name = await self._ship_named(seen, begun)
            except LorryError as error:
                await self._fail(seen, error)
            except Exception as error:  # noqa: BLE001 - a fault of ours is told, and not tried for ever
                await self._fail(seen, InternalError(f"{type(error).__name__}: {error}"))
            else:
                self._waiting.pop(seen.key, None)
                await self._note(seen, TrainingState.SHIPPED, name, f"{name} is shipped.", None)

    async def _ship_named(self, seen: _Seen, begun: str | None) -> str:
        wanted = begun or _named(seen)

        async def act(name: str) -> None:
            other = f"The name {wanted} belongs to other weights, so {seen.path} is shipped as {name}."
            message = f"{seen.path} is finished, and is shipped as {name}." if name == wanted else other
            await self._note(seen, TrainingState.SHIPPING, name, message, None)
            await self._shipper.ship(seen.path, name)

        return await under_a_free_name(wanted, act)

    async def _fail(self, seen: _Seen, error: LorryError) -> None:
        """Tell what went wrong; what may pass is tried again by itself, the longer the later."""
        before = self._waiting.pop(seen.key, None)
        if error.retryable:
            tries = before.tries + 1 if before is not None and before.mark == seen.mark else 0
            due = self._clock() + min(_AGAIN_SECONDS * 2**tries, _AGAIN_AT_MOST)
            self._waiting[seen.key] = _Waiting(seen.mark, tries, due)
        await self._note(seen, TrainingState.FAILED, None, error.message, error)

    async def _note(
        self,
        seen: _Seen,
        state: TrainingState,
        model: str | None,
        message: str,
        error: LorryError | None,
        *,
        quietly: bool = False,
    ) -> None:
        before = self._seen.get(seen.key)
        training = Training(seen.key, str(seen.path), seen.mark, state, model, message, self._present())
        self._seen[seen.key] = training
        await self._memory.remember(training)
        same = before is not None and (before.state, before.message) == (state, message)
        if not quietly and not same:
            self._tell(training, error)


def _named(seen: _Seen) -> str:
    """Make a model's name of what the training is called, also where that is none, as `日本` or `a`."""
    result = seen.result
    for text in (result.name, result.path.replace("/", "-"), f"training-{result.name}"):
        with contextlib.suppress(NameInvalid):
            return name_from(text)
    return f"training-{seen.mark[:8]}"
