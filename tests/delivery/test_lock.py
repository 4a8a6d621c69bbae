"""Files that a process keeps locked as long as it lives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lorry.delivery.lock import alone, is_held, lock, unlock
from lorry.errors import NotWritable

_HOLDER = """
import pathlib, sys
from lorry.delivery.lock import lock
lock(pathlib.Path(sys.argv[1]))
print(1, flush=True)
sys.stdin.read()
"""


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    """While one holds it another gets none, and everybody can tell; afterwards it is free."""
    file = tmp_path / "workers" / "a.lock"
    assert not is_held(file)
    held = lock(file)
    assert held is not None
    assert lock(file) is None
    assert is_held(file)
    unlock(held)
    assert not is_held(file)


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    """The kernel lets go of a process' locks, also after SIGKILL."""
    file = tmp_path / "a.lock"
    code = (
        f"from pathlib import Path; from lorry.delivery.lock import lock; lock(Path({str(file)!r})); print(1)"
    )
    code += "; import sys; sys.stdout.flush(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        assert is_held(file)
        process.kill()
        process.wait()
        assert not is_held(file)


def test_locks_of_other_files_do_not_hinder(tmp_path: Path) -> None:
    """Two files can be locked at once."""
    with alone(tmp_path / "a"), alone(tmp_path / "b"):
        pass


def test_a_file_that_can_t_be_made_is_told(tmp_path: Path) -> None:
    """A file in the folder's place is an error that names it."""
    (tmp_path / "workers").write_text("")
    with pytest.raises(NotWritable, match="can't be opened"):
        lock(tmp_path / "workers" / "a.lock")
