"""DBOS, in one module: workflows whose finished steps are never run again.

The ten rules of "Control-plane stack", 1.4, and where each is kept: 1., 6. and 7. `durable_opening`; 2. the
executor is the worker's id, new in every process, and each listens to a queue of its own, so that opening
never restarts anything and nobody takes what another resumed; 3. only commands that deliver open a runtime;
4. `custody.py`; 5. `intents.py`; 8. a pause is part of its step, and a cancellation ends it at once;
9. nothing reads DBOS's tables but through its API; 10. `pyproject.toml`.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorry.delivery.durable_opening import DURABLE_FILE, VERSION, config_of, engine_of, fault, load
from lorry.delivery.lock import alone
from lorry.errors import HomeBusy, InternalError

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: JSON values in and out: everything of a workflow is kept as JSON.
Values = dict[str, Any]
#: A workflow is given the runtime, whose `step` and `sleep` it must use, and its values.
Body = Callable[["Runtime", Values], Awaitable[Values]]

#: A resumed workflow starts at the next look at the queue; 1 s, the default, is felt at a terminal.
_QUEUE_LOOK = 0.1
_QUEUES = "lorry-"
_UNFINISHED = ["PENDING", "ENQUEUED", "CANCELLED"]
_START_LIMIT = 60.0

# DBOS keeps one runtime in a process, in a global of its own; a second one would silently be the first.
_THE_RUNTIME = threading.Lock()


class Runtime:
    """A running DBOS over one database, as an asynchronous context manager.

    Args:
        home: Folder of Lorry's own state.
        bodies: The workflows by name; each takes and gives JSON values, and raises nothing.
        worker: Id of this process, new in every process.
        database: Address of a Postgres database; SQLite in the home when `None`.
    """

    def __init__(
        self, home: Path, bodies: Mapping[str, Body], worker: str, database: str | None = None
    ) -> None:
        self._home = home
        self._bodies = bodies
        self._worker = worker
        self._queue = f"{_QUEUES}{worker}"
        self._database = database
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
                self._dbos = await asyncio.to_thread(load)
                await self._launch()
        except BaseException:
            await self._shut()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._shut()

    async def _launch(self) -> None:
        if self._database is None:
            self._engine = engine_of(self._home / DURABLE_FILE)
        self._dbos(config=config_of(self._home, self._database, self._engine, self._worker))
        for name, body in self._bodies.items():
            self._workflows[name] = self._dbos.workflow(name=name)(self._tracked(name, body))
        self._dbos.listen_queues([self._queue])
        with alone(self._home / "deliveries.lock"):  # two that make the same tables at once would collide
            self._dbos.launch()  # in the loop's own thread: DBOS then runs resumed workflows on this loop
        await self._dbos.register_queue_async(self._queue, polling_interval_sec=_QUEUE_LOOK)

    async def tidy(self, living: Collection[str]) -> None:
        """Forget the queues of workers that are gone.

        Args:
            living: Ids of those that live, besides this one.
        """
        kept = {f"{_QUEUES}{worker}" for worker in (*living, self._worker)}
        with self._translated():
            for queue in await self._dbos.list_queues_async():
                if queue.name.startswith(_QUEUES) and queue.name not in kept:
                    await self._dbos.delete_queue_async(queue.name)

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
        """Go on with an unfinished workflow after its last finished step; give the task that runs it.

        The caller holds the delivery (`custody`): whoever ran the workflow before does not any more.
        """
        running = self._tasks.get(workflow)
        if running is not None and not running.done():
            return running
        self._tasks.pop(workflow, None)
        with self._translated():
            await self._dbos.resume_workflow_async(workflow, queue_name=self._queue)
        return await self._task(workflow)

    async def unfinished(self, prefix: str) -> list[str]:
        """List the ids of this version's unfinished workflows that begin with `prefix`, oldest first."""
        return await self._list(workflow_id_prefix=prefix, status=_UNFINISHED, app_version=VERSION)

    async def halt(self, *prefixes: str) -> None:
        """Stop what this process runs of the workflows whose id begins with one of `prefixes`; keep it."""
        await self._end([task for id_, task in self._tasks.items() if id_.startswith(prefixes)])

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
        """Pause within a step: it costs no write, and one that was cut short is taken again."""
        await asyncio.sleep(seconds)

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
            task = self._tasks[workflow]
        task.add_done_callback(lambda _: self._tasks.pop(workflow, None))
        return task

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
