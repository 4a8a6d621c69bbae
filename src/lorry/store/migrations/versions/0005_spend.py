"""Spend: leases, what ran from when to when, and budgets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "leases",
        sa.Column("object", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", sa.String(160), nullable=False),
        sa.Column("parent", sa.String(120), nullable=False),
        sa.Column("rehearsal", sa.Boolean, nullable=False),
        sa.Column("model", sa.String(40)),
        sa.Column("until", sa.String(40), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("granted", sa.String(40)),
        sa.Column("used_at", sa.String(40)),
        sa.Column("ready_at", sa.String(40)),
        sa.Column("changed_at", sa.String(40)),
        sa.PrimaryKeyConstraint("object", name="pk_leases"),
    )
    op.create_table(
        "runs",
        sa.Column("object", sa.String(120), nullable=False),
        sa.Column("begun_at", sa.String(40), nullable=False),
        sa.Column("ended_at", sa.String(40)),
        sa.Column("name", sa.String(160), nullable=False),
        sa.Column("model", sa.String(40)),
        sa.Column("route", sa.String(40)),
        sa.Column("rehearsal", sa.Boolean, nullable=False),
        sa.Column("hardware", sa.String(120), nullable=False),
        sa.Column("cents_per_hour", sa.Double),
        sa.Column("replicas", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("object", "begun_at", name="pk_runs"),
    )
    op.create_index("ix_runs_ended_at", "runs", ["ended_at"])
    op.create_table(
        "budgets",
        sa.Column("scope", sa.String(100), nullable=False),
        sa.Column("day_cents", sa.Double),
        sa.Column("month_cents", sa.Double),
        sa.Column("at_limit", sa.String(20), nullable=False),
        sa.Column("warn_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_budgets"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("budgets", "runs", "leases"):
        op.drop_table(table)
