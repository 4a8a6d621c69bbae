"""Creating, changing and deleting exactly once at a platform that knows no idempotency keys.

How it works (the Together API dossier, 5.4: a POST may be sent twice and nothing marks the second):

1. the intent is written down, under a deterministic name;
2. we look by that name, and adopt what is ours;
3. otherwise the create call is sent, once;
4. when its answer leaves a doubt, we look again, and adopt;
5. what came of it is noted.

A kill at any point leaves a state from which the same five lines end with one thing. A change goes the same
way, and so does a deletion, a change to "gone": we look whether it is so already, and ask when it is not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lorry.delivery.ports import Intents
from lorry.errors import Conflict, NotThere, PlatformError

Found = TypeVar("Found")

#: Tells the journal: action, sentence, data.
Note = Callable[[str, str, Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Creation(Generic[Found]):
    """One thing that must exist once.

    Attributes:
        key: Of the intent (`tok/1a2b3c4d/endpoint`).
        kind: What it is, in a person's words (`endpoint`).
        name: The deterministic name at the platform.
        what: What exactly is asked for (JSON values).
        find: Looks for it by name.
        create: Sends the call that creates it, once.
        ours: Whether what was found is ours.
        id_of: Its id at the platform.
    """

    key: str
    kind: str
    name: str
    what: Mapping[str, Any]
    find: Callable[[], Awaitable[Found | None]]
    create: Callable[[], Awaitable[Found]]
    ours: Callable[[Found], Awaitable[bool]]
    id_of: Callable[[Found], str]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that must be so: changed, stopped, started or gone.

    Attributes:
        key: Of the intent (`tok/1a2b3c4d/traffic`).
        kind: What is done, in a person's words (`traffic`).
        name: Whose it is, at the platform.
        what: What exactly is asked for (JSON values).
        there: Says whether it is so already.
        act: Sends the call that makes it so, once.
    """

    key: str
    kind: str
    name: str
    what: Mapping[str, Any]
    there: Callable[[], Awaitable[bool]]
    act: Callable[[], Awaitable[object]]


def digest_of_arguments(what: Mapping[str, Any]) -> str:
    """Give the SHA-256 of what is asked for, by which two intents under one key are told apart.

    Args:
        what: JSON values.
    """
    return hashlib.sha256(json.dumps(what, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _written(what: Mapping[str, Any]) -> dict[str, Any]:
    return {**what, "digest": digest_of_arguments(what)}


async def change_once(change: Change, intents: Intents) -> bool:
    """Make something so, or find that it is.

    Args:
        change: What is wanted.
        intents: Where the intent is written before anything is sent.

    Returns:
        Whether anything was sent; without that it was so already.

    Raises:
        PlatformError: The platform's own answer.
    """
    await intents.open(change.key, _written(change.what))
    if await change.there():
        await intents.close(change.key, {"name": change.name, "action": "there"})
        return False
    action = "done"
    try:
        await change.act()
    except PlatformError as error:
        if not (error.may_have_acted or isinstance(error, Conflict | NotThere)):
            raise
        if not await change.there():
            raise
        action = "found done"
    await intents.close(change.key, {"name": change.name, "action": action})
    return True


async def create_once(creation: Creation[Found], intents: Intents, note: Note) -> Found:
    """Bring a thing into being, or adopt it when it is there.

    Args:
        creation: What is wanted.
        intents: Where the intent is written before anything is sent.
        note: Tells the journal.

    Returns:
        The thing, created or adopted.

    Raises:
        Conflict: Something of that name is there and isn't ours; it was not touched.
        PlatformError: The platform's own answer.
    """
    await intents.open(creation.key, _written(creation.what))
    there = await _found_ours(creation)
    if there is not None:
        return await _close(creation, there, "adopted", intents, note)
    about = f"Asking the platform for the {creation.kind} {creation.name}."
    await note("intended", about, {"name": creation.name, **creation.what})
    made, action = await _create(creation)
    return await _close(creation, made, action, intents, note)


async def _close(creation: Creation[Found], thing: Found, action: str, intents: Intents, note: Note) -> Found:
    said = "exists; it is ours and was adopted" if action == "adopted" else "was created"
    data = {"id": creation.id_of(thing), "name": creation.name}
    await note(action, f"The {creation.kind} {creation.name} {said}.", data)
    await intents.close(creation.key, {**data, "action": action})
    return thing


async def _create(creation: Creation[Found]) -> tuple[Found, str]:
    try:
        return await creation.create(), "created"
    except PlatformError as error:
        if not (error.may_have_acted or isinstance(error, Conflict)):
            raise
        found = await _found_ours(creation)
        if found is None:
            raise
        return found, "adopted"


async def _found_ours(creation: Creation[Found]) -> Found | None:
    found = await creation.find()
    if found is None or await creation.ours(found):
        return found
    raise Conflict(
        f"The platform already has the {creation.kind} {creation.name}, and it isn't Lorry's for this file.",
        fix="Look at it at the platform; remove it there yourself, or ship under another `--name`.",
        evidence={"kind": creation.kind, "name": creation.name, "id": creation.id_of(found)},
    )
