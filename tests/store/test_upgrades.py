"""A database of every version that there was becomes one of this version, with all that is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from lorry.errors import StorageError
from lorry.model.placement import PlacementState
from lorry.store import STORE_FILE, open_store
from lorry.store.migrations import HEAD, REVISIONS, upgrade

_PROOF = {
    "prompt": "a picture of TOK",
    "seed": 1,
    "scale": 1.0,
    "difference": 40.0,
    "noise": 0.0,
    "threshold": 1.0,
    "passed": True,
}
_AT = "2026-11-23T12:00:00+00:00"


class Old:
    """A database as an earlier version left it."""

    def __init__(self, engine: Engine, address: str | None) -> None:
        self.engine = engine
        self.address = address

    def at(self, revision: str) -> None:
        """Make its tables, and write a row of each into them as that version did."""
        with self.engine.begin() as connection:
            upgrade(connection, revision)
            _write(connection, "models", _model(revision))
            _write(connection, "placements", _placement(revision, self.address is not None))
            _write(connection, "events", _event())
            _write(connection, "intents", {"key": "tok/ab/model", "what": "{}", "result": None})


@pytest.fixture(params=["sqlite", "postgres"])
def old(request: pytest.FixtureRequest, home: Path) -> Iterator[Old]:
    """Give an empty database of each kind."""
    if request.param == "postgres":
        address = request.getfixturevalue("database")
        engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    else:
        home.mkdir()
        address = None
        engine = create_engine(f"sqlite:///{home / STORE_FILE}")
    yield Old(engine, address)
    engine.dispose()


@pytest.mark.parametrize("revision", REVISIONS)
async def test_everything_is_read_as_it_was_written(old: Old, home: Path, revision: str) -> None:
    """Model, placement with its proof, journal and intents, from each revision of the tables."""
    old.at(revision)
    async with open_store(home, old.address) as store:
        model = await store.model("tok")
        placement = await store.placement("tok")
        assert model is not None
        assert (model.source, model.kind) == ("/data/tok.safetensors", "image-lora")
        assert placement is not None
        assert (placement.state, placement.rehearsal) == (PlacementState.READY, False)
        assert placement.ids.endpoint == "ep_2"
        assert placement.proof is not None
        assert (placement.proof.file_with, placement.proof.file_without) == ("/p/with.png", "/p/without.png")
        assert [event.message for event in await store.read("tok")] == ["2 files."]
        assert await store.all("tok/") == {"tok/ab/model": {"what": {}, "result": None}}
        assert await store.claiming.claims() == {}


async def test_a_newer_database_is_refused_and_left_as_it_is(old: Old, home: Path) -> None:
    """One that a later version has changed is named with its revision; nothing is written to it."""
    old.at(HEAD)
    with old.engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(StorageError, match="written by a newer Lorry: its tables are at 9999") as caught:
        async with open_store(home, old.address):
            pass
    assert "newer version" in caught.value.fix
    with old.engine.connect() as connection:
        assert connection.execute(text("select version_num from alembic_version")).scalar() == "9999"


def _model(revision: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": "tok",
        "source": "/data/tok.safetensors",
        "digest": "ab" * 32,
        "family": "icons",
        "base": "lorry/icons",
        "trigger": "TOK",
        "modules": 57,
        "created_at": _AT,
    }
    return row if revision == "0001" else {**row, "kind": "image-lora"}


def _placement(revision: str, postgres: bool) -> dict[str, Any]:
    first = revision == "0001" and not postgres  # Postgres came later than these names
    names = ("picture_with", "picture_without") if first else ("file_with", "file_without")
    proof = {**_PROOF, names[0]: "/p/with.png", names[1]: "/p/without.png"}
    row: dict[str, Any] = {
        "model": "tok",
        "route": "local",
        "state": "ready",
        "step": "ready",
        "ids": json.dumps({"model": "ml_1", "endpoint": "ep_2"}),
        "proof": json.dumps(proof),
        "error": None,
        "updated_at": _AT,
    }
    return row if revision == "0001" else {**row, "rehearsal": False, "options": "{}"}


def _event() -> dict[str, Any]:
    return {
        "model": "tok",
        "source": "delivery",
        "subject": "upload",
        "action": "done",
        "message": "2 files.",
        "at": _AT,
        "seconds": 1.25,
        "data": "{}",
    }


def _write(connection: Connection, table: str, row: dict[str, Any]) -> None:
    columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
    connection.execute(text(f"insert into {table} ({columns}) values ({values})"), row)  # noqa: S608
