"""Workers: which processes live, and which deliveries each of them holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "workers",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("home", sa.Text, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_table(
        "claims",
        sa.Column("model", sa.String(40), nullable=False),
        sa.Column("worker", sa.String(40), nullable=False),
        sa.Column("taken", sa.Integer, nullable=False),
        sa.Column("asked", sa.String(20), nullable=False),
        sa.PrimaryKeyConstraint("model", name="pk_claims"),
    )
    op.create_index("ix_claims_worker", "claims", ["worker"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("claims")
    op.drop_table("workers")
