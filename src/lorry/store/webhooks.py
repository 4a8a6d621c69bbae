"""Ends that are still to be told, in the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select, update

from lorry.model.kept import Hook
from lorry.store.database import Database, unbroken
from lorry.store.dialects import clock
from lorry.store.tables import WEBHOOKS

#: Seconds for which one that was taken is kept from others.
_TAKEN_SECONDS = 60.0

_DUE, _TOLD, _GIVEN_UP = "due", "told", "given up"


class StoredHooks:
    """`lorry.generation.ports.Hooks` over the table `webhooks`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._now = clock(database.dialect)

    @unbroken
    async def due(self, limit: int) -> list[Hook]:
        """Take what is due, and keep others from it for a while."""
        due = (
            select(WEBHOOKS)
            .where(WEBHOOKS.c.state == _DUE, WEBHOOKS.c.due <= self._now)
            .order_by(WEBHOOKS.c.due)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self._database.writing() as connection:
            rows = (await connection.execute(due)).mappings().all()
            taken = update(WEBHOOKS).where(WEBHOOKS.c.id.in_([row["id"] for row in rows]))
            await connection.execute(taken.values(due=self._now + _TAKEN_SECONDS))
        return [Hook(row["id"], row["owner"] or None, row["url"], row["body"], row["tries"]) for row in rows]

    async def told(self, id: str) -> None:  # noqa: A002
        """Note that one was heard."""
        await self._set(id, state=_TOLD, said="")

    async def again(self, id: str, seconds: float, said: str, *, give_up: bool) -> None:  # noqa: A002
        """Note that one was not heard, and when to try again, or that nobody tries any more."""
        state = _GIVEN_UP if give_up else _DUE
        await self._set(id, state=state, said=said, due=self._now + seconds, tries=WEBHOOKS.c.tries + 1)

    async def state(self, id: str) -> str | None:  # noqa: A002
        """Read how it stands with one: `due`, `told` or `given up`."""
        rows = await self._database.rows(select(WEBHOOKS.c.state).where(WEBHOOKS.c.id == id))
        return str(rows[0]["state"]) if rows else None

    async def _set(self, hook: str, **values: Any) -> None:
        await self._database.run(update(WEBHOOKS).where(WEBHOOKS.c.id == hook).values(**values))


def hook_statement(dialect: str, hook: Hook) -> Any:
    """Give the statement that writes an end to be told.

    Args:
        dialect: Name of the engine's dialect.
        hook: What to tell.
    """
    return insert(WEBHOOKS).values(
        id=hook.id,
        owner=hook.owner or "",
        url=hook.url,
        body=hook.body,
        tries=0,
        due=clock(dialect),
        state=_DUE,
        said="",
    )
