"""One tier of memory: as much as fits, the least recently used leaving first. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Tier(Generic[T]):
    """Things by key, with their sizes.

    Args:
        room: Bytes that they may take together.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.used = 0
        self._things: OrderedDict[str, tuple[T, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._things)

    def __contains__(self, key: str) -> bool:
        return key in self._things

    def keys(self) -> list[str]:
        """List the keys, the least recently used first."""
        return list(self._things)

    def find(self, key: str) -> T | None:
        """Give a thing and note that it was used."""
        if key not in self._things:
            return None
        self._things.move_to_end(key)
        return self._things[key][0]

    def size(self, key: str) -> int:
        """Say how many bytes a thing takes; none when it is not here."""
        return self._things[key][1] if key in self._things else 0

    def put(self, key: str, thing: T, size: int) -> None:
        """Take something in, in the place of what was there under its key; it may be too much by now."""
        self.drop(key)
        self._things[key] = thing, size
        self.used += size

    def drop(self, key: str) -> bool:
        """Let something go; say whether it was here."""
        if key not in self._things:
            return False
        self.used -= self._things.pop(key)[1]
        return True

    def excess(self, stays: Callable[[str], bool]) -> list[str]:
        """Name what has to go so that the rest has room.

        Args:
            stays: Says what stays in any case.

        Returns:
            The least recently used first; fewer than needed where too much stays.
        """
        over = self.used - self.room
        going: list[str] = []
        for key, (_, size) in self._things.items():
            if over <= 0:
                break
            if not stays(key):
                going.append(key)
                over -= size
        return going
