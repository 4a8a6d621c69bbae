"""Routes: the kind of a model; whether a placement is a rehearsal, and what was asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A proof named its two pictures; it can be of texts as well.
_RENAMED = """
UPDATE placements SET proof = json_remove(
    json_set(
        proof,
        '$.file_without', json_extract(proof, '$.picture_without'),
        '$.file_with', json_extract(proof, '$.picture_with')
    ),
    '$.picture_without',
    '$.picture_with'
)
WHERE json_extract(proof, '$.picture_with') IS NOT NULL
"""


def upgrade() -> None:
    """Add the columns, and rename the fields of proofs."""
    op.add_column("models", sa.Column("kind", sa.String(20), nullable=False, server_default="image-lora"))
    op.add_column("placements", sa.Column("rehearsal", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("placements", sa.Column("options", sa.JSON, nullable=False, server_default="{}"))
    if op.get_bind().dialect.name == "sqlite":  # on Postgres nothing was written before 0003
        op.execute(_RENAMED)


def downgrade() -> None:
    """Drop the columns."""
    with op.batch_alter_table("placements") as table:
        table.drop_column("options")
        table.drop_column("rehearsal")
    with op.batch_alter_table("models") as table:
        table.drop_column("kind")
