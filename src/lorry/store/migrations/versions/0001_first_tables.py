"""The first tables: models, placements, events, intents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _models()
    _placements()
    _events()
    _intents()


def downgrade() -> None:
    """Drop the tables."""
    for table in ("intents", "events", "placements", "models"):
        op.drop_table(table)


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("family", sa.String(80), nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("trigger", sa.Text),
        sa.Column("modules", sa.Integer, nullable=False),
        sa.Column("created_at", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_models"),
    )


def _placements() -> None:
    op.create_table(
        "placements",
        sa.Column("model", sa.String(40), nullable=False),
        sa.Column("route", sa.String(40), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("step", sa.String(40)),
        sa.Column("ids", sa.JSON, nullable=False),
        sa.Column("proof", sa.JSON),
        sa.Column("error", sa.JSON),
        sa.Column("updated_at", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("model", name="pk_placements"),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", _ID, nullable=False, autoincrement=True),
        sa.Column("model", sa.String(40), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(40), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("seconds", sa.Float),
        sa.Column("data", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_model_id", "events", ["model", "id"])


def _intents() -> None:
    op.create_table(
        "intents",
        sa.Column("key", sa.String(120), nullable=False),
        sa.Column("what", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON),
        sa.PrimaryKeyConstraint("key", name="pk_intents"),
    )
