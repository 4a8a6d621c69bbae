"""Answers as files, without the account that they were given to.

What everybody is answered stays as it is. Of an answer about the account every text is replaced, unless it
stands under a name whose values are known to be words of the API (a state, a type). An id that was replaced
once is replaced by the same everywhere, in paths and refusals too, so that what belonged together still does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lorry.platforms.probing.asking import Reply
from lorry.redaction import shown_value

#: Names whose values are words of the API (Together API dossier 2), whatever the account is.
_WORDS = frozenset(
    {
        "object",
        "type",
        "status",
        "state",
        "visibility",
        "validationStatus",
        "severity",
        "rule",
        "relation",
        "level",
        "endpointType",
        "trafficMode",
        "engineType",
        "gpuType",
        "architecture",
        "hardware",
        "code",
        "gpu_type",
        "capacity_type",
    }
)

#: Words of the API that look like nothing else: `MODEL_VISIBILITY_PRIVATE`.
_CONSTANT = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*")
_ID = re.compile(r"([a-z]{2,5})_\w+")
_ANY_ID = re.compile(r"\b(?:proj|org|user|key|ml|rv|ep|dep|dad|abx|exp|shet|rol|job|pp)_[A-Za-z0-9]{6,}\b")
_A_TIME = "2026-01-01T00:00:00Z"

#: A shorter text tells of nobody.
_SHORTEST = 3


class Stranger:
    """Gives each text of an account a name of its own that tells nothing."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def name(self, text: str) -> str:
        """Give the name for a text; the same text has the same name again."""
        if text not in self._names:
            match = _ID.fullmatch(text)
            kind = f"{match[1]}_" if match else "text-"
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[text] = f"{kind}{self._counts[kind]:04d}"
        return self._names[text]

    def private(self, value: Any, key: str = "") -> Any:
        """Replace every text of an answer about the account.

        Args:
            value: The answer, or a part of it.
            key: The name under which it stands.
        """
        if isinstance(value, Mapping):
            return {name: self.private(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [self.private(each, key) for each in value]
        if not isinstance(value, str) or key in _WORDS or _CONSTANT.fullmatch(value):
            return value
        if value.isdigit() and not key.lower().endswith("id"):
            return value  # a size or a count: whole numbers of 64 bits come as text (dossier 2.0)
        return _A_TIME if _TIME.fullmatch(value) else self._parts(value)

    def everywhere(self, text: str) -> str:
        """Replace the ids and the addresses of people that are known, in any text."""
        for known in sorted(self._names, key=len, reverse=True):
            if _ID.fullmatch(known) or "@" in known:
                text = re.sub(rf"(?<![\w-]){re.escape(known)}(?![\w-])", self._names[known], text)
        return text

    def refusal(self, text: str) -> str:
        """Replace every id in a refusal: it may name things that no answer had."""
        return _ANY_ID.sub(lambda found: self.name(found[0]), self.everywhere(text))

    def _parts(self, text: str) -> str:
        """Replace a qualified name part by part: `slug/endpoint`, `projects/proj_1/models/ml_1`."""
        if "://" in text or " " in text:
            return self.name(text) if len(text) >= _SHORTEST else "text"
        return "/".join(self._part(part) for part in text.split("/"))

    def _part(self, part: str) -> str:
        if not part or part in ("projects", "models", "revisions", "configs"):
            return part
        return self.name(part) if len(part) >= _SHORTEST else "text"


def save(replies: Mapping[str, Reply], folder: Path, secrets: tuple[str, ...] = ()) -> list[Path]:
    """Write one file for each answer.

    Args:
        replies: The answers, by the question's name.
        folder: Where to; it is made.
        secrets: Keys that stand in no file, whatever the answers said.

    Returns:
        The files, in order of the questions.
    """
    stranger = Stranger()
    own = {
        name: stranger.private(reply.body)
        for name, reply in replies.items()
        if reply.question.private and reply.fault is None
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, reply in replies.items():
        if reply.status:
            written.append(folder / f"{name}.json")
            body = own.get(name, reply.body)
            written[-1].write_text(_text(reply, body, stranger, secrets), encoding="utf-8")
    return written


def load(folder: Path) -> Iterator[dict[str, Any]]:
    """Read the files of a folder, in order of their names.

    Args:
        folder: What `save` wrote into.
    """
    for file in sorted(folder.glob("*.json")):
        yield json.loads(file.read_text(encoding="utf-8"))


def _text(reply: Reply, body: Any, stranger: Stranger, secrets: tuple[str, ...]) -> str:
    """Write an answer down; a body about the account comes here replaced already."""
    replace = stranger.refusal if reply.fault is not None else stranger.everywhere
    if not reply.question.private or reply.fault is not None:
        body = json.loads(replace(json.dumps(body)))
    question = reply.question
    path, query = stranger.everywhere(question.path), dict(question.query)
    request = {"method": "GET", "path": path, "query": query}
    fixture = {"request": request, "status": reply.status, "headers": reply.headers, "body": body}
    return json.dumps(shown_value(fixture, secrets), indent=1, ensure_ascii=False) + "\n"
