"""`lorry demo`: the main job, and nothing left behind."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from typing import IO

import pytest
from PIL import Image

from tests.journeys.conftest import Terminal, alive

pytestmark = pytest.mark.journey


def _until(lines: IO[str] | None, pattern: str) -> Iterator[str]:
    assert lines is not None
    for line in lines:
        yield line
        if re.search(pattern, line):
            return
    raise AssertionError(f"{pattern!r} never came")


def _engine_pid(text: str) -> int:
    found = re.search(r"process (\d+)", text)
    assert found, text
    return int(found[1])


def test_the_demo_ends_with_a_contact_sheet_and_three_commands(terminal: Terminal) -> None:
    """One command ships, proves, draws, and leaves a picture, what to try next, and no process."""
    said = terminal.ok("demo")
    with Image.open(terminal.folder / "lorry-demo" / "contact-sheet.png") as sheet:
        assert min(sheet.size) > 300
    assert "The adapter acts" in said
    assert len([line for line in said.splitlines() if re.match(r"  \S+.* --home ", line)]) == 3
    assert "\x1b" not in said
    assert not alive(_engine_pid(said))


def test_the_demo_can_be_repeated_and_respects_what_is_not_its_own(terminal: Terminal) -> None:
    """A folder that holds something else is never emptied."""
    (terminal.folder / "mine").mkdir()
    (terminal.folder / "mine" / "thesis.txt").write_text("years of work")
    done = terminal.run("demo", "--folder", "mine")
    assert done.returncode == 1
    assert "[not_writable]" in done.stderr
    assert (terminal.folder / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("after", ["engine", "upload", "prove"])
def test_ctrl_c_leaves_no_process(terminal: Terminal, after: str) -> None:
    """Interrupted at any step the demo ends with status 130, and its engine ends with it."""
    process = terminal.start("demo")
    said = "".join(_until(process.stdout, rf"ok +{after}"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines() == [
        "Interrupted. A delivery goes on where it stood when you run the same command again."
    ]
    assert not alive(_engine_pid(said))


def test_even_a_killed_demo_leaves_no_process(terminal: Terminal) -> None:
    """The engine ends when the process that started it is gone, however it went."""
    process = terminal.start("demo")
    said = "".join(_until(process.stdout, r"ok +engine"))
    engine = _engine_pid(said)
    process.kill()
    process.communicate(timeout=60)
    _wait_until_gone(engine)


def _wait_until_gone(pid: int) -> None:
    """Wait on the kernel's own notice where there is one, so that nothing is timed."""
    import os
    import select

    if not hasattr(os, "pidfd_open"):
        pytest.skip("only Linux tells when a process that is not a child has ended")
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ready, _, _ = select.select([handle], [], [], 60)
    os.close(handle)
    assert ready, f"process {pid} still runs"
