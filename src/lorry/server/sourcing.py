"""What somebody names on a page as a model's files, and whether they may."""

from __future__ import annotations

import re
from dataclasses import replace

from lorry.errors import BodyInvalid, NameTaken, TokenNotAllowed
from lorry.generation.gateway.callers import Caller
from lorry.model.serving import Scope
from lorry.server.drops import DROPPED
from lorry.server.rooms import Rooms

#: What a source may look like: never like an option of a command.
_SOURCE = re.compile(r"[^-\s\x00-\x1f][^\x00-\x1f]{1,3999}")


def resolved(rooms: Rooms, caller: Caller, source: str) -> str:
    """Give a source as `lorry` takes it.

    Args:
        rooms: What the server works with.
        caller: Who names it.
        source: A Hub repository, an https address, or `dropped:ID`; a path on the server for whoever may do
            anything.

    Raises:
        BodyInvalid: It can't be a source.
        SourceNotFound: What was dropped is gone.
        TokenNotAllowed: It is a file of the server, and they may not name one.
    """
    if not _SOURCE.fullmatch(source):
        raise BodyInvalid(
            f"{source[:60]!r} names no files.", fix="Name a Hub repository (`owner/name`), or drop a file."
        )
    if source.startswith(DROPPED):
        return rooms.desk.drops.find(caller.owner, source)
    require_far_away(source, anywhere=caller.may(Scope.ADMIN))
    return source


def require_far_away(source: str, *, anywhere: bool) -> None:
    """Refuse the server's own files to whoever may not do anything.

    Args:
        source: As it was named.
        anywhere: Whether they may.

    Raises:
        TokenNotAllowed: It is one.
    """
    from lorry.weights.origins.access import Access
    from lorry.weights.origins.reference import LocalPath, parse

    reference = parse(source, Access(), exists=lambda _: False) if not anywhere else None
    if isinstance(reference, LocalPath):
        raise TokenNotAllowed(
            "A path on the server can be shipped with a token of the scope `admin` only.",
            fix="Name a Hub repository (`owner/name`) or an https address.",
        )


def require_own_name(rooms: Rooms, name: str, owner: str | None) -> None:
    """Refuse to take over a model of somebody else."""
    snapshot = rooms.directory.now
    if owner is not None and name in snapshot.models and snapshot.policy(name).owner != owner:
        raise NameTaken(f"The name {name} belongs to another model.", evidence={"model": name})


async def belong_to(rooms: Rooms, name: str, owner: str | None) -> None:
    """Note whose a model is."""
    if owner is None:
        return
    policy = rooms.directory.now.policy(name)
    if policy.owner != owner:
        await rooms.access.set_policy(name, replace(policy, owner=owner))
    await rooms.refresh()
