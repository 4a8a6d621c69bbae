"""Trainings that a watch has seen, in the database."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import select

from lorry.store.database import Database
from lorry.store.dialects import upsert
from lorry.store.tables import TRAININGS
from lorry.training.ports import Training, TrainingState


class StoredTrainings:
    """`lorry.training.ports.Trainings` over the table `trainings`.

    Args:
        database: The database.
        host: Whose paths they are: machines that share a database each have their own.
    """

    def __init__(self, database: Database, host: str | None = None) -> None:
        self._database = database
        self._host = host or socket.gethostname()

    async def seen(self) -> Mapping[str, Training]:
        """Read all of this machine, by their keys."""
        rows = await self._database.rows(select(TRAININGS).where(TRAININGS.c.host == self._host))
        return {
            row["key"]: Training(
                row["key"],
                row["path"],
                row["mark"],
                TrainingState(row["state"]),
                row["model"],
                row["message"],
                datetime.fromisoformat(row["at"]),
            )
            for row in rows
        }

    async def remember(self, training: Training) -> None:
        """Write one, in place of what was known of the same training."""
        values = {**asdict(training), "host": self._host, "at": training.at.isoformat()}
        changed = ["path", "mark", "state", "model", "message", "at"]
        await self._database.run(upsert(self._database.dialect, TRAININGS, values, changed))
