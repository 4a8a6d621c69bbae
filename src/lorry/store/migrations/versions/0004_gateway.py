"""The gateway: policies, tokens, the ledger, kept results and the queue, outages, starts, webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _access()
    _ledger()
    _generations()
    _health()


def _access() -> None:
    op.create_table(
        "serving",
        sa.Column("model", sa.String(40), nullable=False),
        sa.Column("policy", sa.JSON, nullable=False),
        sa.Column("updated_at", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("model", name="pk_serving"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(80)),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("models", sa.JSON),
        sa.Column("per_second", sa.Double),
        sa.Column("burst", sa.Integer, nullable=False),
        sa.Column("day_cents", sa.Double),
        sa.Column("month_cents", sa.Double),
        sa.Column("created_at", sa.String(40), nullable=False),
        sa.Column("revoked_at", sa.String(40)),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
    )
    op.create_index("ix_tokens_digest", "tokens", ["digest"], unique=True)


def _ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("token", sa.String(40)),
        sa.Column("owner", sa.String(80)),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("place", sa.String(40)),
        sa.Column("route", sa.String(40)),
        sa.Column("rehearsal", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("form", sa.String(20), nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("code", sa.String(60)),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("milliseconds", sa.Double, nullable=False),
        sa.Column("pictures", sa.Integer, nullable=False),
        sa.Column("tokens_in", sa.Integer, nullable=False),
        sa.Column("tokens_out", sa.Integer, nullable=False),
        sa.Column("cents", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger"),
    )
    op.create_index("ix_ledger_at", "ledger", ["at"])


def _generations() -> None:
    op.create_table(
        "generations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("token", sa.String(40)),
        sa.Column("key", sa.String(255)),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("form", sa.String(20), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("queued", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("worker", sa.String(40)),
        sa.Column("until", sa.Double),
        sa.Column("created_at", sa.String(40), nullable=False),
        sa.Column("started_at", sa.String(40)),
        sa.Column("ended_at", sa.String(40)),
        sa.Column("answer", sa.JSON),
        sa.Column("error", sa.JSON),
        sa.Column("webhook", sa.Text),
        sa.Column("note", sa.JSON),
        sa.PrimaryKeyConstraint("id", name="pk_generations"),
    )
    op.create_index("ix_generations_owner_key", "generations", ["owner", "key"], unique=True)
    op.create_index("ix_generations_state_created_at", "generations", ["state", "created_at"])
    op.create_index("ix_generations_created_at", "generations", ["created_at"])


def _health() -> None:
    op.create_table(
        "outages",
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("code", sa.String(60), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_outages"),
    )
    op.create_table(
        "starts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("model", sa.String(40), nullable=False),
        sa.Column("route", sa.String(40), nullable=False),
        sa.Column("rehearsal", sa.Boolean, nullable=False),
        sa.Column("stage", sa.String(40), nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_starts"),
    )
    op.create_index("ix_starts_route_id", "starts", ["route", "id"])
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due", sa.Double, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    op.create_index("ix_webhooks_state_due", "webhooks", ["state", "due"])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("webhooks", "starts", "outages", "generations", "ledger", "tokens", "serving"):
        op.drop_table(table)
