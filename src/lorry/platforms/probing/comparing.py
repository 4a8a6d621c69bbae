"""What we believe of the service beside what it says: pure."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from lorry.platforms.probing.looking import LOOKS, NotSeen, Replies


class Outcome(StrEnum):
    """How a belief stands against the answers."""

    DIFFERS = "differs"  # the service says something else
    NOTED = "noted"  # we believe nothing: it is written down
    NOT_SEEN = "not seen"  # the answers do not show it
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Belief:
    """One thing that we believe, or want to know.

    Attributes:
        name: Short and stable.
        about: What it is about, in a phrase.
        look: Name of the look that finds it in the answers.
        of: What the look is given.
        value: What we believe; `None` where nobody knows.
        at_most: Whether what is seen may have fewer elements than `value`, in a list.
        source: Where it was read.
        date: Of when that is.
    """

    name: str
    about: str
    look: str
    of: str
    value: Any
    at_most: bool
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A belief and what was seen.

    Attributes:
        belief: The belief.
        outcome: How it stands.
        seen: What the answers show; `None` when they do not.
        why: What kept it from being seen.
    """

    belief: Belief
    outcome: Outcome
    seen: Any = None
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "name": self.belief.name,
            "about": self.belief.about,
            "believed": self.belief.value,
            "source": self.belief.source,
            "date": self.belief.date,
            "seen": self.seen,
            "outcome": str(self.outcome),
            "why": self.why,
        }


@cache
def beliefs() -> tuple[Belief, ...]:
    """Read `beliefs.toml`."""
    table = tomllib.loads(
        files("lorry.platforms.probing").joinpath("beliefs.toml").read_text(encoding="utf-8")
    )
    return tuple(
        Belief(
            name=row["name"],
            about=row["about"],
            look=row["look"],
            of=row.get("of", ""),
            value=row.get("value"),
            at_most=row.get("at_most", False),
            source=row["from"],
            date=str(row["date"]),
        )
        for row in table["belief"]
    )


def compare(replies: Replies, believed: Sequence[Belief]) -> tuple[Compared, ...]:
    """Hold beliefs against answers; what differs comes first, then what is news.

    Args:
        replies: The answers, by the question's name.
        believed: The beliefs.
    """
    order = list(Outcome)
    return tuple(
        sorted((_one(replies, each) for each in believed), key=lambda found: order.index(found.outcome))
    )


def _one(replies: Replies, belief: Belief) -> Compared:
    try:
        seen = LOOKS[belief.look](replies, belief.of)
    except NotSeen as error:
        return Compared(belief, Outcome.NOT_SEEN, why=str(error))
    if belief.value is None:
        return Compared(belief, Outcome.NOTED, seen)
    return Compared(belief, Outcome.SAME if _agree(belief, seen) else Outcome.DIFFERS, _news(belief, seen))


def _agree(belief: Belief, seen: Any) -> bool:
    if belief.at_most and isinstance(seen, list):
        return set(seen) <= set(belief.value)
    if isinstance(belief.value, list) and not isinstance(seen, list):
        return seen in belief.value  # one of several
    return bool(seen == belief.value)


def _news(belief: Belief, seen: Any) -> Any:
    """Of a list that may have less, show what it has beyond what we know."""
    if belief.at_most and isinstance(seen, list):
        return sorted(set(seen) - set(belief.value)) or seen
    return seen
