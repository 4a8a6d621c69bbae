"""Pages, filters and field masks as Together's lists and updates use them (Together API dossier 2.0)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Query

from lorry.engine.api_errors import invalid

Limit = Annotated[int, Query(ge=1, le=500)]
EventLimit = Annotated[int, Query(ge=1, le=10_000)]
DEFAULT_LIMIT = 50


class Identified(Protocol):
    """Something with an id that sorts by age."""

    @property
    def id(self) -> str:
        """The id."""


T = TypeVar("T", bound=Identified)


def page(
    items: Sequence[T],
    answer: Callable[[T], dict[str, Any]],
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
    *,
    newest_first: bool = False,
) -> dict[str, Any]:
    """Cut one page out of a list.

    Args:
        items: All of them, oldest first.
        answer: Writes one as JSON.
        limit: How many a page holds.
        after: The cursor of the page before: the id of its last item, which may be gone by now.
        newest_first: Turn the order round.
    """
    ordered = list(reversed(items)) if newest_first else list(items)
    if after is not None:
        ordered = [item for item in ordered if (item.id < after if newest_first else item.id > after)]
    shown = ordered[:limit]
    cursor = shown[-1].id if len(ordered) > limit else None
    return {"object": "list", "data": [answer(item) for item in shown], "next_cursor": cursor}


def masked(mask: str | None, given: Iterable[str]) -> frozenset[str]:
    """Say which fields an update writes: those of the mask, or those that were given.

    Args:
        mask: `updateMask` as sent: field paths in camelCase or snake_case, separated by commas.
        given: Names (camelCase) of the fields in the body.

    Raises:
        Refusal: There is nothing to write.
    """
    if mask:
        paths = {_camel(path.strip().split(".")[0]) for path in mask.split(",") if path.strip()}
    else:
        paths = set(given)
    if not paths - {"etag"}:
        raise invalid("There are no fields to update; name them in updateMask.")
    return frozenset(paths - {"etag"})


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


_TOKEN = re.compile(
    r"\s*(?:(?P<word>AND|OR|NOT)\b|(?P<bracket>[()])|"
    r'(?P<field>[A-Za-z_]+)\s*(?P<op>!=|=|<|>|:)\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s()"]+)))'
)

Test = Callable[[Mapping[str, str]], bool]


def parse_filter(text: str | None, fields: frozenset[str]) -> Test:
    """Read a filter expression: `=`, `!=`, `<`, `>`, `:` (contains), `*`, AND, OR, NOT and brackets.

    Args:
        text: The expression; nothing lets everything through.
        fields: Names that it may use.

    Returns:
        A test of an item's fields.

    Raises:
        Refusal: It can't be read.
    """
    if not text or not text.strip():
        return lambda _: True
    tokens = _tokens(text, fields)
    test, rest = _either(tokens, text)
    if rest:
        raise _unreadable(text)
    return test


def _unreadable(text: str) -> Exception:
    return invalid(f"The filter expression {text!r} can't be read.", "filter")


def _tokens(text: str, fields: frozenset[str]) -> list[str | Test]:
    tokens: list[str | Test] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unreadable(text)
        position = match.end()
        if match["field"]:
            if match["field"] not in fields:
                raise invalid(f"Filters can use {', '.join(sorted(fields))}; not {match['field']}.", "filter")
            tokens.append(_comparison(match["field"], match["op"], match["quoted"] or match["bare"] or ""))
        else:
            tokens.append(match["word"] or match["bracket"])
    return tokens


def _comparison(field: str, op: str, value: str) -> Test:
    # A name may be given bare or qualified (`local/tok`); the last part decides then.
    def equal(found: str) -> bool:
        pattern = value.replace("[", "[[]")
        return fnmatchcase(found, pattern) or fnmatchcase(found.rsplit("/", 1)[-1], pattern)

    tests: dict[str, Callable[[str], bool]] = {
        "=": equal,
        "!=": lambda found: not equal(found),
        "<": lambda found: found < value,
        ">": lambda found: found > value,
        ":": lambda found: value.strip("*") in found,
    }
    return lambda item: tests[op](item[field])


def _either(tokens: list[str | Test], text: str) -> tuple[Test, list[str | Test]]:
    left, rest = _both(tokens, text)
    while rest and rest[0] == "OR":
        right, rest = _both(rest[1:], text)
        left = _or(left, right)
    return left, rest


def _both(tokens: list[str | Test], text: str) -> tuple[Test, list[str | Test]]:
    left, rest = _one(tokens, text)
    while rest and rest[0] == "AND":
        right, rest = _one(rest[1:], text)
        left = _and(left, right)
    return left, rest


def _one(tokens: list[str | Test], text: str) -> tuple[Test, list[str | Test]]:
    if not tokens:
        raise _unreadable(text)
    first, rest = tokens[0], tokens[1:]
    if callable(first):
        return first, rest
    if first == "NOT":
        inner, rest = _one(rest, text)
        return (lambda item: not inner(item)), rest
    if first == "(":
        inner, rest = _either(rest, text)
        if rest and rest[0] == ")":
            return inner, rest[1:]
    raise _unreadable(text)


def _or(left: Test, right: Test) -> Test:
    return lambda item: left(item) or right(item)


def _and(left: Test, right: Test) -> Test:
    return lambda item: left(item) and right(item)
