"""The gateway under load for a long time, first on a sound upstream and then on one that fails.

    python benchmarks/gateway/soak.py [--seconds 600]

At 70 % of the most that it answers, for so long: memory, errors and p99 by the minute. Then an upstream that
resets, stalls and fails in bursts: every request gets an answer, of whatever status.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import ground
import uvloop

from lorry.generation.ports import AnswerCut, NotSent
from lorry.upstream.direct import DirectUpstream


def main() -> None:
    """Soak, and print the tables."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=int, default=600)
    chosen = options.parse_args()
    ground.require_programs()
    os.sched_setaffinity(0, {0})  # the load shares a core with the upstream, and leaves the other alone
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        sound(folder, 18500, chosen.seconds)
        failing(folder, 18600, min(60, chosen.seconds))


def sound(folder: Path, port: int, seconds: int) -> None:
    """Load it at 70 % of its most."""
    with ground.upstream(folder, port, ground.answer_of(200)), ground.gateway(folder, port + 1, port) as peer:
        script = ground.wrk_script(folder)
        most = ground.load(peer, 32, 5, script).rate
        rate = 0.7 * most
        print(f"\n## Soak: {seconds} s at {rate:,.0f} requests/s (70 % of {most:,.0f})\n")
        print("| after s | requests/s | p50 ms | p99 ms | errors | memory MB |\n|---|---|---|---|---|---|")
        began = time.monotonic()
        while (left := seconds - (time.monotonic() - began)) > 1:
            seen, statuses = uvloop.run(paced(peer, rate, min(60, left)))
            seen.sort()
            told = ", ".join(
                f"{count} × {status or 'cut'}" for status, count in statuses.items() if status != 200
            )
            p50, p99 = seen[len(seen) // 2], seen[int(len(seen) * 0.99)]
            after = time.monotonic() - began
            print(
                f"| {after:.0f} | {len(seen) / min(60, left):,.0f} | {p50 * 1000:.1f} | {p99 * 1000:.1f} "
                f"| {told or 'none'} | {peer.memory():.0f} |",
                flush=True,
            )


async def paced(peer: ground.Peer, rate: float, seconds: float) -> tuple[list[float], Counter[int]]:
    """Ask evenly, whether or not the answers keep up; give latencies from when each was due, and statuses."""
    seen: list[float] = []
    statuses: Counter[int] = Counter()
    headers = {"authorization": f"Bearer {peer.token}", "content-type": "application/json"}
    url, body = peer.url + "/v1/images/generations", json.dumps(ground.BODY).encode()
    client = DirectUpstream(60)  # aiohttp's could not ask as often as it is answered
    began = time.monotonic()
    tasks: set[asyncio.Task[None]] = set()

    async def ask(due: float) -> None:
        try:
            async with client.post(url, headers, body) as got:
                while await got.read() is not None:
                    pass
                statuses[got.status] += 1
        except (NotSent, AnswerCut):
            statuses[0] += 1
        seen.append(time.monotonic() - due)

    number = 0
    while (now := time.monotonic() - began) < seconds:
        while number < now * rate:
            task = asyncio.create_task(ask(began + number / rate))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        await asyncio.sleep(0.002)
    await asyncio.gather(*tasks)
    await client.close()
    return seen, statuses


def failing(folder: Path, port: int, seconds: int) -> None:
    """Load it on an upstream that fails now and then."""
    content = folder / "small.json"
    content.write_bytes(ground.answer_of(200))
    command = [
        sys.executable,
        str(Path(__file__).with_name("slow_upstream.py")),
        str(port),
        "0",
        str(content),
        "50",
    ]
    settings = {"LORRY_ANSWER_SECONDS": "5"}
    url = f"http://127.0.0.1:{port}/"
    with ground.process(command, 0, url), ground.gateway(folder, port + 1, port, **settings) as peer:
        seen, statuses = uvloop.run(paced(peer, 300, seconds))
        print(f"\n## {seconds} s at 300 requests/s, an upstream that resets, stalls and fails in bursts\n")
        told = ", ".join(f"{status or 'no answer'}: {count:,}" for status, count in sorted(statuses.items()))
        print(f"{len(seen):,} requests; {told}; the longest took {max(seen):.1f} s; {peer.memory():.0f} MB")


if __name__ == "__main__":
    main()
