"""Alembic's entry: run the steps on the connection that `upgrade` was given."""

from __future__ import annotations

from alembic import context

from lorry.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite can't alter a column in place
    transactional_ddl=True,  # the caller's transaction holds it all: a kill leaves the old tables
)
context.run_migrations()
