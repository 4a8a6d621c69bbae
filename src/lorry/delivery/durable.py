"""DBOS, in one module: workflows whose finished steps are never run again.

The ten rules of "Control-plane stack", 1.4, and where each is kept:

1. own engine for SQLite (`_engine`); 2. one runtime per home: the caller holds `lock.hold_home`, and the
executor id is new in every process, so that opening never restarts anything by itself (`_config`); 3. only
commands that deliver open a runtime; 4. is about Postgres; 5. `intents.py`; 6. `_VERSION`; 7. JSON only
(`_config`); 8. `policy.py`; 9. nothing reads DBOS's tables but through its API; 10. `pyproject.toml`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorry.errors import (
    DiskFull,
    ExtraMissing,
    HomeBusy,
    InternalError,
    LorryError,
    NotWritable,
    StorageError,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: JSON values in and out: everything of a workflow is kept as JSON.
Values = dict[str, Any]
#: A workflow is given the runtime, whose `step` and `sleep` it must use, and its values.
Body = Callable[["Runtime", Values], Awaitable[Values]]

#: Name of DBOS's file inside a home.
DURABLE_FILE = "deliveries.sqlite"

# Fixed: by default a version is a hash of the code, so that any edit would strand what is running.
_VERSION = "lorry-1"
_QUEUE = "lorry-resumed"
# A resumed workflow starts at the next look at the queue; 1 s, the default, is felt at a terminal.
_QUEUE_LOOK = 0.1
_UNFINISHED = ["PENDING", "ENQUEUED", "CANCELLED"]
_START_LIMIT = 60.0

# DBOS keeps one runtime in a process, in a global of its own; a second one would silently be the first.
_THE_RUNTIME = threading.Lock()


class Runtime:
    """A running DBOS over one home, as an asynchronous context manager.

    Args:
        home: Folder of Lorry's own state; the caller holds its lock.
        bodies: The workflows by name; each takes and gives JSON values, and raises nothing.
    """

    def __init__(self, home: Path, bodies: Mapping[str, Body]) -> None:
        self._home = home
        self._bodies = bodies
        self._dbos: Any = None
        self._engine: Engine | None = None
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._began = asyncio.Condition()
        self._workflows: dict[str, Any] = {}

    async def __aenter__(self) -> Runtime:
        if not _THE_RUNTIME.acquire(blocking=False):
            raise HomeBusy("This process already runs deliveries, and can run those of one home at a time.")
        try:
            with self._translated():
                self._dbos = await asyncio.to_thread(_load)
                await self._launch()
        except BaseException:
            await self._shut()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._shut()

    async def _launch(self) -> None:
        from dbos import DBOSClient, DBOSPortableJSONSerializer

        file = self._home / DURABLE_FILE
        known = file.exists()
        self._engine = _engine(file)
        if known:
            await asyncio.to_thread(_park, DBOSClient, self._engine, DBOSPortableJSONSerializer())
        self._dbos(config=_config(file, self._engine, DBOSPortableJSONSerializer()))
        for name, body in self._bodies.items():
            self._workflows[name] = self._dbos.workflow(name=name)(self._tracked(name, body))
        self._dbos.launch()  # in the loop's own thread: DBOS then runs resumed workflows on this loop
        await self._dbos.register_queue_async(_QUEUE, polling_interval_sec=_QUEUE_LOOK)

    def _tracked(self, name: str, body: Body) -> Callable[[Values], Awaitable[Values]]:
        async def run(values: Values) -> Values:
            task = asyncio.current_task()
            if task is None:
                raise InternalError(f"The workflow {name} was started outside an event loop.")
            async with self._began:
                self._tasks[self._dbos.workflow_id] = task
                self._began.notify_all()
            return await body(self, values)

        run.__qualname__ = run.__name__ = name
        return run

    async def start(self, name: str, prefix: str, values: Values) -> asyncio.Task[Values]:
        """Start a workflow under a new id that begins with `prefix`; give the task that runs it."""
        from dbos import SetWorkflowID

        workflow = f"{prefix}{uuid.uuid4().hex[:12]}"
        with self._translated(), SetWorkflowID(workflow):
            await self._dbos.start_workflow_async(self._workflows[name], values)
        return await self._task(workflow)

    async def resume(self, workflow: str) -> asyncio.Task[Values]:
        """Go on with an unfinished workflow after its last finished step; give the task that runs it."""
        running = self._tasks.get(workflow)
        if running is not None and not running.done():
            return running
        self._tasks.pop(workflow, None)
        with self._translated():
            await self._dbos.resume_workflow_async(workflow, queue_name=_QUEUE)
        return await self._task(workflow)

    async def unfinished(self, prefix: str) -> list[str]:
        """List the ids of this version's unfinished workflows that begin with `prefix`, oldest first."""
        return await self._list(workflow_id_prefix=prefix, status=_UNFINISHED, app_version=_VERSION)

    async def discard(self, *prefixes: str) -> None:
        """Stop and forget every workflow whose id begins with one of `prefixes`."""
        workflows = await self._list(workflow_id_prefix=list(prefixes))
        if not workflows:
            return
        with self._translated():
            await self._dbos.cancel_workflows_async(workflows)
            await self._end([task for workflow in workflows if (task := self._tasks.pop(workflow, None))])
            await self._dbos.delete_workflows_async(workflows)

    async def _list(self, **wanted: Any) -> list[str]:
        with self._translated():
            found = await self._dbos.list_workflows_async(load_input=False, load_output=False, **wanted)
        return [row.workflow_id for row in found]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise fault(error, self._home) from error

    async def step(self, name: str, act: Callable[[], Awaitable[Values]]) -> Values:
        """Run one step of the present workflow: at least once, and never again once its answer is kept."""

        async def run() -> Values:
            return await act()

        answer: Values = await self._dbos.run_step_async({"name": name}, run)
        return answer

    async def sleep(self, seconds: float) -> None:
        """Pause the present workflow; a pause that is over stays over after a restart."""
        await self._dbos.sleep_async(seconds)

    async def _task(self, workflow: str) -> asyncio.Task[Values]:
        async with self._began:
            waiting = self._began.wait_for(lambda: workflow in self._tasks)
            try:
                await asyncio.wait_for(waiting, _START_LIMIT)
            except TimeoutError as error:
                raise InternalError(
                    f"The workflow {workflow} did not start within {_START_LIMIT:.0f} s.",
                    evidence={"workflow": workflow},
                ) from error
            return self._tasks[workflow]

    async def _end(self, tasks: list[asyncio.Task[Any]]) -> None:
        present = asyncio.current_task()
        others = [task for task in tasks if task is not present and not task.done()]
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)

    async def _shut(self) -> None:
        try:
            await self._end(list(self._tasks.values()))
            if self._dbos is not None:
                dbos, self._dbos = self._dbos, None
                # DBOS made its own threads the loop's default ones, and is about to end them.
                asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
                await asyncio.to_thread(dbos.destroy, destroy_registry=True)
            if self._engine is not None:
                self._engine.dispose()
        finally:
            _THE_RUNTIME.release()


