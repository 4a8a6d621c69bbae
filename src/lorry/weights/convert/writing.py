"""Write a safetensors file in one go, beside the place where it belongs; what is there is whole or not there.

How it works: the files are made in a hidden folder beside the destination. Space for the largest possible
header is left free, the matrices follow as they come, the header is written last and filled up with spaces,
as the format allows. Only when everything has been judged do the files move to their place.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lorry.errors import DiskFull, NotWritable, OptionInvalid
from lorry.weights.convert.matrices import Matrix
from lorry.weights.files.header import BITS

_ALIGNMENT = 8  # bytes; the safetensors library fills its headers up to this as well
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

#: A tensor's name, data type and largest possible shape.
Room = tuple[str, str, tuple[int, ...]]


class TensorFile:
    """A safetensors file that is being written.

    Args:
        file: Where to write.
        rooms: The tensors that will come at most, with the largest shapes that they can have.
        metadata: The header's metadata.
    """

    def __init__(self, file: BinaryIO, rooms: Sequence[Room], metadata: Mapping[str, str]) -> None:
        self._file = file
        self._metadata = dict(metadata)
        self._rows: dict[str, Any] = {}
        self._end = 0
        widest: dict[str, Any] = {}
        end = 0
        for name, dtype, shape in rooms:
            size = BITS[dtype] // 8
            for length in shape:
                size *= length
            widest[name] = _row(dtype, shape, end, end + size)
            end += size
        length = len(self._header(widest))
        self._length = -(-length // _ALIGNMENT) * _ALIGNMENT
        self._file.write(bytes(8 + self._length))

    def add(self, name: str, matrix: Matrix) -> None:
        """Append a tensor.

        Args:
            name: Its name.
            matrix: Its numbers.
        """
        import numpy as np

        data = np.ascontiguousarray(matrix.raw).reshape(-1).data.cast("B")
        self.add_bytes(name, matrix.dtype, matrix.shape, (data,))

    def add_bytes(self, name: str, dtype: str, shape: tuple[int, ...], pieces: Iterable[memoryview]) -> None:
        """Append a tensor's bytes.

        Args:
            name: Its name.
            dtype: Its data type.
            shape: Its shape.
            pieces: Its bytes, in pieces that follow each other.
        """
        begin = self._end
        for piece in pieces:
            self._file.write(piece)
            self._end += len(piece)
        self._rows[name] = _row(dtype, shape, begin, self._end)

    def finish(self) -> None:
        """Write the header, and see that everything is on the disk."""
        header = self._header(self._rows)
        if len(header) > self._length:
            raise ValueError(
                f"the header takes {len(header)} bytes, and only {self._length} were left for it"
            )
        self._file.seek(0)
        self._file.write(self._length.to_bytes(8, "little") + header.ljust(self._length))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _header(self, rows: Mapping[str, Any]) -> bytes:
        document = {"__metadata__": self._metadata, **rows}
        return json.dumps(document, separators=(",", ":")).encode()


def _row(dtype: str, shape: tuple[int, ...], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@contextmanager
def staged(targets: Sequence[Path], *, force: bool) -> Iterator[Path]:
    """Give a folder to make files in that move to their places when nothing was raised.

    Args:
        targets: The places, all in one folder; the last one is what others look for, and moves last.
        force: Whether files that are there are replaced.

    Raises:
        OptionInvalid: A place is taken.
        DiskFull: No space is left.
        NotWritable: The folder can't be written.
    """
    folder = targets[-1].parent
    made: tuple[Path, ...] = _missing(folder)
    stage: Path | None = None
    try:
        with translated(folder):
            if not force:
                _require_free(targets)
            folder.mkdir(parents=True, exist_ok=True)
            stage = Path(tempfile.mkdtemp(prefix=f".{targets[-1].name[:60]}.", suffix=".part", dir=folder))
            yield stage
            for target in targets:
                _moved(stage / target.name, target, force)
            _settled(folder)
        made = ()  # the folders stay
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


@contextmanager
def translated(place: Path) -> Iterator[None]:
    """Say what the system refuses in our own errors.

    Args:
        place: What is written to.
    """
    try:
        yield
    except OSError as error:
        kind = DiskFull if error.errno in _FULL else NotWritable
        message = f"{place} can't be written: {error.strerror or error}."
        raise kind(message, evidence={"path": str(place)}) from error


def _missing(folder: Path) -> tuple[Path, ...]:
    """List the folders that have to be made, the innermost first."""
    found: list[Path] = []
    while not folder.exists():
        found.append(folder)
        folder = folder.parent
    return tuple(found)


def _require_free(targets: Sequence[Path]) -> None:
    taken = [target for target in targets if os.path.lexists(target)]
    if taken:
        message = f"{taken[0]} is there already."
        fix = "Choose another place with `-o`, or replace it with `--force`."
        raise OptionInvalid(message, fix=fix, evidence={"paths": [str(path) for path in taken]})


def _moved(made: Path, target: Path, force: bool) -> None:
    if force:
        made.replace(target)
        return
    try:
        os.link(made, target)  # unlike a renaming, it never replaces what somebody put there meanwhile
    except FileExistsError:
        _require_free([target])
    except OSError:  # a file system without hard links
        _require_free([target])
        made.replace(target)


def _settled(folder: Path) -> None:
    """See that the names of the files are on the disk too; some file systems can't be asked."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        return
    finally:
        os.close(handle)
