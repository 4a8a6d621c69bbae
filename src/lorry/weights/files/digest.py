"""The SHA-256 of a file, computed beside the check: hashing takes longer than everything else together."""

from __future__ import annotations

from threading import Event, Thread
from types import TracebackType
from typing import Self

from lorry.weights.files.source import ByteSource

# Large, as a thread that is done with a piece waits for the other to let go of the interpreter (up to 5 ms).
_PIECE = 1 << 22  # bytes


class Hashing:
    """Hashes a file in a thread of its own, from the moment it is made.

    hashlib and the reading of files let other threads run, so that on two cores a check costs no more than
    the hash alone. Used as a context, it never outlives the file.

    Args:
        source: The file; it has to bear being read by two threads, as files and memory do.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._stopped = Event()
        self._digest: str | None = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="lorry-sha256", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    @property
    def source(self) -> ByteSource:
        """The file that is hashed."""
        return self._source

    def result(self) -> str:
        """Wait for the digest.

        Returns:
            SHA-256 of the whole file, hex.

        Raises:
            StructureFault: The file became shorter while it was read.
            OSError: It could not be read.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._digest is None:
            from lorry.weights.catalogue import fault  # the hash begins before anything else is loaded

            raise fault("FILE_CHANGED", f"{self._source.name} ended while it was read.")
        return self._digest

    def _run(self) -> None:
        try:
            self._digest = self._hash()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asks for the result
            self._error = error

    def _hash(self) -> str | None:
        import hashlib

        digest = hashlib.sha256()
        buffer = memoryview(bytearray(min(_PIECE, self._source.size)))
        for offset in range(0, self._source.size, _PIECE):
            piece = buffer[: min(_PIECE, self._source.size - offset)]
            if self._stopped.is_set() or self._source.read_into(offset, piece) < len(piece):
                return None
            digest.update(piece)
        return digest.hexdigest()
