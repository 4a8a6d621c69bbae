"""A name for what has none of its own yet: the wanted one, or the next that is free."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lorry.errors import NameTaken

#: Names that are tried: `tok`, `tok-2`, `tok-3` …
_MOST = 100
#: Characters of a name that leave room for the number.
_ROOM = 36


async def under_a_free_name(wanted: str, act: Callable[[str], Awaitable[None]]) -> str:
    """Do something under a name, or under the next that no other weights have.

    Args:
        wanted: The first to try.
        act: Does it; raises `NameTaken` where the name belongs to other weights.

    Returns:
        The name that it was done under.

    Raises:
        NameTaken: A hundred of them are taken.
    """
    for number in range(1, _MOST + 1):
        name = wanted if number == 1 else f"{wanted[:_ROOM].rstrip('-')}-{number}"
        try:
            await act(name)
        except NameTaken:
            if number == _MOST:
                raise
        else:
            return name
    raise AssertionError("a name was free, or the last was refused")
