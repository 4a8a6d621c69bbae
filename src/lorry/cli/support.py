"""One page for a support ticket: what a model is, what happened to it, and on what it runs. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from lorry.api.debugging import Case
from lorry.journal import timeline
from lorry.model.events import Event


def support_page(case: Case, machine: Mapping[str, Mapping[str, Any]], at: datetime) -> str:
    """Write the page, in Markdown.

    Args:
        case: What is known about the model.
        machine: Versions and settings by section, without secrets (`examining.examine`).
        at: The time, UTC.
    """
    parts = [
        f"# {case.name}\n\n{_headline(case)}\n",
        f"Written {_clock(at)} UTC by `lorry debug {case.name}`.\n",
        *_error(case),
        *_where(case),
        *_timeline(case.events),
        *_requests(case),
        *_section("Leases", [lease.as_dict() for lease in case.leases]),
        *_journal(case.events),
        *(_listed(title, rows) for title, rows in machine.items() if title != "problems"),
    ]
    return "\n".join(parts)


def _headline(case: Case) -> str:
    place = case.placement
    if case.model is None:
        return "It was retired; its journal is what is left."
    if place is None:
        return "It is on no route yet."
    state = f"{place.state}, at the step {place.step}" if place.step else str(place.state)
    said = f" The platform's last word: {case.status.said}." if case.status and case.status.said else ""
    where = f"{place.route}{', rehearsed on the embedded engine' if place.rehearsal else ''}"
    return f"State: **{state}**. Route: {where}.{said}"


def _error(case: Case) -> Iterator[str]:
    """Tell the last error: that of the placement, or the last in the journal."""
    failed = [event for event in case.events if event.action in ("failed", "retry") and "error" in event.data]
    error = (case.placement.error if case.placement else None) or (
        failed[-1].data["error"] if failed else None
    )
    if error is None:
        yield "## Last error\n\nNone.\n"
        return
    when = f" ({_clock(failed[-1].at)})" if failed else ""
    yield f"## Last error{when}\n\n`{error.get('code')}`: {_line(error.get('message', ''))}\n"
    if error.get("fix"):
        yield f"Next: {_line(error['fix'])}\n"
    if error.get("evidence"):
        yield _json(error["evidence"])


def _where(case: Case) -> Iterator[str]:
    if case.model is not None:
        yield _listed("Model", case.model.as_dict())
    if case.placement is not None:
        told = case.placement.as_dict()
        ids = {name: value for name, value in told["ids"].items() if value}
        yield _listed("Where it is", {"route": told["route"], "options": told["options"], **ids})
        if told["proof"]:
            yield _listed("Proof", told["proof"])
    yield _listed("Policy", {name: value for name, value in case.policy.as_dict().items() if value})


def _timeline(events: Iterable[Event]) -> Iterator[str]:
    rows = [
        f"| {_clock(line.began)} | {line.source} | {line.step} | {line.state} "
        f"| {'' if line.seconds is None else f'{line.seconds:.2f}'} | {line.retries or ''} "
        f"| {_cell(line.message)} |"
        for line in timeline(events)
    ]
    if rows:
        head = ["| began | by | step | state | s | retries | said |", "|---|---|---|---|---|---|---|"]
        yield "\n".join(["## Timeline\n", *head, *rows, ""])


def _requests(case: Case) -> Iterator[str]:
    """Tell how the newest requests went, and each that did not go well."""
    if not case.attempts:
        return
    came = Counter(f"{row['outcome']} {row['code'] or ''}".strip() for row in case.attempts)
    told = ", ".join(f"{count} × {what}" for what, count in came.most_common())
    yield f"## The last {len(case.attempts)} attempts to generate\n\n{told}.\n"
    wrong = [row for row in case.attempts if row["outcome"] != "ok"]
    if wrong:
        head = ["| at | request | route | outcome | code | status | ms |", "|---|---|---|---|---|---|---|"]
        rows = [
            f"| {row['at'][:19]} | {row['request']} | {row['route'] or ''} | {row['outcome']} "
            f"| {row['code'] or ''} | {row['status']} | {row['milliseconds']:.0f} |"
            for row in wrong[:20]
        ]
        yield "\n".join([*head, *rows, ""])


def _journal(events: Iterable[Event]) -> Iterator[str]:
    kept = list(events)[-300:]
    if kept:
        lines = [
            f"{_clock(event.at)}  {event.source}  {event.subject}  {event.action}  {_line(event.message)}"
            for event in kept
        ]
        yield "\n".join(["## Journal\n", "```text", *lines, "```", ""])


def _section(title: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    if rows:
        yield f"## {title}\n"
        yield _json(rows)


def _listed(title: str, rows: Mapping[str, Any]) -> str:
    # Without a colon: what stands behind `token:` would be taken for one, and hidden.
    lines = [f"- **{name}** {_value(value)}" for name, value in rows.items() if value not in (None, "")]
    return "\n".join([f"## {title[0].upper()}{title[1:]}\n", *lines, ""])


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{_line(value if isinstance(value, str) else json.dumps(value, default=str))}`"


def _json(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2, default=str, ensure_ascii=False)}\n```\n"


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _line(text: Any) -> str:
    return " ".join(str(text).split())


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")
