"""Prices, costs, leases and budgets as lines of text, and the question before something bills."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence

from lorry.cli.tables import table
from lorry.model.budget import Budget, Standing
from lorry.model.costs import Cost, Report
from lorry.model.forecast import Price
from lorry.model.prices import PICTURES, HardwarePrice, TokenPrice
from lorry.spend.deciding import Act
from lorry.spend.keeper import Passed
from lorry.spend.passing import Done
from lorry.spend.running import Changed


def agreement(*, yes: bool, ask: bool) -> Callable[[Price], Awaitable[bool]]:
    """Give what is asked before something starts that bills; only a terminal is asked.

    Args:
        yes: Whether the user agreed beforehand.
        ask: Whether there may be a question at all.
    """

    async def agree(price: Price) -> bool:
        if yes:
            return True
        if not (ask and sys.stdin.isatty() and sys.stdout.isatty()):
            return False
        return await asyncio.to_thread(
            confirmed, f"This starts something that bills: {price.sentence} ({price.note}). Go on?"
        )

    return agree


def confirmed(question: str) -> bool:
    """Ask a question that is answered with yes or no; anything but yes is no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def dollars(cents: float | None) -> str:
    """Write an amount."""
    if cents is None:
        return "not told"
    return f"${cents / 100:,.2f}" if cents >= 100 or not cents else f"${cents / 100:.4g}"


def price_lines(hardware: Sequence[HardwarePrice], words: Sequence[TokenPrice]) -> list[str]:
    """Write the prices: by the hour, by the megapixel, by the token."""
    lines = ["By the hour and replica, running or idle:", ""]
    rows = [(row.name, dollars(row.cents_per_hour), row.source) for row in hardware]
    lines += table(("HARDWARE", "AN HOUR", "SOURCE"), rows)
    lines += ["", "By the megapixel (× steps / default steps, above the default):", ""]
    pictures = [
        (base, dollars(price.cents_per_megapixel), str(price.default_steps or "-"), price.source)
        for base, price in sorted(PICTURES.items())
    ]
    lines += table(("BASE", "A MEGAPIXEL", "DEFAULT STEPS", "SOURCE"), pictures)
    if words:
        lines += ["", "By the million tokens, where the base answers without a deployment of one's own:", ""]
        told = [
            (
                row.base,
                dollars((row.input_dollars or 0) * 100),
                dollars((row.output_dollars or 0) * 100),
                row.source,
            )
            for row in words
        ]
        lines += table(("BASE", "READ", "WRITTEN", "SOURCE"), told)
    return lines


_HEADS = ("SPENT", "BY THE HOUR", "BY THE REQUEST", "REQUESTS", "IDLE", "NOW AN HOUR", "MONTH")


def cost_lines(found: Report, passed: Passed, *, rehearsals: bool) -> list[str]:
    """Write what was spent, and what bills now."""
    title = "Rehearsed on this machine; nobody owes it." if rehearsals else "Spent."
    lines = [f"{title} {found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC", ""]
    if not found.rows:
        lines.append("Nothing ran and nothing was asked that costs.")
    else:
        heads = (
            found.by.upper(),
            "SPENT",
            "BY THE HOUR",
            "BY THE REQUEST",
            "REQUESTS",
            "IDLE",
            "NOW AN HOUR",
            "MONTH",
        )
        lines += table(heads, [_cost_row(row) for row in (*found.rows, found.total)])
        if found.total.untold:
            lines += ["", "Some of what ran has no published price and counts as $0 here."]
    if found.rehearsed_cents:
        lines += [
            "",
            f"Rehearsals would have cost {dollars(found.rehearsed_cents)} (`--rehearsals` shows them).",
        ]
    running = [done for done in passed.done if done.object.bills and done.object.rehearsal == rehearsals]
    if running:
        lines += ["", "Bills now:", "", *object_lines(running)]
    return lines + [f"note: {problem}" for problem in passed.problems]


def _cost_row(row: Cost) -> tuple[str, ...]:
    return (
        row.key,
        dollars(row.cents),
        dollars(row.hours_cents),
        dollars(row.requests_cents),
        f"{row.requests:,.0f}",
        f"{row.idle_share:.0%}" if row.minutes else "-",
        dollars(row.running_cents),
        dollars(row.month_cents),
    )


def object_lines(done: Sequence[Done]) -> list[str]:
    """Write things that bill, with what becomes of each."""
    rows = []
    for each in done:
        thing = each.object
        until = each.decision.until
        hourly = (
            None if thing.cents_per_hour is None else thing.cents_per_hour * max(thing.running, thing.wanted)
        )
        rows.append(
            (
                thing.name,
                ", ".join(each.models) or "-",
                f"{thing.running}/{thing.wanted} {thing.hardware}",
                dollars(hourly) if thing.bills else "-",
                f"{until:%m-%d %H:%M}" if until and each.decision.act is not Act.STOP else "-",
                "failed" if each.error else str(each.decision.act),
                each.error.message if each.error else each.decision.reason,
            )
        )
    return table(("NAME", "MODELS", "RUNS", "AN HOUR", "UNTIL (UTC)", "", "WHY"), rows)


def pass_lines(passed: Passed) -> list[str]:
    """Write a pass of the keeper."""
    bills = [done for done in passed.done if done.object.bills or done.decision.act is not Act.KEEP]
    lines = object_lines(bills) if bills else ["Nothing bills."]
    lines += [f"budget: {each.sentence}" for each in passed.standings if each.warned]
    return lines + [f"note: {problem}" for problem in passed.problems]


def changed_lines(name: str, changed: Changed, did: str) -> list[str]:
    """Write what became of a start, a stop or a change of the number of replicas."""
    thing = changed.object
    lines = [f"{name} {did}."]
    if changed.lease is not None:
        count, hourly = thing.wanted, thing.cents_per_hour
        price = "at a price that is not told" if hourly is None else f"{dollars(hourly * count)} an hour"
        replicas = f"{count} replica{'s' if count != 1 else ''}"
        lines.append(f"  {replicas} of {thing.hardware or 'hardware that is not told'}, {price}")
        lines.append(f"  until {changed.lease.until:%Y-%m-%d %H:%M} UTC; each use renews that")
    if changed.others:
        lines.append(f"  it serves {', '.join(changed.others)} too")
    if changed.undo:
        lines.append(f"undo: {changed.undo}")
    return lines


def budget_lines(budgets: Sequence[Budget], found: Sequence[Standing]) -> list[str]:
    """Write the budgets and how each stands."""
    if not budgets:
        return ["No budget is set. `lorry budget all --month 500` sets one of $500 a month for everything."]
    rows = [
        (
            each.budget.scope, each.period, dollars(each.limit), dollars(each.spent), dollars(each.left),
            f"{each.ends:%Y-%m-%d %H:%M}", each.budget.at_limit,
        )
        for each in found
    ]  # fmt: skip
    return table(("SCOPE", "PERIOD", "BUDGET", "SPENT", "LEFT", "UNTIL (UTC)", "THEN"), rows)
