"""The engine's records in SQLite."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.engine.documents import Documents, Shelf, new_id
from lorry.errors import DiskFull, NotWritable


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[Documents]:
    """Give an empty store."""
    store = Documents(tmp_path / "store" / "engine.sqlite")
    yield store
    store.close()


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let the system refuse to make any file of this process larger, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@dataclass(frozen=True)
class Thing:
    """A record of the tests."""

    id: str
    owner: str
    size: int


def test_a_transaction_that_fails_leaves_nothing(documents: Documents) -> None:
    """Everything written inside a failing block is taken back, nested blocks included."""
    documents.put("thing", "before", {"id": "before"})

    def fail() -> None:
        with documents.transaction():
            documents.put("thing", "one", {"id": "one"})
            with documents.transaction():
                documents.put("thing", "two", {"id": "two"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [row["id"] for row in documents.all("thing")] == ["before"]


def test_what_is_written_is_there_after_a_restart(tmp_path: Path) -> None:
    """Documents survive the store that wrote them, in their order."""
    path = tmp_path / "engine.sqlite"
    first = Documents(path)
    for key in ("c", "a", "b"):
        first.put("thing", key, {"id": key}, parent="p")
    first.put("thing", "a", {"id": "a", "changed": True}, parent="p")
    first.close()
    second = Documents(path)
    assert [row["id"] for row in second.all("thing", "p")] == ["c", "a", "b"]
    assert second.get("thing", "a") == {"id": "a", "changed": True}
    second.close()


def test_a_shelf_keeps_values_as_they_were(documents: Documents) -> None:
    """A dataclass comes back equal, is listed by its parent, and is replaced in place."""
    shelf = Shelf(documents, "thing", Thing, "owner")
    one = shelf.put(Thing("1", "ann", 3))
    two = shelf.put(Thing("2", "bob", 4))
    shelf.put(replace(one, size=5))
    assert shelf.get("1") == Thing("1", "ann", 5)
    assert shelf.all() == [Thing("1", "ann", 5), two]
    assert shelf.all("bob") == [two]
    assert shelf.delete("1")
    assert not shelf.delete("1")
    assert documents.count("thing") == 1


def test_a_full_disk_is_told_and_leaves_the_store_whole(documents: Documents) -> None:
    """A write without space is DiskFull, nothing of it is kept, and the store goes on afterwards."""
    documents.put("thing", "small", {"id": "small"})

    def fill() -> None:
        with documents.transaction():
            for number in range(50):
                documents.put("thing", f"big{number}", {"id": "big", "text": "x" * 20_000})

    with files_up_to(200_000), pytest.raises(DiskFull):
        fill()
    assert [row["id"] for row in documents.all("thing")] == ["small"]
    documents.put("thing", "after", {"id": "after"})
    assert documents.count("thing") == 2


def test_a_home_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    """A store below something that is no folder is NotWritable."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotWritable):
        Documents(tmp_path / "file" / "engine.sqlite")


@given(count=st.integers(2, 50))
def test_ids_sort_in_the_order_in_which_they_were_made(count: int) -> None:
    """Ids of one process never repeat and sort by age."""
    made = [new_id("x") for _ in range(count)]
    assert made == sorted(set(made))
