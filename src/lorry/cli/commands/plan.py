"""`lorry plan`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from lorry.cli.options import Common

if TYPE_CHECKING:
    from lorry.spend.replay import Ground, Replayed
    from lorry.spend.traffic import Traffic


def plan(
    *,
    replay: Path | None = None,
    record: Path | None = None,
    days: float = 30,
    wait_share: float = 0.01,
    price: float = 5.49,
    start_seconds: float = 120,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Say what each policy would have cost on recorded traffic, and how long users would have waited.

    Without a file, this home's own ledger is replayed, and each model gets its advice: when a deployment of
    its own pays, how long it should idle, and which adapters could share one.

    Args:
        replay: A file of recorded traffic: CSV with the columns at, model, seconds.
        record: Write this home's traffic into such a file, and do nothing else.
        days: How far back the ledger is read.
        wait_share: Share of requests that may wait for a start, 0 to 1.
        price: US dollars that a replica costs an hour.
        start_seconds: Seconds that one takes from asleep to answering.
    """
    from lorry.spend.learning import compare
    from lorry.spend.replay import Ground

    _require_sound(days, wait_share, price, start_seconds)
    ground = Ground(price * 100, start_seconds)
    if record is not None:
        _record(asyncio.run(_ledger(common, days)), record, common)
        return
    traffic = _read(replay) if replay is not None else asyncio.run(_ledger(common, days))
    rows = compare(traffic, ground, wait_share)
    advice = [] if replay is not None else asyncio.run(_advice(common, days, ground, wait_share))
    data = {
        "requests": sum(map(len, traffic.values())),
        "models": len(traffic),
        "policies": [{"policy": name, **_as_dict(found)} for name, found in rows],
        "advice": advice,
    }
    common.out(data, _lines(traffic, rows, advice, ground))


def _require_sound(days: float, wait_share: float, price: float, start_seconds: float) -> None:
    from lorry.errors import OptionInvalid

    problems = [
        sentence
        for wrong, sentence in (
            (not 0 < days <= 3660, f"days is {days:g}, it must be above 0 and at most 3660"),
            (not 0 <= wait_share <= 1, f"wait-share is {wait_share:g}, it can be 0 to 1"),
            (not 0 <= price < 1e6, f"price is {price:g}, it must be 0 or more dollars"),
            (not 0 <= start_seconds <= 86400, f"start-seconds is {start_seconds:g}, it can be 0 to 86400"),
        )
        if wrong
    ]
    if problems:
        raise OptionInvalid(f"{'; '.join(problems)}.".capitalize(), evidence={"problems": problems})


async def _ledger(common: Common, days: float) -> Traffic:
    from lorry.api import Lorry

    async with Lorry(common.settings()) as lorry:
        return await lorry.traffic(days)


async def _advice(common: Common, days: float, ground: Ground, wait_share: float) -> list[str]:
    from lorry.api import Lorry

    async with Lorry(common.settings()) as lorry:
        return await lorry.advice(days, ground, wait_share)


def _read(path: Path) -> Traffic:
    from lorry.errors import SourceNotFound
    from lorry.spend.traffic import read_traffic

    try:
        with path.open(encoding="utf-8", newline="") as file:
            return read_traffic(file, str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SourceNotFound(f"{path} can't be read: {error}.", evidence={"path": str(path)}) from error


def _record(traffic: Traffic, path: Path, common: Common) -> None:
    from lorry.errors import NotWritable
    from lorry.spend.traffic import write_traffic

    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            count = write_traffic(traffic, file)
    except OSError as error:
        raise NotWritable(
            f"{path} can't be written: {error.strerror}.", evidence={"path": str(path)}
        ) from error
    common.out({"file": str(path), "requests": count}, [f"{count:,} requests are in {path}."])


def _as_dict(found: Replayed) -> dict[str, float]:
    return {
        "cents": round(found.cents, 2),
        "minutes": found.minutes,
        "starts": found.starts,
        "requests": found.requests,
        "waits": found.waits,
        "wait_share": round(found.wait_share, 6),
        "waited_seconds": round(found.waited, 1),
    }


def _lines(
    traffic: Traffic, rows: list[tuple[str, Replayed]], advice: list[str], ground: Ground
) -> list[str]:
    from lorry.cli.spending import dollars
    from lorry.cli.tables import table

    count = sum(map(len, traffic.values()))
    if not count:
        return ["No requests are on record, so there is nothing to replay.", *advice]
    cells = [
        (
            name,
            dollars(found.cents),
            f"{found.minutes / 60:,.1f}",
            f"{found.starts:,}",
            f"{found.waits:,} ({found.wait_share:.2%})",
            f"{found.waited / found.waits:.0f} s" if found.waits and found.waited else "-",
        )
        for name, found in rows
    ]
    head = (
        f"{count:,} request{'s' if count != 1 else ''} to {len(traffic)} "
        f"model{'s' if len(traffic) != 1 else ''}; a replica costs {dollars(ground.cents_per_hour)} an "
        f"hour and starts in {ground.start:g} s."
    )
    lines = [head, "", *table(("POLICY", "COST", "HOURS", "STARTS", "WAITED", "EACH"), cells)]
    return lines + (["", *advice] if advice else [])
