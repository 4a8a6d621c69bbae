"""Models and placements in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Table, delete, func, or_, select

from lorry.model.options import options_from
from lorry.model.placement import Placement, PlacementState, Proof, ProviderIds, TrainedModel
from lorry.store.database import Database
from lorry.store.dialects import upsert
from lorry.store.tables import MODELS, PLACEMENTS


class StoredRecords:
    """`lorry.delivery.ports.Records` over the tables `models` and `placements`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def model(self, name: str) -> TrainedModel | None:
        """Read a model by name."""
        rows = await self.database.rows(select(MODELS).where(MODELS.c.name == name))
        return _model(rows[0]) if rows else None

    async def models(self) -> tuple[TrainedModel, ...]:
        """Read all models, by name."""
        return tuple(_model(row) for row in await self.database.rows(select(MODELS).order_by(MODELS.c.name)))

    async def save_model(self, model: TrainedModel, placement: Placement | None = None) -> None:
        """Write a model, and its placement with it, in one transaction; they replace what was there."""
        row = {**asdict(model), "created_at": model.created_at.isoformat()}
        with_it = [] if placement is None else [self._put(PLACEMENTS, placement.as_dict())]
        await self.database.run(self._put(MODELS, row), *with_it)

    async def placement(self, model: str) -> Placement | None:
        """Read the placement of a model."""
        rows = await self.database.rows(select(PLACEMENTS).where(PLACEMENTS.c.model == model))
        return _placement(rows[0]) if rows else None

    async def placements(self) -> tuple[Placement, ...]:
        """Read all placements, by model."""
        rows = await self.database.rows(select(PLACEMENTS).order_by(PLACEMENTS.c.model))
        return tuple(_placement(row) for row in rows)

    async def changed(self, since: str) -> tuple[tuple[TrainedModel, ...], tuple[Placement, ...], str]:
        """Read the models and placements that changed from a time on, and give the time to go on from.

        A model changes only together with its placement, or is new.
        """
        moved = await self.database.rows(select(PLACEMENTS).where(PLACEMENTS.c.updated_at >= since))
        new = MODELS.c.created_at >= since
        names = select(PLACEMENTS.c.model).where(PLACEMENTS.c.updated_at >= since)
        rows = await self.database.rows(select(MODELS).where(or_(new, MODELS.c.name.in_(names))))
        times = [row["updated_at"] for row in moved] + [row["created_at"] for row in rows]
        return tuple(map(_model, rows)), tuple(map(_placement, moved)), max([since, *times])

    async def counts(self) -> tuple[int, int]:
        """Count the models and the placements."""
        tables = (select(func.count().label("n")).select_from(table) for table in (MODELS, PLACEMENTS))
        models, placements = [(await self.database.rows(query))[0]["n"] for query in tables]
        return int(models), int(placements)

    async def save_placement(self, placement: Placement) -> None:
        """Write a placement, replacing what was there."""
        await self.database.run(self._put(PLACEMENTS, placement.as_dict()))

    async def forget(self, model: str) -> None:
        """Delete a model and its placement; the journal stays."""
        placement = delete(PLACEMENTS).where(PLACEMENTS.c.model == model)
        await self.database.run(placement, delete(MODELS).where(MODELS.c.name == model))

    def _put(self, table: Table, values: Mapping[str, Any]) -> Any:
        keys = {column.name for column in table.primary_key}
        changes = [name for name in values if name not in keys]
        return upsert(self.database.dialect, table, values, changes)


def _model(row: Mapping[str, Any]) -> TrainedModel:
    return TrainedModel(**{**row, "created_at": datetime.fromisoformat(row["created_at"])})


def _placement(row: Mapping[str, Any]) -> Placement:
    return Placement(
        **{
            **row,
            "state": PlacementState(row["state"]),
            "ids": ProviderIds(**row["ids"]),
            "proof": Proof(**row["proof"]) if row["proof"] else None,
            "options": options_from(row["options"] or {}),
            "updated_at": datetime.fromisoformat(row["updated_at"]),
        }
    )
