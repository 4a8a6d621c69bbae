"""Archives that a remote upload takes apart: those that lie in the engine's own storage.

Together takes one archive behind a presigned address, its files at its root (Together API dossier 1.1, 2.4).
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lorry.engine.containers.records import ContainerShelves
from lorry.engine.together.revisions import RevisionFile
from lorry.engine.works import Works

if TYPE_CHECKING:
    from lorry.weights.files.source import ByteSource

_STORAGE = "/v1/storage/"
_ENDINGS = (".zip", ".tar.gz", ".tgz", ".tar")
#: What says at the root what the files are.
_CONFIGS = ("adapter_config.json", "config.json")
_PIECE = 1 << 20


def archive_name(address: str, host: str) -> str | None:
    """Read the address of an archive in the engine's own storage.

    Args:
        address: What a remote upload was asked for.
        host: Host and port under which this engine was asked.

    Returns:
        The file's name there; `None` for everything else.
    """
    parts = urlsplit(address.strip())
    path = unquote(parts.path)
    own = parts.scheme in ("http", "https") and parts.netloc == host and path.startswith(_STORAGE)
    return path.removeprefix(_STORAGE) if own and path.lower().endswith(_ENDINGS) else None


class Archives:
    """Takes archives apart.

    Args:
        works: State, with the files.
    """

    def __init__(self, works: Works) -> None:
        self._works = works
        self._files = ContainerShelves(works.documents).files

    def files(self, name: str) -> list[RevisionFile] | str:
        """Store the files of an archive.

        Args:
            name: Its name in the storage.

        Returns:
            The files, or a sentence that says why there are none.

        Raises:
            DiskFull: No space is left.
        """
        # The room of the weights reads archives already, and judges them as `lorry check` does.
        from lorry.weights.catalogue import StructureFault
        from lorry.weights.files.source import FileSource
        from lorry.weights.origins.archive import open_archive
        from lorry.weights.origins.kinds import archive_kind

        record = self._files.get(name)
        if record is None:
            return f"The address of {name} has expired, or nothing was ever stored there (404)."
        path = self._works.blobs.path(record.sha256)
        try:
            with ExitStack() as stack:
                kind = archive_kind(stack.enter_context(FileSource(path, name=name)))
                if kind is None:
                    return f"{name} is no archive: it is neither zip nor tar."
                listing = open_archive(path, name, kind, stack)
                entries = [entry for entry in listing.entries if entry.size]
                if not any(entry.path in _CONFIGS for entry in entries):
                    shown = ", ".join(entry.path for entry in entries[:3]) or "nothing"
                    return f"The archive {name} has no {' or '.join(_CONFIGS)} at its root; it has {shown}."
                return [self._stored(entry.path, entry.size, listing.source(entry.path)) for entry in entries]
        except StructureFault as broken:
            return broken.finding.message

    def _stored(self, path: str, size: int, source: ByteSource) -> RevisionFile:
        with self._works.blobs.incoming() as receiving:
            for offset in range(0, size, _PIECE):
                receiving.write(source.read(offset, min(_PIECE, size - offset)))
            blob = self._works.blobs.keep(receiving)
        return RevisionFile(path, blob.sha256, blob.sha256, blob.size)
