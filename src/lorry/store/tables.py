"""The tables. Times are ISO 8601 text in UTC, everything nested is JSON."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text, false

METADATA = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}
)

MODELS = Table(
    "models",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("source", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("family", String(80), nullable=False),
    Column("base", Text, nullable=False),
    Column("trigger", Text),
    Column("modules", Integer, nullable=False),
    Column("created_at", String(40), nullable=False),
    Column("kind", String(20), nullable=False, server_default="image-lora"),
)

PLACEMENTS = Table(
    "placements",
    METADATA,
    Column("model", String(40), primary_key=True),
    Column("route", String(40), nullable=False),
    Column("state", String(20), nullable=False),
    Column("step", String(40)),
    Column("ids", JSON, nullable=False),
    Column("proof", JSON),
    Column("error", JSON),
    Column("updated_at", String(40), nullable=False),
    Column("rehearsal", Boolean, nullable=False, server_default=false()),
    Column("options", JSON, nullable=False, server_default="{}"),
)

EVENTS = Table(
    "events",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("model", String(40), nullable=False),
    Column("source", String(40), nullable=False),
    Column("subject", String(40), nullable=False),
    Column("action", String(40), nullable=False),
    Column("message", Text, nullable=False),
    Column("at", String(40), nullable=False),
    Column("seconds", Float),
    Column("data", JSON, nullable=False),
    Index(None, "model", "id"),
    sqlite_autoincrement=True,  # an id is never given twice, so that a follower misses nothing
)

INTENTS = Table(
    "intents",
    METADATA,
    Column("key", String(120), primary_key=True),
    Column("what", JSON, nullable=False),
    Column("result", JSON),
)
