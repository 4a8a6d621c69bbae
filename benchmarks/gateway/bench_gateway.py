"""What a request through `lorry serve` costs, beside nginx and LiteLLM, in one run.

    LITELLM=…/litellm python benchmarks/gateway/bench_gateway.py [--seconds 4] [--rounds 3]

The gateway runs as it does for users: with a token that is checked, routing, a row of the ledger for every
request, metrics. Rounds are interleaved, and medians are told. CPU is processor time a request.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import ground

CONNECTIONS = (1, 32, 256)


def main() -> None:
    """Measure, and print the tables."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=int, default=4)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    ground.require_programs()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker reads there under another user
        for title, size, port in (("400 bytes", 200, 18100), ("1.5 MB", 1_500_000, 18200)):
            compare(folder, title, size, port, chosen.seconds, chosen.rounds)
        kept(folder, 18300, chosen.seconds)
        open_requests(folder, 18400)


def compare(folder: Path, title: str, size: int, port: int, seconds: int, rounds: int) -> None:
    """Measure all peers on answers of one size."""
    with ExitStack() as stack:
        up = stack.enter_context(ground.upstream(folder, port, ground.answer_of(size)))
        peers = [
            up,
            stack.enter_context(ground.nginx_proxy(folder, port + 1, port)),
            stack.enter_context(ground.gateway(folder, port + 2, port)),
        ]
        if os.environ.get("LITELLM"):
            peers.append(stack.enter_context(ground.litellm(folder, port + 3, port)))
        script = ground.wrk_script(folder)
        for peer in peers:
            ground.load(peer, 8, 2, script)  # warm
        print(f"\n## Answers of {title}\n")
        print("| peer | at once | requests/s | p50 ms | p99 ms | CPU ms | memory MB | CPU / nginx | errors |")
        print("|---|---|---|---|---|---|---|---|---|")
        for connections in CONNECTIONS:
            seen: dict[str, list[ground.Load]] = {peer.name: [] for peer in peers}
            # Who answers 60 requests a second needs some seconds for the first 256.
            length = seconds if connections < 100 else 3 * seconds
            for _ in range(rounds):
                for peer in peers:
                    seen[peer.name].append(ground.load(peer, connections, length, script))
            base = median(each.cpu for each in seen["nginx, reverse proxy"])
            for peer in peers:
                row = seen[peer.name]
                cpu = median(each.cpu for each in row)
                cells = (
                    peer.name,
                    str(connections),
                    f"{median(each.rate for each in row):,.0f}",
                    f"{median(each.p50 for each in row):.2f}",
                    f"{median(each.p99 for each in row):.1f}",
                    f"{cpu:.3f}",
                    f"{peer.memory():.0f}",
                    f"{cpu / base:.1f}",
                    "; ".join({each.errors for each in row if each.errors}) or "none",
                )
                print(f"| {' | '.join(cells)} |", flush=True)


def kept(folder: Path, port: int, seconds: int) -> None:
    """Measure what it costs to store each result before it is answered."""
    print("\n## Every result stored before it is answered (`LORRY_KEEP=all`), 1.5 MB, 8 at once\n")
    picture = b"\x89PNG\r\n\x1a\n" + os.urandom(1_100_000)
    import base64
    import json

    data = [{"index": 0, "type": "b64_json", "b64_json": base64.b64encode(picture).decode()}]
    content = json.dumps({"id": "i", "model": "slug/tok", "object": "list", "data": data}).encode()
    with ExitStack() as stack:
        stack.enter_context(ground.upstream(folder, port, content))
        script = ground.wrk_script(folder)
        print("| results | requests/s | p50 ms | CPU ms |\n|---|---|---|---|")
        for number, keep in enumerate(("paid", "all")):
            with ground.gateway(folder, port + 1 + number, port, LORRY_KEEP=keep) as peer:
                ground.load(peer, 8, 2, script)
                seen = ground.load(peer, 8, seconds, script)
                name = "stored first" if keep == "all" else "passed on"
                print(f"| {name} | {seen.rate:,.0f} | {seen.p50:.1f} | {seen.cpu:.2f} |", flush=True)


def open_requests(folder: Path, port: int, count: int = 200) -> None:
    """Measure the memory of many requests that wait for a slow upstream."""
    print(f"\n## {count} open requests of 2 s, 1.5 MB\n")
    content = folder / "slow.json"
    content.write_bytes(ground.answer_of(1_500_000))
    slow = [sys.executable, str(Path(__file__).with_name("slow_upstream.py")), str(port), "2", str(content)]
    with ground.process(slow, 0, f"http://127.0.0.1:{port}/"), ground.gateway(folder, port + 1, port) as peer:
        script = ground.wrk_script(folder)
        idle = peer.memory()
        load = subprocess.Popen(
            ["wrk", "-t1", f"-c{count}", "-d12s", "--timeout", "30s", "-s", str(script),
             peer.url + "/v1/images/generations"],
            env={**os.environ, "TOKEN": peer.token}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        most = idle
        while load.poll() is None:
            most = max(most, peer.memory())
        told = load.stdout.read() if load.stdout else ""
        rate = next((line.split()[-1] for line in told.splitlines() if "Requests/sec" in line), "?")
        print(f"idle {idle:.0f} MB, most {most:.0f} MB, {rate} requests/s")


if __name__ == "__main__":
    main()
