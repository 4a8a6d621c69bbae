"""A dry run for people: what each route would make, cost and meet."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from lorry.model.forecast import Forecast

#: Obstacles that say nothing about the route: nobody could be asked.
_UNTOLD = {"engine_not_running", "platform_unreachable", "key_missing"}

_WIDTH = 96
_LABEL = 10


def forecast_lines(forecasts: Sequence[Forecast]) -> list[str]:
    """Write a dry run.

    Args:
        forecasts: One for each route.
    """
    lines: list[str] = []
    for each in forecasts:
        lines += [*_route(each), ""]
    runs = [each.route for each in forecasts if each.runs]
    if runs:
        ways = " or ".join(f"--route {route}" for route in runs)
        return [*lines, f"Nothing was made. Ship it with {ways}."]
    return [*lines, "Nothing was made, and no route takes it as things stand."]


def _route(told: Forecast) -> Iterator[str]:
    verdict = "would run" if told.runs else "would be refused"
    if _UNTOLD & {obstacle.code for obstacle in told.obstacles}:
        verdict = "can't be told"
    played = ", played by the embedded engine" if told.rehearsal else ""
    yield f"{told.route}: {verdict}{played}"
    yield from _row("creates", told.creates)
    yield from _row("uses", told.finds)
    yield from _row("runs on", [told.target] if told.target else [])
    if told.price is not None:
        note = f"; {told.price.note}" if told.price.note else ""
        yield from _row("price", [f"{told.price.sentence} ({told.price.source}){note}"])
    elif told.runs:
        yield from _row("price", ["nothing of it bills"])
    for obstacle in told.obstacles:
        yield from _row("refused", [f"{obstacle.sentence} [{obstacle.code}]"])
        yield from _row("next", [obstacle.fix] if obstacle.fix else [])
    yield from _row("asked", [", ".join(told.asked)] if told.asked else [])


def _row(label: str, values: Iterable[str]) -> Iterator[str]:
    for number, value in enumerate(values):
        first = f"  {label if number == 0 else '':<{_LABEL}}"
        yield from textwrap.wrap(
            value,
            _WIDTH,
            initial_indent=first,
            subsequent_indent=" " * len(first),
            break_long_words=False,
            break_on_hyphens=False,
        )
