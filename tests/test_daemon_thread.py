"""Blocking work beside the loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from lorry.daemon_thread import in_daemon_thread


async def test_the_result_comes_back() -> None:
    """What the work returns is what the waiting side gets, and it ran in another thread."""
    assert await in_daemon_thread(threading.get_ident) != threading.get_ident()


async def test_an_error_comes_back() -> None:
    """What the work raises is raised where it is waited for."""

    def fail() -> None:
        raise ZeroDivisionError("by zero")

    with pytest.raises(ZeroDivisionError):
        await in_daemon_thread(fail)


async def test_a_result_that_nobody_waits_for_is_dropped() -> None:
    """A cancelled wait ends at once; the work's later result disturbs nobody."""
    release, ended = threading.Event(), threading.Event()

    def work() -> None:
        release.wait()
        ended.set()

    task = asyncio.create_task(in_daemon_thread(work))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    assert await asyncio.to_thread(ended.wait, 30)


def test_work_that_never_ends_does_not_keep_the_process() -> None:
    """A process that is told to end does so, whatever its work is waiting for."""
    script = (
        "import asyncio, threading\n"
        "from lorry.daemon_thread import in_daemon_thread\n"
        "async def main():\n"
        "    task = asyncio.create_task(in_daemon_thread(threading.Event().wait))\n"
        "    await asyncio.sleep(0)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
