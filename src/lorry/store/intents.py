"""Intents in the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select, update

from lorry.store.database import Database
from lorry.store.dialects import upsert
from lorry.store.tables import INTENTS


class StoredIntents:
    """`lorry.delivery.ports.Intents` over the table `intents`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def open(self, key: str, what: Mapping[str, Any]) -> None:
        """Write an intent durably; the same key again is fine and replaces what was meant."""
        values = {"key": key, "what": dict(what), "result": None}
        await self.database.run(upsert(self.database.dialect, INTENTS, values, ["what", "result"]))

    async def close(self, key: str, result: Mapping[str, Any]) -> None:
        """Note what came of an intent."""
        await self.database.run(update(INTENTS).where(INTENTS.c.key == key).values(result=dict(result)))

    async def drop(self, prefix: str) -> None:
        """Forget all intents whose key begins with `prefix`."""
        await self.database.run(delete(INTENTS).where(INTENTS.c.key.startswith(prefix, autoescape=True)))

    async def all(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Read the intents whose key begins with `prefix`: what was meant and what came of it."""
        query = select(INTENTS).where(INTENTS.c.key.startswith(prefix, autoescape=True))
        rows = await self.database.rows(query)
        return {row["key"]: {"what": row["what"], "result": row["result"]} for row in rows}
