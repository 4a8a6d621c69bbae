"""Recorded traffic: when which model was asked, for how long; read and written as CSV."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

from lorry.errors import OptionInvalid

_HEAD = ("at", "model", "seconds")
_MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True, order=True)
class Asked:
    """One request.

    Attributes:
        at: When it came, seconds since 1970.
        seconds: How long it took.
    """

    at: float
    seconds: float = 0.0


#: Requests by model, each in the order in which they came.
Traffic = Mapping[str, Sequence[Asked]]


def read_traffic(lines: Iterable[str], name: str) -> Traffic:
    """Read recorded traffic.

    Args:
        lines: CSV with the columns `at` (ISO 8601, UTC unless it says otherwise), `model`, `seconds`.
        name: Of the file, for errors.

    Raises:
        OptionInvalid: With every problem at once.
    """
    rows = csv.DictReader(lines)
    if not set(_HEAD) <= set(rows.fieldnames or ()):
        raise OptionInvalid(
            f"{name} is no recorded traffic: its first line has to name the columns {', '.join(_HEAD)}.",
            fix="Write one with `lorry plan --record FILE`.",
            evidence={"columns": list(rows.fieldnames or ())},
        )
    found: dict[str, list[Asked]] = defaultdict(list)
    problems: list[str] = []
    for number, row in enumerate(rows, 2):
        try:
            found[_model(row)].append(Asked(_moment(row["at"]), _seconds(row["seconds"])))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        shown = problems[:_MOST_PROBLEMS]
        more = f", and {len(problems) - len(shown)} more" if len(problems) > len(shown) else ""
        raise OptionInvalid(
            f"{name} has lines that can't be read: {'; '.join(shown)}{more}.",
            fix="Correct them, or write the file anew with `lorry plan --record FILE`.",
            evidence={"problems": shown, "count": len(problems)},
        )
    return {model: sorted(requests) for model, requests in sorted(found.items())}


def write_traffic(traffic: Traffic, file: TextIO) -> int:
    """Write traffic so that `read_traffic` reads it; give the number of requests."""
    rows = sorted((each.at, model, each.seconds) for model, all_ in traffic.items() for each in all_)
    writer = csv.writer(file)
    writer.writerow(_HEAD)
    for at, model, seconds in rows:
        writer.writerow((datetime.fromtimestamp(at, UTC).isoformat(), model, f"{seconds:.3f}"))
    return len(rows)


def _model(row: Mapping[str, str | None]) -> str:
    if not row["model"]:
        raise ValueError("the model is missing")
    return row["model"]


def _moment(text: str | None) -> float:
    moment = datetime.fromisoformat(text or "")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _seconds(text: str | None) -> float:
    seconds = float(text or "")
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"seconds is {text}, it must be 0 or more")
    return seconds
