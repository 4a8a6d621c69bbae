"""How the tables came to be, step by step (alembic); `HEAD` is the newest step."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

#: The newest revision; a database that is there already skips alembic altogether.
HEAD = "0006"
#: All of them: a database at any other was written by a newer Lorry.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", HEAD)


def upgrade(connection: Connection, revision: str = HEAD) -> None:
    """Bring a database to the newest tables, inside the caller's transaction.

    Args:
        connection: An open connection whose transaction holds the write lock.
        revision: Which tables; the newest when omitted.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
