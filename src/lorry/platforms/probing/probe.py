"""A probe from end to end: ask, in an order in which each answer leads to the next, then compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lorry.platforms.probing.asking import Asker, Reply, open_asker
from lorry.platforms.probing.comparing import Compared, beliefs, compare
from lorry.platforms.probing.looking import rows_of
from lorry.platforms.probing.questions import (
    OWN,
    PUBLIC,
    WHOAMI,
    Question,
    of_catalogue,
    of_model,
    of_project,
)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe brought.

    Attributes:
        address: Who was asked.
        replies: What came back, by the question's name.
        compared: What we believe beside what was seen.
    """

    address: str
    replies: Mapping[str, Reply]
    compared: tuple[Compared, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values; of the account's own answers only how many rows they have."""
        return {
            "address": self.address,
            "requests": [
                {
                    "name": name,
                    "path": reply.question.path,
                    "status": reply.status,
                    "seconds": round(reply.seconds, 3),
                    "rows": len(rows_of(reply)),
                    "error": reply.fault.as_dict() if reply.fault else None,
                }
                for name, reply in self.replies.items()
            ],
            "compared": [each.as_dict() for each in self.compared],
        }


async def probe(base_url: str, key: str, *, timeout: float = 20.0) -> Probe:  # noqa: ASYNC109 - of each request
    """Ask a platform what it has and what it costs; about twenty reads, and nothing that changes or bills.

    Args:
        base_url: Root of the API, without `/v1`.
        key: The key.
        timeout: Seconds that one question may take.

    Raises:
        PlatformError: It does not say whose key this is.
        SettingInvalid: The address or the key is none.
    """
    async with open_asker(base_url, key, timeout=timeout) as asker:
        replies = await _asked(asker)
    return Probe(base_url.rstrip("/"), replies, compare(replies, beliefs()))


async def _asked(asker: Asker) -> dict[str, Reply]:
    replies: dict[str, Reply] = {}

    async def ask(questions: Iterable[Question]) -> None:
        for question in questions:
            reply = await asker.ask(question)
            if reply is not None:
                replies[question.name] = reply

    await ask([WHOAMI])
    who = replies[WHOAMI.name]
    if who.fault is not None:
        raise who.fault
    await ask(PUBLIC)
    await ask(OWN)
    project = _project(who.body)
    if project:
        await ask(of_project(project))
        await ask(of_catalogue(project, rows_of(replies.get("supported-models"))))
        await ask(of_model(project, rows_of(replies.get("models"))))
    return replies


def _project(who: Any) -> str | None:
    """Give the id of the project that a key belongs to; a key of an organisation belongs to none."""
    project = who.get("project") if isinstance(who, Mapping) else None
    found = project.get("id") if isinstance(project, Mapping) else None
    return found if isinstance(found, str) and found else None
