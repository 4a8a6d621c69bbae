"""Whether these bytes were shipped before."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from lorry.model.placement import TrainedModel
from lorry.store import STORE_FILE, open_store, shipped_as

AT = datetime(2026, 11, 23, tzinfo=UTC)


async def test_the_first_model_of_the_same_bytes_is_found(tmp_path: Path) -> None:
    """A digest leads to the name of the oldest model that has it, and to nothing otherwise."""
    async with open_store(tmp_path) as store:
        for name, digest, day in (("late", "ab", 2), ("early", "ab", 1), ("other", "cd", 1)):
            at = AT.replace(day=day)
            await store.save_model(TrainedModel(name, "/x", digest, "icons", "icons", None, 3, at))
    assert shipped_as(tmp_path, "ab") == "early"
    assert shipped_as(tmp_path, "ef") is None


def test_a_home_without_a_usable_store_says_nothing_and_is_left_alone(tmp_path: Path) -> None:
    """No home, an empty home and a broken file give no answer, no error, and no new file."""
    assert shipped_as(tmp_path / "none", "ab") is None
    assert shipped_as(tmp_path, "ab") is None
    (tmp_path / STORE_FILE).write_bytes(b"no database")
    assert shipped_as(tmp_path, "ab") is None
    assert [path.name for path in tmp_path.iterdir()] == [STORE_FILE]


def test_asking_does_not_load_the_store() -> None:
    """The question costs no import of SQLAlchemy."""
    script = "from lorry.store import shipped_as; import sys; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
