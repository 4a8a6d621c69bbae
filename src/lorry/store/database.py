"""A database as the ports see it: transactions that read, transactions that write, faults that are ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from lorry.store.faults import translated

_P = ParamSpec("_P")
_T = TypeVar("_T")


def unbroken(method: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Have a transaction end, and only then whoever waits for it, even when that is called off.

    Called off in the middle, a connection of SQLite would be thrown away with its lock still held, and every
    writer would wait until that times out. Left behind, it would be cut off by the end of the event loop.

    Args:
        method: Holds a whole transaction.
    """

    @wraps(method)
    async def whole(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        work = asyncio.create_task(method(*args, **kwargs))
        called_off = None
        while not work.done():
            try:
                await asyncio.wait((work,))
            except asyncio.CancelledError as error:
                called_off = error
        if called_off is None:
            return work.result()
        work.cancelled() or work.exception()  # nobody asks any more
        raise called_off

    return whole


class Database:
    """An engine, and how to use it.

    Args:
        engine: Over SQLite or Postgres.
        where: The file, or the address without its password; for errors.
    """

    def __init__(self, engine: AsyncEngine, where: str | Path) -> None:
        self.engine = engine
        self._where = where
        # SQLite has one writer, and those who wait for it sleep, up to 100 ms at a time and in no order. With
        # hundreds of deliveries in a process that is most of their time, so its writers queue up here.
        self._turn = asyncio.Lock() if self.dialect == "sqlite" else None

    @property
    def dialect(self) -> str:
        """Name what is spoken: `sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that only reads."""
        with translated(self._where):
            async with self.engine.connect() as connection:
                await connection.execution_options(reads=True)
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that writes; it is on the disk when the block has ended."""
        with translated(self._where):
            async with self._turn or nullcontext(), self.engine.begin() as connection:
                yield connection

    @unbroken
    async def rows(self, query: Any) -> list[dict[str, Any]]:
        """Read the rows of a query, by the names of their columns."""
        async with self.reading() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    @unbroken
    async def run(self, *statements: Any) -> None:
        """Carry statements out in one transaction."""
        async with self.writing() as connection:
            for statement in statements:
                await connection.execute(statement)
