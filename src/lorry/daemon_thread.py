"""Blocking work beside an event loop, in a thread that never keeps the process from ending.

asyncio joins its own worker threads at exit, so Ctrl-C would wait for a server that does not answer.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, cast

T = TypeVar("T")


async def end_of_stdin() -> None:
    """Wait until standard input closes: a parent holds it open for as long as it lives."""
    await in_daemon_thread(_read_stdin)


def _read_stdin() -> None:
    # Past Python's buffers: a daemon thread that holds one of their locks stops the interpreter's exit.
    while os.read(0, 4096):
        pass


async def in_daemon_thread(work: Callable[[], T]) -> T:
    """Run blocking work and wait for it without blocking the loop.

    Args:
        work: What to do; when nobody waits for it any more, its result is dropped.

    Returns:
        What it returns.

    Raises:
        BaseException: What it raises.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(cast("T", result))
        else:
            done.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - handed to the one who waits
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, result, failure)

    threading.Thread(target=run, name=f"lorry-{getattr(work, '__name__', 'work')}", daemon=True).start()
    return await done
