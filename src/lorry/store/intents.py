"""Intents in the database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from lorry.store.dialects import upsert
from lorry.store.faults import translated
from lorry.store.tables import INTENTS


class StoredIntents:
    """`lorry.delivery.ports.Intents` over the table `intents`."""

    def __init__(self, engine: AsyncEngine, where: str | Path) -> None:
        self._engine = engine
        self._where = where

    async def open(self, key: str, what: Mapping[str, Any]) -> None:
        """Write an intent durably; the same key again is fine and replaces what was meant."""
        values = {"key": key, "what": dict(what), "result": None}
        await self._run(upsert(self._engine.dialect.name, INTENTS, values, ["what", "result"]))

    async def close(self, key: str, result: Mapping[str, Any]) -> None:
        """Note what came of an intent."""
        await self._run(update(INTENTS).where(INTENTS.c.key == key).values(result=dict(result)))

    async def drop(self, prefix: str) -> None:
        """Forget all intents whose key begins with `prefix`."""
        await self._run(delete(INTENTS).where(INTENTS.c.key.startswith(prefix, autoescape=True)))

    async def all(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Read the intents whose key begins with `prefix`: what was meant and what came of it."""
        query = select(INTENTS).where(INTENTS.c.key.startswith(prefix, autoescape=True))
        with translated(self._where):
            async with self._engine.connect() as connection:
                await connection.execution_options(reads=True)
                rows = (await connection.execute(query)).mappings().all()
        return {row["key"]: {"what": row["what"], "result": row["result"]} for row in rows}

    async def _run(self, statement: Any) -> None:
        with translated(self._where):
            async with self._engine.begin() as connection:
                await connection.execute(statement)
