"""Rows of the ledger, written in batches.

A row of what costs nothing by the request may be lost when the process is killed: those of the last
`WINDOW_SECONDS`. What bills is written before it is sent, and again with its result before that is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from lorry.errors import LorryError
from lorry.generation.ports import Ledger
from lorry.model.kept import LedgerRow

#: How long a row waits for others at most.
WINDOW_SECONDS = 0.2
#: Rows that begin a batch before that.
BATCH = 500
#: Rows that are kept while the database refuses; beyond that the oldest are dropped, and counted.
MOST = 100_000


def _unseen(_: Sequence[LedgerRow]) -> None:
    """Show it to nobody."""


class LedgerWriter:
    """Writes rows in the order in which they come.

    Args:
        ledger: Where to.
        seen: Is shown what was written.
    """

    def __init__(self, ledger: Ledger, seen: Callable[[Sequence[LedgerRow]], None] = _unseen) -> None:
        self._ledger, self._seen = ledger, seen
        self._rows: list[LedgerRow] = []
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.written = 0
        self.dropped = 0

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._write_batches(), name="ledger")

    def note(self, row: LedgerRow) -> None:
        """Have a row written with the next batch."""
        self._rows.append(row)
        if len(self._rows) >= BATCH:
            self._due.set()

    async def write(self, rows: Sequence[LedgerRow]) -> None:
        """Write rows at once; they are on the disk when this returns.

        Raises:
            StorageError: They can't be written.
        """
        await self._ledger.write(rows)
        self.written += len(rows)
        self._seen(rows)

    async def close(self) -> None:
        """Write what is left, and end."""
        self._closing = True
        self._due.set()
        if self._task is not None:
            await self._task

    async def _write_batches(self) -> None:
        while not self._closing:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), WINDOW_SECONDS)
            self._due.clear()
            await self._flush()
        await self._flush()

    async def _flush(self) -> None:
        rows, self._rows = self._rows, []
        if not rows:
            return
        try:
            await self.write(rows)
        except LorryError:  # a full disk, a database that restarts: they go with the next batch
            self._rows[:0] = rows
            over = len(self._rows) - MOST
            if over > 0:
                del self._rows[:over]
                self.dropped += over
