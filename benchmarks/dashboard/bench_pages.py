"""How soon the first page is seen with 10,000 models, beside a plain file of the same rows.

The peer is the list itself, as a file without style or script, from Python's `http.server`: what a browser
on this machine needs at least to show so many rows. Needs Debian's Chromium.

    python benchmarks/dashboard/bench_pages.py [--models 10000] [--requests 200000] [--loads 15]
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from sqlalchemy import insert

from lorry.model.kept import Came, LedgerRow
from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel
from lorry.store import open_store
from lorry.store.tables import MODELS, PLACEMENTS

PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
STATES = (*[PlacementState.READY] * 18, PlacementState.FAILED, PlacementState.HELD)


async def fill(home: Path, models: int, requests: int) -> None:
    """Write models in several states, and a day of requests for them."""
    dice, now = random.Random(1), datetime.now(UTC)  # noqa: S311 - test data
    first = TrainedModel("m", "/m", "0" * 64, "flux2-dev", "black-forest-labs/FLUX.2-dev", "TOK", 112, now)
    placed = Placement("m", "together-url", PlacementState.READY, "prove", ProviderIds(), None, None, now)
    names = [f"{dice.choice(('portrait', 'style', 'brand'))}-{number:05}" for number in range(models)]
    asked = enumerate(dice.choices(names, k=requests))
    rows = [row(number, name, dice, now) for number, name in asked]
    async with open_store(home) as store:
        async with store.database.writing() as connection:
            known = [replace(first, name=name).as_dict() for name in names]
            where = [replace(placed, model=name, state=dice.choice(STATES)).as_dict() for name in names]
            await connection.execute(insert(MODELS), known)
            await connection.execute(insert(PLACEMENTS), where)
        for begin in range(0, len(rows), 5000):
            await store.ledger.write(rows[begin : begin + 5000])


def row(number: int, name: str, dice: random.Random, now: datetime) -> LedgerRow:
    """Give a request of some time today."""
    came = Came.FAILED if dice.random() < 0.02 else Came.OK
    at = now - timedelta(seconds=dice.random() * 86_000)
    return LedgerRow(
        f"r{number}-1", f"r{number}", at, None, None, name, name, "together-url", False, "images", came,
        milliseconds=dice.lognormvariate(8, 0.5), cents=2.5,
    )  # fmt: skip


@contextmanager
def started(*command: str, wait: str) -> Iterator[None]:
    """Run a server until the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(wait).close()
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def paints(page: Page, url: str, loads: int) -> list[float]:
    """Load a page so often; give the milliseconds to its first paint with content."""
    found = []
    for _ in range(loads):
        page.goto(url)
        page.wait_for_timeout(400)
        found.append(float(page.evaluate(PAINT)))
    return found[2:]  # the first fill the caches of the browser and of the server


def weight(url: str) -> tuple[int, float]:
    """Give a page's bytes on the line, compressed, and the median of the milliseconds that it took."""
    times = []
    for _ in range(15):
        asked = urllib.request.Request(url, headers={"accept": "text/html", "accept-encoding": "gzip"})
        began = time.perf_counter()
        with urllib.request.urlopen(asked) as answer:
            body = answer.read()
        times.append((time.perf_counter() - began) * 1000)
    return len(body if body[:2] == b"\x1f\x8b" else gzip.compress(body)), statistics.median(times)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--loads", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        asyncio.run(fill(home, given.models, given.requests))
        ours, theirs = "http://127.0.0.1:8781", "http://127.0.0.1:8782"
        serve = (sys.executable, "-m", "lorry", "serve", "--home", str(home), "--port", "8781")
        peer = (sys.executable, "-m", "http.server", "8782", "--bind", "127.0.0.1", "--directory", folder)
        rows = "".join(f"<tr><td>model-{n:05}<td>ready<td>together-url<td>$0.02</tr>" for n in range(50))
        Path(folder, "index.html").write_text(f"<!doctype html><title>Models</title><table>{rows}</table>")
        with started(*serve, wait=f"{ours}/healthz"), started(*peer, wait=theirs):
            table(given, ours, theirs)


def table(given: argparse.Namespace, ours: str, theirs: str) -> None:
    """Measure one after the other, and print."""
    places = {
        "first page": "/",
        "found by name": "/?q=portrait-0",
        "sorted by cost, page 100": "/?sort=cost&page=100",
        "deliver": "/deliver",
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        plain = statistics.median(paints(page, theirs, given.loads))
        print(f"{given.models:,} models, {given.requests:,} requests today")
        print(f"a plain file: first paint {plain:.0f} ms")
        columns = ("page", "first paint, median ms", "times the plain file", "slowest", "server, ms", "kB")
        print(f"| {' | '.join(columns)} |")
        print("|---|---|---|---|---|---|")
        for name, path in places.items():
            size, server = weight(ours + path)
            found = paints(page, ours + path, given.loads)
            median = statistics.median(found)
            cells = (name, f"{median:.0f}", f"{median / plain:.1f}", f"{max(found):.0f}", f"{server:.1f}")
            print(f"| {' | '.join(cells)} | {size / 1000:.1f} |", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
