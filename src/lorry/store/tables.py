"""The tables. Times are ISO 8601 text in UTC, everything nested is JSON."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
)

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
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
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

#: Processes that run deliveries; `until` is when the lease ends, seconds since 1970 by the database's clock.
WORKERS = Table(
    "workers",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("home", Text, nullable=False),
    Column("until", Double, nullable=False),
)

#: Which of them has which delivery.
CLAIMS = Table(
    "claims",
    METADATA,
    Column("model", String(40), primary_key=True),
    Column("worker", String(40), nullable=False),
    Column("taken", Integer, nullable=False),
    Column("asked", String(20), nullable=False),
    Index(None, "worker"),
)
