"""Opening a store: the tables come from the migrations, quickly, and every fault has a name."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from lorry.errors import DiskFull, HomeBusy, NotWritable, StorageError
from lorry.store import STORE_FILE, open_store
from lorry.store.faults import translated
from lorry.store.migrations import HEAD, upgrade
from lorry.store.tables import METADATA


def _put(file: Path, content: bytes) -> Callable[[], bytes]:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file.read_bytes


def test_the_migrations_end_in_the_declared_tables(tmp_path: Path) -> None:
    """A database made by the migrations differs in nothing from the tables that the code declares."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    engine = create_engine(f"sqlite:///{tmp_path / 'a.sqlite'}")
    with engine.begin() as connection:
        upgrade(connection)
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == HEAD
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


async def test_opening_again_needs_no_alembic(home: Path) -> None:
    """A store whose tables are the newest is opened without importing alembic."""
    async with open_store(home):
        pass
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom lorry.store import open_store\n"
        "async def main():\n    async with open_store(Path(sys.argv[1])) as store:\n"
        "        assert await store.models() == ()\n"
        "asyncio.run(main())\nassert 'alembic' not in sys.modules\n"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(home)]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
    _, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()


async def test_two_may_open_a_fresh_home_at_once(home: Path) -> None:
    """Whoever comes second waits for the first one's tables instead of failing on them."""

    async def open_once() -> int:
        async with open_store(home) as store:
            return len(await store.models())

    assert await asyncio.gather(*(open_once() for _ in range(4))) == [0, 0, 0, 0]


async def test_readers_do_not_wait_for_a_writer(home: Path) -> None:
    """`lorry models` reads while another process holds the write lock."""
    async with open_store(home) as store:
        writer = sqlite3.connect(home / STORE_FILE, isolation_level=None)
        writer.execute("begin immediate")
        assert await store.models() == ()
        writer.execute("rollback")
        writer.close()


async def test_every_write_survives_a_power_loss(home: Path) -> None:
    """The file is written ahead and synchronised in full at every commit."""
    async with open_store(home) as store, store.database.engine.connect() as connection:
        assert (await connection.exec_driver_sql("pragma synchronous")).scalar() == 2
        assert (await connection.exec_driver_sql("pragma journal_mode")).scalar() == "wal"


async def test_a_file_that_is_no_database_is_named(home: Path) -> None:
    """Something else in the file's place is an error that names the file, and is left as it is."""
    file = _put(home / STORE_FILE, b"<html>" * 1000)
    with pytest.raises(StorageError, match=r"lorry\.sqlite is not a database of Lorry's"):
        async with open_store(home):
            pass
    assert file() == b"<html>" * 1000


async def test_a_home_that_is_a_file_is_not_writable(home: Path) -> None:
    """A file where the folder should be is told as such."""
    _put(home, b"")
    with pytest.raises(NotWritable, match="can't be made"):
        async with open_store(home):
            pass


async def test_a_store_that_is_a_folder_can_t_be_opened(home: Path) -> None:
    """SQLite's refusal to open a file becomes an error with the file's name."""
    _put(home / STORE_FILE / "something", b"")
    with pytest.raises(NotWritable, match="can't be opened"):
        async with open_store(home):
            pass


def test_a_full_disk_is_a_full_disk(tmp_path: Path) -> None:
    """SQLite's own "full" (here by a limit of pages) becomes DiskFull with the file and the code."""
    file = tmp_path / "a.sqlite"
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.exec_driver_sql("create table t (x)")
        connection.exec_driver_sql("pragma max_page_count=2")
        with pytest.raises(DiskFull) as caught, translated(file):
            connection.exec_driver_sql("insert into t values (zeroblob(100000))")
    engine.dispose()
    assert caught.value.evidence["sqlite_code"] == sqlite3.SQLITE_FULL
    assert str(file) in caught.value.message


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_READONLY, NotWritable),
        (sqlite3.SQLITE_READONLY | (6 << 8), NotWritable),  # an extended code keeps its primary one
        (sqlite3.SQLITE_BUSY, HomeBusy),
        (sqlite3.SQLITE_CORRUPT, StorageError),
        (sqlite3.SQLITE_ERROR, StorageError),
        (None, StorageError),
    ],
)
def test_every_fault_of_a_database_is_translated(
    tmp_path: Path, code: int | None, kind: type[StorageError]
) -> None:
    """Whatever code SQLite gives, primary or extended or none, one of our errors comes out."""
    cause = sqlite3.OperationalError("no")
    if code is not None:
        cause.sqlite_errorcode = code
    with pytest.raises(StorageError) as caught, translated(tmp_path / "a.sqlite"):
        raise OperationalError("insert", {}, cause)
    assert type(caught.value) is kind
    assert caught.value.fix
