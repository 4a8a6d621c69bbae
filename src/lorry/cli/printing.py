"""What people read: models, events, proofs and errors as lines of text. Only the doors print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from lorry.errors import LorryError
from lorry.journal import Estimate
from lorry.model.events import Event
from lorry.model.placement import Placement, Proof, ShippedModel

_MEGABYTE = 1_000_000

#: Steps that usually end within these seconds are shown without an estimate.
_SHORT = 2.0

#: Characters of a kept answer that are shown.
_LONGEST_ANSWER = 100


def size(count: int) -> str:
    """Write a number of bytes as a person says it.

    Args:
        count: Bytes.
    """
    if count < 1_000:
        return f"{count} bytes"
    if count < _MEGABYTE:
        return f"{count / 1_000:.0f} kB"
    return f"{count / _MEGABYTE:.1f} MB"


def eta(estimate: Estimate | None, elapsed: float) -> str:
    """Say how much longer a step usually takes.

    Args:
        estimate: What is known of it; `None` when too little is.
        elapsed: How long it has been going on, seconds.

    Returns:
        Nothing for a step that is unknown, or so short that the words would outlast it.
    """
    return "" if estimate is None or estimate.p90 < _SHORT else estimate.sentence(elapsed)


def pairs(rows: Iterable[tuple[str, str | None]], indent: str = "  ") -> list[str]:
    """Line up labels and values; rows without a value are left out.

    Args:
        rows: Label and value.
        indent: What each line begins with.
    """
    kept = [(label, value) for label, value in rows if value]
    width = max((len(label) for label, _ in kept), default=0)
    return [f"{indent}{label:<{width}}  {value}" for label, value in kept]


def error_lines(error: LorryError) -> list[str]:
    """Write an error: the sentence with its code, then the next command.

    Args:
        error: What went wrong.
    """
    findings = error.evidence.get("findings") or []
    detail = [f"  {finding['severity']}: {finding['message']} [{finding['code']}]" for finding in findings]
    return [f"error [{error.code}]: {error.message}", *detail, f"next: {error.fix}"]


def model_lines(models: Sequence[ShippedModel]) -> list[str]:
    """Write the table of models.

    Args:
        models: What Lorry remembers.
    """
    if not models:
        return ["No models yet. Ship one with `lorry ship PATH --name NAME`."]
    rows = [("NAME", "STATE", "ROUTE", "BASE", "TRIGGER", "EFFECT", "UPDATED")]
    for entry in models:
        place, model = entry.placement, entry.model
        effect = f"{place.proof.difference:.1f}" if place and place.proof else "-"
        state, route = (str(place.state), place.route) if place else ("new", "-")
        updated = (place.updated_at if place else model.created_at).strftime("%Y-%m-%d %H:%M")
        rows.append((model.name, state, route, model.base, model.trigger or "-", effect, updated))
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Line up columns.

    Args:
        rows: The head first; all of the same length.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def shipped_lines(entry: ShippedModel, standing: Sequence[str] = ()) -> list[str]:
    """Write everything about one model.

    Args:
        entry: The model and where it is.
        standing: How far its delivery came, as lines.
    """
    model, place = entry.model, entry.placement
    lines = [model.name]
    rows: list[tuple[str, str | None]] = [
        ("source", model.source),
        ("sha256", model.digest),
        ("base", model.base),
        ("trigger", model.trigger),
        ("modules", str(model.modules)),
    ]
    if place is None:
        return lines + pairs(rows)
    step = f" (last step: {place.step})" if place.step and str(place.state) != "ready" else ""
    rows += [("route", place.route), ("state", f"{place.state}{step}: {place.state.sentence}")]
    rows += _id_rows(place)
    lines += [*pairs(rows), *standing]
    if place.proof:
        lines += ["", *proof_lines(place.proof)]
    if place.error:
        lines += [
            "",
            f"error [{place.error['code']}]: {place.error['message']}",
            f"next: {place.error['fix']}",
        ]
    return lines


def _id_rows(place: Placement) -> list[tuple[str, str | None]]:
    ids = place.ids
    commit = f" @ {ids.hub_commit[:8]}" if ids.hub_commit else ""
    return [
        ("hub", f"{ids.hub_repo}{commit}" if ids.hub_repo else None),
        ("model", f"{ids.adapter_name} ({ids.model})" if ids.adapter_name else ids.model),
        ("revision", ids.revision),
        ("endpoint", f"{ids.endpoint_name} ({ids.endpoint})" if ids.endpoint_name else ids.endpoint),
        ("deployment", ids.deployment),
    ]


def proof_lines(proof: Proof) -> list[str]:
    """Write a proof: the sentence with its numbers, and both answers or where they lie.

    Args:
        proof: The evidence.
    """
    asked = f"{proof.prompt!r}, seed {proof.seed}"
    files = [("without", proof.file_without), ("with", proof.file_with)]
    if proof.kind == "picture":
        rows = [("prompt", f"{asked}, scale {proof.scale:g}"), *files]
    else:
        rows = [("question", asked), *((label, _quoted(file)) for label, file in files)]
    return [*_verdict(proof), *pairs(rows)]


def _quoted(file: str | None) -> str | None:
    """Give the beginning of a kept answer, to be read where it is told of; its path when it is gone."""
    if file is None:
        return None
    try:
        words = " ".join(Path(file).read_text(encoding="utf-8").split())
    except (OSError, UnicodeError):
        return file
    return (
        f"“{words}”" if len(words) <= _LONGEST_ANSWER else f"“{words[:_LONGEST_ANSWER].rstrip()} …” ({file})"
    )


def _verdict(proof: Proof) -> list[str]:
    what = "picture" if proof.kind == "picture" else "answer"
    if not proof.compared:
        return [f"It gives a whole {what}. Nothing here answers without it, so nothing could be compared."]
    who = "The adapter" if proof.kind == "picture" else "It"
    verdict = f"{who} acts" if proof.passed else f"{who} does not act"
    average = " on average" if proof.kind == "picture" else ""
    return [
        f"{verdict}: with it the {what} differs by {proof.difference:.1f} {proof.unit}{average},",
        f"two {what}s without it differ by {proof.noise:.1f}; it had to be above {proof.threshold:.1f}.",
    ]


def event_line(event: Event) -> str:
    """Write one entry of the journal.

    Args:
        event: The entry.
    """
    seconds = f"{event.seconds:7.2f} s" if event.seconds is not None else " " * 9
    what = f"{event.source:<10}  {event.subject:<10} {event.action:<9}"
    return f"{_clock(event.at)}  {what} {seconds}  {event.message}"


def worker_line(event: Event) -> str:
    """Write what a worker tells while it works on many models; nothing for what only matters within one.

    Args:
        event: What happened.
    """
    if (
        event.action not in ("done", "failed", "retry", "adopted", "waits", "late")
        and event.subject != "resume"
    ):
        return ""
    seconds = f"{event.seconds:7.2f} s" if event.seconds is not None else " " * 9
    mark = {"done": "ok", "failed": "FAIL"}.get(event.action, "")
    return f"{_clock(event.at)}  {event.model:<20}  {mark:<4}  {event.subject:<10} {seconds}  {event.message}"


def _clock(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")
