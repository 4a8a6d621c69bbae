"""What each route and each loader takes, as data: one TOML file for each, every fact sourced and dated.

Routes are ways in which a platform serves a model; loaders are what reads a file, on a route or on the user's
own machine. A limit that a file does not state is not known to exist, and is said so.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any, TypeVar

from lorry.errors import OptionInvalid
from lorry.platforms.profiles.profile import (
    BaseStatus,
    Count,
    Fact,
    PartRule,
    Profile,
    Ranks,
    ServedBase,
    Source,
    Stumble,
)

__all__ = [
    "ALL",
    "LOADERS",
    "ROUTES",
    "BaseStatus",
    "Count",
    "Fact",
    "PartRule",
    "Profile",
    "Ranks",
    "ServedBase",
    "Source",
    "Stumble",
    "chosen",
    "profile",
    "profiles",
    "read_profile",
    "route_profile",
]

T = TypeVar("T")

#: The routes of design.md, in the order in which they are told.
ROUTES = (
    "local",
    "together-attached",
    "together-merged",
    "together-url",
    "together-container",
    "together-v1",
)
LOADERS = ("diffusers", "comfyui", "peft", "vllm")
#: The word for all of them.
ALL = "all"


def profiles() -> dict[str, Profile]:
    """Read the profiles of all routes and loaders, by name."""
    return {target: profile(target) for target in (*ROUTES, *LOADERS)}


@cache
def profile(target: str) -> Profile:
    """Read the profile of one route or loader.

    Args:
        target: One of `ROUTES` or `LOADERS`.
    """
    text = resources.files(__package__).joinpath(f"{target}.toml").read_text(encoding="utf-8")
    return read_profile(tomllib.loads(text))


def chosen(targets: Iterable[str]) -> tuple[Profile, ...]:
    """Give the profiles that a user named, in our order and each once.

    Args:
        targets: Names of routes and loaders, or `all`.

    Raises:
        OptionInvalid: A name is none of them; all wrong names are told at once.
    """
    known = (*ROUTES, *LOADERS)
    asked = set(targets)
    strangers = sorted(asked - {*known, ALL})
    if strangers:
        are = "is no route or loader" if len(strangers) == 1 else "are no routes or loaders"
        raise OptionInvalid(
            f"{', '.join(strangers)} {are}.",
            fix=f"Use {ALL}, or some of {', '.join(known)}.",
            evidence={"unknown": strangers, "known": list(known)},
        )
    return tuple(profile(target) for target in known if ALL in asked or target in asked)


def route_profile(route: str) -> Profile:
    """Read the profile of a route that a user named.

    Args:
        route: What was named.

    Raises:
        OptionInvalid: There is no such route.
    """
    if route in ROUTES:
        return profile(route)
    raise OptionInvalid(
        f"{route!r} is no route.",
        fix=f"Use one of {', '.join(ROUTES)}.",
        evidence={"route": route, "routes": list(ROUTES)},
    )


def read_profile(table: Mapping[str, Any]) -> Profile:
    """Make a profile of a TOML table; a fact without its source or date is a KeyError.

    Args:
        table: The table of one file.
    """
    target, loader = table["target"], table["loader"]
    return Profile(
        target=target,
        kind=table["kind"],
        platform=table.get("platform"),
        says=table["says"],
        checked=table["checked"],
        loader=loader,
        text_loader=table.get("text_loader"),
        through=profile(loader) if loader in LOADERS and loader != target else None,
        to=table.get("to"),
        note=table.get("note", ""),
        kinds=_words(table["kinds"]),
        modalities=_words(table["modalities"]),
        upload=_fact(table.get("upload"), bool),
        by_url=_fact(table.get("by_url"), bool),
        files=_maybe_words(table.get("files")),
        dtypes=_maybe_words(table.get("dtypes")),
        max_rank=_fact(table.get("max_rank"), int),
        ranks=_ranks(table["ranks"]) if "ranks" in table else None,
        max_bytes=_fact(table.get("max_bytes"), int),
        adapters=tuple(
            Count(row["value"], row["unit"], row.get("of", ""), _source(row))
            for row in table.get("adapters", ())
        ),
        parts=tuple(
            PartRule(row["part"], row["does"] == "applied", tuple(row.get("families", ())), _source(row))
            for row in table.get("parts", ())
        ),
        stumbles=tuple(Stumble(row["code"], row["says"], _source(row)) for row in table.get("stumbles", ())),
        bases=tuple(_base(row) for row in table.get("bases", ())),
        families=_maybe_words(table.get("families")),
        licence=_fact(table.get("licence"), str),
        closed=_fact(table.get("closed"), str),
        unproved=_fact(table.get("unproved"), str),
    )


def _source(row: Mapping[str, Any]) -> Source:
    return Source(row["from"], row["date"])


def _fact(row: Mapping[str, Any] | None, kind: type[T]) -> Fact[T] | None:
    return None if row is None else Fact(kind(row["value"]), _source(row))  # type: ignore[call-arg]


def _words(row: Mapping[str, Any]) -> Fact[tuple[str, ...]]:
    return Fact(tuple(row["value"]), _source(row))


def _maybe_words(row: Mapping[str, Any] | None) -> Fact[tuple[str, ...]] | None:
    return None if row is None else _words(row)


def _ranks(row: Mapping[str, Any]) -> Ranks:
    return Ranks(tuple(row["value"]), row["setting"], row["default"], _source(row))


def _base(row: Mapping[str, Any]) -> ServedBase:
    return ServedBase(
        id=row["id"],
        model=row.get("model", row["id"]),
        family=row["family"],
        status=BaseStatus(row["status"]),
        note=row["note"],
        source=_source(row),
        cents_per_megapixel=row.get("cents_per_megapixel"),
    )