def too_old(python: tuple[int, ...], sqlite: tuple[int, ...]) -> bool:
    """Say whether DBOS can't run: with Python 3.12 or newer it uses SQL that SQLite knows since 3.42.

    Source: "Control-plane stack", 1.2 item 1. Inside DBOS it would be a failed constraint.
    """
    return python >= (3, 12) and sqlite < (3, 42)


def _load() -> Any:
    if too_old(sys.version_info[:2], sqlite3.sqlite_version_info):
        raise ExtraMissing(
            f"This Python's SQLite is {sqlite3.sqlite_version}; with Python 3.12 or newer it must be 3.42.",
            fix="Use Python 3.11, or a Python with a newer SQLite.",
            evidence={"sqlite": sqlite3.sqlite_version, "python": sys.version.split()[0]},
        )
    logger = logging.getLogger("dbos")
    if not logger.handlers:  # otherwise DBOS writes to the user's terminal
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    from dbos import DBOS

    return DBOS


def _config(file: Path, engine: Engine, serializer: object) -> Any:
    return {
        "name": "lorry",
        "system_database_url": f"sqlite:///{file}",
        "system_database_engine": engine,
        "application_version": _VERSION,
        "executor_id": f"lorry-{uuid.uuid4().hex}",
        "serializer": serializer,
        "log_level": "WARNING",
        "notification_listener_polling_interval_sec": 0.2,  # how long closing may wait for that thread
    }


def _engine(file: Path) -> Engine:
    from sqlalchemy import create_engine, event

    engine = create_engine(f"sqlite:///{file}")

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _park(client: Any, engine: Engine, serializer: object) -> None:
    """Take what a killed process had just put into the queue out again: only `resume` restarts a delivery."""
    from sqlalchemy import inspect

    if not inspect(engine).has_table("workflow_status"):
        return
    parked = client(system_database_engine=engine, serializer=serializer)
    waiting = parked.list_workflows(status="ENQUEUED", load_input=False, load_output=False)
    if waiting:
        parked.cancel_workflows([row.workflow_id for row in waiting])


def fault(error: BaseException, home: Path) -> LorryError:
    """Turn what ended a workflow from outside its steps into an error of ours.

    Args:
        error: What a workflow's task ended with.
        home: Where its file lies.
    """
    if isinstance(error, LorryError):
        return error
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    file = home / DURABLE_FILE
    evidence = {"file": str(file), "type": type(error).__name__, "text": str(error)}
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return DiskFull(f"No space is left for {file}.", evidence=evidence)
    if code is not None and code & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return NotWritable(f"{file} can't be written.", evidence=evidence)
    if code is not None and code & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        fix = "Move the file away; a delivery that it knew is adopted when you ship the model again."
        return StorageError(f"{file} is damaged.", fix=fix, evidence=evidence)
    return InternalError(f"The durable runtime failed: {type(error).__name__}: {error}", evidence=evidence)
