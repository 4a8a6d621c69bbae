"""Write the generated parts of docs/reference/routes.md: what each route and loader takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from lorry.model.verdict import Reason, Runs, Verdict
from lorry.platforms.profiles import LOADERS, ROUTES, Fact, Profile, Source, profiles

_LIMITS = {
    "kinds": "kinds of models",
    "modalities": "for",
    "upload": "files are uploaded",
    "by_url": "fetched from an address",
    "files": "names of files",
    "dtypes": "data types",
    "max_rank": "largest rank",
    "max_bytes": "largest file, bytes",
    "families": "families of base models",
    "licence": "licence of the base",
    "closed": "closed",
    "unproved": "unproved",
}
#: Limits that matter to a user and that a profile may lack.
_ASKED = ("dtypes", "max_rank", "max_bytes")


def targets_text() -> str:
    """Write the overview, and a section for each route and loader."""
    known = profiles()
    lines = ["## Overview", "", "| target | takes | loader | facts checked |", "|---|---|---|---|"]
    lines += [_overview(profile) for profile in known.values()]
    for title, targets in (("Routes", ROUTES), ("Loaders", LOADERS)):
        lines += ["", f"## {title}"]
        for target in targets:
            lines += ["", *_section(known[target])]
    return "\n".join(lines) + "\n"


def schema_text() -> str:
    """Describe each field of a verdict and of a reason, in the words of their docstrings."""
    lines: list[str] = []
    for title, kind in (("A verdict", Verdict), ("A reason", Reason)):
        said = _attributes(kind.__doc__ or "")
        lines += [f"{title}:", "", "| field | meaning |", "|---|---|"]
        lines += [f"| `{field.name}` | {said[field.name]} |" for field in fields(kind)]
        lines.append("")
    return "\n".join([*lines, f"`runs` is one of {', '.join(f'`{word}`' for word in Runs)}."]) + "\n"


def _overview(profile: Profile) -> str:
    kinds = ", ".join(profile.kinds.value)
    closed = " (closed)" if profile.closed else ""
    link = f"[`{profile.target}`](#{profile.target})"
    return f"| {link}{closed} | {kinds} | {profile.loader} | {profile.checked} |"


def _section(profile: Profile) -> Iterator[str]:
    yield from (f"### `{profile.target}`", "", profile.says)
    if profile.note:
        yield from ("", profile.note)
    yield from ("", f"Facts last checked {profile.checked}. {_rules(profile)}")
    yield from ("", "| what | limit | from | date |", "|---|---|---|---|")
    for name, words in _LIMITS.items():
        fact = getattr(profile, name)
        if isinstance(fact, Fact):
            yield _row(words, _value(fact.value), fact.source)
    yield from _lists(profile)
    unknown = [
        _LIMITS[name] for name in _ASKED if getattr(profile, name) is None and not _inherits(profile, name)
    ]
    if unknown:
        yield from ("", f"Not documented: {', '.join(unknown)}.")
    if profile.bases:
        yield from ("", "| base | status | note | from | date |", "|---|---|---|---|---|")
        for base in profile.bases:
            source = f"{base.source.origin} | {base.source.date}"
            yield f"| `{base.id}` | {base.status} | {base.note} | {source} |"


def _rules(profile: Profile) -> str:
    if profile.kind == "loader":
        return f"`lorry convert --to {profile.layout}` writes the layout that it reads."
    return f"Layouts are judged by the rules of `{profile.loader}`; convert with `--to {profile.layout}`."


def _inherits(profile: Profile, name: str) -> bool:
    """Tell whether a limit is that of the loader, or stated in another way."""
    if name == "dtypes":
        return profile.reads_dtypes is not None
    return name == "max_rank" and profile.ranks is not None


def _lists(profile: Profile) -> Iterator[str]:
    if profile.dtypes is None and profile.reads_dtypes is not None:
        fact = profile.reads_dtypes
        yield _row("data types, as its loader", _value(fact.value), fact.source)
    if profile.ranks is not None:
        ranks = profile.ranks
        limits = f"{', '.join(map(str, ranks.values))} by `{ranks.setting}`, {ranks.default} without it"
        yield _row("limit of rank", limits, ranks.source)
    for count in profile.adapters:
        yield _row("adapters at once", count.sentence, count.source)
    for rule in profile.parts:
        does = "applied" if rule.applied else "left out"
        of = f" ({', '.join(rule.families)})" if rule.families else ""
        yield _row(f"part for {rule.part}", f"{does}{of}", rule.source)
    for stumble in profile.stumbles:
        yield _row(f"`{stumble.code}`", stumble.says, stumble.source)


def _row(what: str, limit: str, source: Source) -> str:
    return f"| {what} | {limit} | {source.origin} | {source.date} |"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(f"`{word}`" for word in value) if isinstance(value, tuple) else str(value)


def _attributes(text: str) -> dict[str, str]:
    """Read the `Attributes` part of a docstring: name and sentence."""
    found: dict[str, str] = {}
    name = ""
    for line in text.partition("Attributes:\n")[2].splitlines():
        word, colon, rest = line.strip().partition(": ")
        if colon and word.isidentifier():
            name = word
            found[name] = rest
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found
