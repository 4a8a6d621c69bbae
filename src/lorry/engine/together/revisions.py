"""Revisions: the files of a model, validated with the same check that `lorry check` runs.

Every file of a revision is linked under its own name into a folder of the revision, so that the check and the
renderer read what the user uploaded and not a heap of digests.
"""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

from lorry.engine.api_errors import invalid, not_found
from lorry.engine.clock import moment_of, stamp
from lorry.engine.documents import new_id
from lorry.engine.storage_faults import storage_faults
from lorry.engine.together.records import ModelRecord, RevisionRecord, Shelves
from lorry.engine.together.validation import Check, validate
from lorry.engine.works import Works


@dataclass(frozen=True, slots=True)
class RevisionFile:
    """A stored file that becomes part of a revision; `hash` is the one its uploader named it by."""

    path: str
    hash: str
    sha256: str
    size: int


class Revisions:
    """The revisions of one engine's models."""

    def __init__(self, works: Works, shelves: Shelves, check: Check) -> None:
        self._works = works
        self._shelves = shelves
        self._check = check
        self._settling = threading.Lock()
        self._sweep()

    def create(self, model: ModelRecord, files: list[RevisionFile]) -> RevisionRecord:
        """Make a revision of stored files and validate it.

        Args:
            model: The record that it belongs to.
            files: The files.

        Raises:
            DiskFull: No space is left; nothing of it stays.
        """
        key = new_id("rv")
        folder = self.folder(key)
        try:
            self._link(folder, files)
            verdict = validate(
                self._check, folder, self._works.catalog.base_of(model.base_model_id), model.type
            )
            now = stamp(self._works.clock.now())
            return self._shelves.revisions.put(
                RevisionRecord(
                    id=key,
                    model_id=model.id,
                    created_at=now,
                    files=[asdict(file) for file in files],
                    outcome=verdict.outcome,
                    problems=verdict.problems,
                    weights=verdict.weights,
                    modules=verdict.modules,
                    summary=verdict.summary,
                    since=now,
                )
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def record(self, model: str, key: str) -> RevisionRecord:
        """Find a revision of a model.

        Raises:
            Refusal: 404.
        """
        record = self._shelves.revisions.get(key)
        if record is None or record.model_id != model:
            raise not_found(f"The revision {key} of the model {model}")
        return record

    def all(self, model: str) -> list[RevisionRecord]:
        """List the revisions of a model, oldest first."""
        return self._shelves.revisions.all(model)

    def latest(self, model: str) -> RevisionRecord | None:
        """Find the newest revision of a model."""
        records = self._shelves.revisions.all(model)
        return records[-1] if records else None

    def look(self, record: RevisionRecord, *, counts: bool = True) -> RevisionRecord:
        """Bring a revision's state up to date with the pace.

        Args:
            record: What was read.
            counts: Whether somebody outside looked (and not the engine itself).
        """
        if record.shown:
            return record
        with self._settling:
            fresh = self._shelves.revisions.get(record.id) or record
            looked = replace(fresh, looks=fresh.looks + counts)
            over = self._works.config.pace.over(
                since=moment_of(looked.since), looks=looked.looks, now=self._works.clock.now()
            )
            return self._shelves.revisions.put(replace(looked, shown=over))

    def folder(self, revision: str) -> Path:
        """Say where the files of a revision lie."""
        return self._works.revisions / revision

    def forget(self, model: str) -> None:
        """Delete all revisions of a model."""
        for record in self._shelves.revisions.all(model):
            self._shelves.revisions.delete(record.id)
            shutil.rmtree(self.folder(record.id), ignore_errors=True)

    def _sweep(self) -> None:
        # A process that was killed while it made a revision leaves a folder that belongs to nothing.
        for folder in self._works.revisions.glob("*"):
            if self._shelves.revisions.get(folder.name) is None:
                shutil.rmtree(folder, ignore_errors=True)

    def _link(self, folder: Path, files: list[RevisionFile]) -> None:
        for file in files:
            target = folder / file.path
            with storage_faults(str(folder)):
                target.parent.mkdir(parents=True, exist_ok=True)
                source = self._works.blobs.path(file.sha256)
                try:
                    os.link(source, target)
                except OSError:
                    # Some file systems have no hard links.
                    shutil.copyfile(source, target)


def check_path(path: str) -> str:
    """Accept the path of a file inside a revision.

    Raises:
        Refusal: It leads out of the revision, or can't be written everywhere.
    """
    parts = PurePosixPath(path).parts
    harmless = all(part not in ("..", ".", "/") and not part.startswith(".") for part in parts)
    if not parts or not harmless or path.startswith("/") or set(path) & set("\\\0:") or len(path) > 1024:
        raise invalid(f"{path!r} can't be the path of a file in a revision.", "path")
    return "/".join(parts)
