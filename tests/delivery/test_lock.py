"""One process delivers in a home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lorry.delivery.lock import LOCK_FILE, hold_home
from lorry.errors import HomeBusy, NotWritable


def test_a_second_holder_is_told_who_has_it(home: Path) -> None:
    """While one holds the home, another is refused with the holder's process id; afterwards it is free."""
    with hold_home(home):
        with pytest.raises(HomeBusy, match=str(os.getpid())) as caught, hold_home(home):
            raise AssertionError("two held one home")
        assert caught.value.evidence["pid"] == os.getpid()
    with hold_home(home):
        pass


def test_a_dead_holder_holds_nothing(home: Path) -> None:
    """The file of a process that is gone does not stand in the way."""
    home.mkdir()
    (home / LOCK_FILE).write_text("999999\n999999")
    with hold_home(home):
        assert (home / LOCK_FILE).read_text() == f"{os.getpid()}\n"


def test_homes_do_not_hinder_each_other(tmp_path: Path) -> None:
    """Two homes can be held at once."""
    with hold_home(tmp_path / "a"), hold_home(tmp_path / "b"):
        pass


def test_a_home_that_can_t_be_made_is_told(home: Path) -> None:
    """A file in the folder's place is an error that names it."""
    home.write_text("")
    with pytest.raises(NotWritable, match="can't be opened"), hold_home(home):
        pass
