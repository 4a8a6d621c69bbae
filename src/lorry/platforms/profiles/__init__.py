"""What each route takes, as data: one TOML file for each, with the date and the source of its facts."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from importlib import resources
from typing import Any


class BaseStatus(StrEnum):
    """How far a base can be relied on; `sentence` says each in words."""

    SUPPORTED = "supported"
    UNPROVED = "unproved"
    DEPRECATED = "deprecated"

    @property
    def sentence(self) -> str:
        """Say the status in words a user understands."""
        return _SENTENCES[self]


_SENTENCES = {
    BaseStatus.SUPPORTED: "It takes adapters, and every delivery proves it anew.",
    BaseStatus.UNPROVED: "Its documentation says that it takes adapters; nobody has shown that they act.",
    BaseStatus.DEPRECATED: "It is announced to end; nothing new should go there.",
}


@dataclass(frozen=True, slots=True)
class ServedBase:
    """A base model of a route: its public id, how far it can be relied on, and what else to know."""

    id: str
    status: BaseStatus
    note: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact comes from, and of when it is."""

    fact: str
    origin: str
    date: date


@dataclass(frozen=True, slots=True)
class RouteProfile:
    """What one route takes; `None` and an empty tuple mean that no limit is known.

    Attributes:
        route: Which route.
        platform: Who serves it.
        says: One sentence for a person.
        checked: When the facts were last gone over.
        pictures: Whether it takes LoRAs for pictures.
        text: Whether it takes adapters for text.
        upload: Whether files are uploaded to it.
        by_url: Whether it fetches an adapter from an address in the request.
        per_request: Most adapters in one request.
        dtypes: Data types of an adapter's tensors that it reads.
        max_rank: Largest rank that it takes.
        bases: Base models that take adapters there.
        sources: Where all of this comes from.
    """

    route: str
    platform: str
    says: str
    checked: date
    pictures: bool
    text: bool
    upload: bool
    by_url: bool
    per_request: int | None
    dtypes: tuple[str, ...]
    max_rank: int | None
    bases: tuple[ServedBase, ...]
    sources: tuple[Source, ...]


def profiles() -> dict[str, RouteProfile]:
    """Read the profiles of all routes, by route."""
    files = (file for file in resources.files(__package__).iterdir() if file.name.endswith(".toml"))
    found = (_profile(tomllib.loads(file.read_text(encoding="utf-8"))) for file in files)
    return {profile.route: profile for profile in sorted(found, key=lambda profile: profile.route)}


def _profile(table: dict[str, Any]) -> RouteProfile:
    adapters = table["adapters"]
    return RouteProfile(
        route=table["route"],
        platform=table["platform"],
        says=table["says"],
        checked=table["checked"],
        pictures=adapters["pictures"],
        text=adapters["text"],
        upload=adapters["upload"],
        by_url=adapters["by_url"],
        per_request=adapters.get("per_request"),
        dtypes=tuple(adapters["dtypes"]),
        max_rank=adapters.get("max_rank"),
        bases=tuple(ServedBase(row["id"], BaseStatus(row["status"]), row["note"]) for row in table["bases"]),
        sources=tuple(Source(row["fact"], row["from"], row["date"]) for row in table["sources"]),
    )
