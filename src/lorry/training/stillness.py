"""Whether somebody still writes: judged by what two looks saw, never by the clock of the disk.

A network drive has a clock of its own, and a file that is copied keeps the time of its original.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from lorry.training.scan import Stamp

#: Seconds for which nothing of a training may have changed (LoRA formats dossier, section 4).
QUIET_SECONDS = 2.0


def mark_of(files: Sequence[str], stamps: Mapping[str, Stamp]) -> str:
    """Give a short text that differs when size or time of any of some files does.

    Args:
        files: Their paths.
        stamps: Of all files, by path.
    """
    told = ";".join(f"{path}:{stamps[path].size}:{stamps[path].modified}" for path in sorted(files))
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32]


class Stillness:
    """Remembers since when each training looks as it looks."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[str, float]] = {}

    def still(self, key: str, mark: str, now: float) -> bool:
        """Say whether a training has looked the same for long enough.

        Args:
            key: Which training.
            mark: How it looks now (`mark_of`).
            now: Seconds of a clock that only grows.
        """
        known = self._since.get(key)
        if known is None or known[0] != mark:
            self._since[key] = (mark, now)
            return False
        return now - known[1] >= QUIET_SECONDS

    def forget(self, keys: set[str]) -> None:
        """Forget all but some.

        Args:
            keys: Those that are there still.
        """
        self._since = {key: seen for key, seen in self._since.items() if key in keys}
