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

#: What the gateway is told about a model: its owner and its policy.
SERVING = Table(
    "serving",
    METADATA,
    Column("model", String(40), primary_key=True),
    Column("policy", JSON, nullable=False),
    Column("updated_at", String(40), nullable=False),
)

#: Who may ask the gateway; the secret itself is nowhere.
TOKENS = Table(
    "tokens",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("owner", String(80)),
    Column("scopes", JSON, nullable=False),
    Column("models", JSON),
    Column("per_second", Double),
    Column("burst", Integer, nullable=False),
    Column("day_cents", Double),
    Column("month_cents", Double),
    Column("created_at", String(40), nullable=False),
    Column("revoked_at", String(40)),
    Index(None, "digest", unique=True),
)

#: Every request and every attempt to answer it: a row per attempt, and one for a request without any.
LEDGER = Table(
    "ledger",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("at", String(40), nullable=False),
    Column("token", String(40)),
    Column("owner", String(80)),
    Column("model", String(100), nullable=False),
    Column("place", String(40)),
    Column("route", String(40)),
    Column("rehearsal", Boolean, nullable=False, server_default=false()),
    Column("form", String(20), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("code", String(60)),
    Column("status", Integer, nullable=False),
    Column("milliseconds", Double, nullable=False),
    Column("pictures", Integer, nullable=False),
    Column("tokens_in", Integer, nullable=False),
    Column("tokens_out", Integer, nullable=False),
    Column("cents", Double, nullable=False),
    Index(None, "at"),
)

#: Requests whose result is kept, or that wait in the queue.
GENERATIONS = Table(
    "generations",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("owner", String(80), nullable=False),  # empty for the house: NULLs are never equal
    Column("token", String(40)),
    Column("key", String(255)),
    Column("fingerprint", String(64), nullable=False),
    Column("model", String(100), nullable=False),
    Column("form", String(20), nullable=False),
    Column("body", Text, nullable=False),
    Column("queued", Boolean, nullable=False),
    Column("state", String(20), nullable=False),
    Column("worker", String(40)),
    Column("until", Double),
    Column("created_at", String(40), nullable=False),
    Column("started_at", String(40)),
    Column("ended_at", String(40)),
    Column("answer", JSON),
    Column("error", JSON),
    Column("webhook", Text),
    Column("note", JSON),
    Index("ix_generations_owner_key", "owner", "key", unique=True),
    Index(None, "state", "created_at"),
    Index(None, "created_at"),
)

#: What a person has to mend before a place or an account is asked again.
OUTAGES = Table(
    "outages",
    METADATA,
    Column("key", String(200), primary_key=True),
    Column("code", String(60), nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", String(40), nullable=False),
)

#: How long places that were asleep took to answer, by stage.
STARTS = Table(
    "starts",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("model", String(40), nullable=False),
    Column("route", String(40), nullable=False),
    Column("rehearsal", Boolean, nullable=False),
    Column("stage", String(40), nullable=False),
    Column("seconds", Double, nullable=False),
    Column("at", String(40), nullable=False),
    Index(None, "route", "id"),
)

#: Ends that are still to be told.
WEBHOOKS = Table(
    "webhooks",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due", Double, nullable=False),
    Column("state", String(20), nullable=False),
    Column("said", Text, nullable=False),
    Index(None, "state", "due"),
)

#: Until when things that bill may run.
LEASES = Table(
    "leases",
    METADATA,
    Column("object", String(120), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("name", String(160), nullable=False),
    Column("parent", String(120), nullable=False),
    Column("rehearsal", Boolean, nullable=False),
    Column("model", String(40)),
    Column("until", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("granted", String(40)),
    Column("used_at", String(40)),
    Column("ready_at", String(40)),
    Column("changed_at", String(40)),
)

#: What ran from when to when, at which price.
RUNS = Table(
    "runs",
    METADATA,
    Column("object", String(120), primary_key=True),
    Column("begun_at", String(40), primary_key=True),
    Column("ended_at", String(40)),
    Column("name", String(160), nullable=False),
    Column("model", String(40)),
    Column("route", String(40)),
    Column("rehearsal", Boolean, nullable=False),
    Column("hardware", String(120), nullable=False),
    Column("cents_per_hour", Double),
    Column("replicas", Integer, nullable=False),
    Index(None, "ended_at"),
)

#: What may be spent.
BUDGETS = Table(
    "budgets",
    METADATA,
    Column("scope", String(100), primary_key=True),
    Column("day_cents", Double),
    Column("month_cents", Double),
    Column("at_limit", String(20), nullable=False),
    Column("warn_at", Double, nullable=False),
)

#: Trainings that a watch has seen, and what came of them.
TRAININGS = Table(
    "trainings",
    METADATA,
    Column("host", String(255), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("path", Text, nullable=False),
    Column("mark", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("model", String(40)),
    Column("message", Text, nullable=False),
    Column("at", String(40), nullable=False),
)
