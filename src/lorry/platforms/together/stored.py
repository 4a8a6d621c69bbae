"""What the platform stored, compared with what was sent (`GET …/models/{id}/files`, dossier 2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from lorry.errors import PlatformError, UploadDamaged
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.planned import PlannedFile

#: The forms in which we announce a file; a hash of another form is of another kind, and says nothing here.
_OURS = re.compile(r"[0-9a-f]{32}(-\d+)?")


async def require_whole(
    connection: Connection, project: str, model: str, revision: str, planned: Sequence[PlannedFile]
) -> None:
    """Make sure that a revision holds what was sent, as far as the platform tells it.

    Args:
        connection: To the platform.
        project: Id of the project.
        model: Id of the model record.
        revision: Id of the revision.
        planned: What was sent.

    Raises:
        UploadDamaged: A file is missing, or has another size or hash. A platform that does not answer is no
            proof of that: it validates what it stored anyway.
    """
    try:
        rows = await _rows(connection, project, model, revision)
    except PlatformError:
        return
    wrong = [problem for file in planned for problem in _problems(file, rows.get(file.name))]
    if rows and wrong:
        raise UploadDamaged(
            f"{connection.faults.address} stored something else than was sent: {'; '.join(wrong)}.",
            evidence={"model": model, "revision": revision, "problems": wrong},
        )


async def _rows(connection: Connection, project: str, model: str, revision: str) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    after: str | None = None
    while True:
        with connection.faults.translated(f"list the files of {revision}"):
            page = await connection.client.models.list_files(
                model,
                project_id=project,
                revision_id=revision,
                extra_query={"after": after} if after else None,
            )
        rows |= {row.path: row for row in page.data or [] if row.path}
        if not page.next_cursor or page.next_cursor == after:
            return rows
        after = page.next_cursor


def _problems(file: PlannedFile, row: Any) -> Iterator[str]:
    if row is None:
        yield f"{file.name} is missing"
        return
    if row.size_bytes is not None and str(row.size_bytes) != str(file.size):
        yield f"{file.name} has {row.size_bytes} bytes instead of {file.size}"
    elif row.hash and _OURS.fullmatch(row.hash) and row.hash != file.hash:
        yield f"{file.name} has the hash {row.hash} instead of {file.hash}"
