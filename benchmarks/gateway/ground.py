"""The ground of the gateway's benchmarks: an upstream, its proxies, and a load, all on loopback.

nginx and wrk are Debian packages (`apt-get install nginx-light wrk`). LiteLLM has an environment of its
own:

    python3 -m venv litellm
    litellm/bin/pip install 'litellm[proxy]' opentelemetry-sdk opentelemetry-exporter-otlp

and LITELLM says where its program is (`LITELLM=litellm/bin/litellm`). Upstream and load run on core 0, what
is measured on core 1, one worker process each.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

BODY = {"model": "tok", "prompt": "TOK, an apple on green", "response_format": "b64_json"}

_TICK = os.sysconf("SC_CLK_TCK")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"

_NGINX = """worker_processes 1; daemon off; pid {folder}/{name}.pid; error_log {folder}/{name}.err;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; client_body_buffer_size 64k;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  default_type application/json; sendfile on; tcp_nodelay on;
  {body}
}}
"""


@dataclass(frozen=True)
class Peer:
    """Something that answers: its name, address, the processes whose time counts, and its token."""

    name: str
    url: str
    pids: tuple[int, ...] = ()
    token: str = "x"

    def cpu(self) -> float:
        """Give the processor time that it has used, seconds."""
        total = 0
        for pid in self.pids:
            parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(parts[11]) + int(parts[12])
        return total / _TICK

    def memory(self) -> float:
        """Give its memory in use, MB."""
        return sum(_rss(pid) for pid in self.pids)


def _rss(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


@dataclass(frozen=True)
class Load:
    """What a load saw: requests a second, latencies in milliseconds, processor time a request, errors."""

    rate: float
    p50: float
    p99: float
    cpu: float
    errors: str


def require_programs() -> None:
    """Say what is missing on this machine, and end then."""
    missing = [name for name in ("wrk", "taskset", "nginx") if not shutil.which(name, path=_PATH)]
    if missing:
        print(f"Left out: {', '.join(missing)} is missing (apt-get install nginx-light wrk util-linux).")
        raise SystemExit(0)


def load(peer: Peer, connections: int, seconds: int, script: Path) -> Load:
    """Ask a peer as fast as it answers.

    Args:
        peer: Whom.
        connections: At once.
        seconds: How long.
        script: What wrk sends.
    """
    before = peer.cpu()
    told = subprocess.run(
        ["taskset", "-c", "0", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s",
         "--latency", "-s", str(script), peer.url + "/v1/images/generations"],
        env={**os.environ, "TOKEN": peer.token}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    used = peer.cpu() - before
    count = int(re.search(r"(\d+) requests in", told)[1])  # type: ignore[index]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])  # type: ignore[index]
    latencies = {share: _milliseconds(text) for share, text in re.findall(r"(\d\d)%\s+([\d.]+\w+)", told)}
    errors = " ".join(
        line.strip() for line in told.splitlines() if "Non-2xx" in line or "Socket errors" in line
    )
    return Load(rate, latencies["50"], latencies["99"], used / max(count, 1) * 1000, errors)


def _milliseconds(text: str) -> float:
    number, unit = re.match(r"([\d.]+)(\w+)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}[unit]


def wrk_script(folder: Path) -> Path:
    """Write what wrk sends."""
    path = folder / "request.lua"
    path.write_text(
        'wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
        'wrk.headers["authorization"] = "Bearer " .. os.getenv("TOKEN")\n'
        f"wrk.body = '{json.dumps(BODY)}'\n"
    )
    return path


def answer_of(size: int) -> bytes:
    """Give the upstream's answer with a picture of so many bytes in base64."""
    picture = base64.b64encode(os.urandom(size * 3 // 4)).decode()
    data = [{"index": 0, "type": "b64_json", "b64_json": picture}]
    return json.dumps(
        {"id": "img_1", "model": "slug/tok", "object": "list", "created": 1, "data": data}
    ).encode()


@contextmanager
def process(command: list[str], core: int, url: str, env: dict[str, str] | None = None) -> Iterator[int]:
    """Run a program on a core until the block ends; give its process id once it answers."""
    child = subprocess.Popen(
        ["taskset", "-c", str(core), *command], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(1200):
            with suppress(OSError):
                request = urllib.request.Request(
                    url, b"{}", {"content-type": "application/json"}, method="POST"
                )
                with suppress(urllib.error.HTTPError):
                    urllib.request.urlopen(request, timeout=5).close()
                break
            if child.poll() is not None:
                raise SystemExit(f"{command[0]} ended with status {child.returncode}")
            time.sleep(0.1)
        yield child.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(20)


def children(pid: int) -> tuple[int, ...]:
    """List a process and those below it."""
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (pid, *(each for child in below for each in children(int(child))))


@contextmanager
def upstream(folder: Path, port: int, content: bytes) -> Iterator[Peer]:
    """Run nginx with a fixed answer."""
    (folder / f"{port}.json").write_bytes(content)
    body = (
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ root {folder}; "
        f"error_page 405 =200 /{port}.json; try_files /{port}.json =404; }} }}"
    )
    with _nginx(folder, f"up{port}", body, 0, port) as pid:
        yield Peer("upstream, direct", f"http://127.0.0.1:{port}", children(pid))


@contextmanager
def nginx_proxy(folder: Path, port: int, behind: int) -> Iterator[Peer]:
    """Run nginx as a reverse proxy."""
    body = (
        f"upstream u {{ server 127.0.0.1:{behind}; keepalive 300; keepalive_requests 100000000; }} "
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://u; "
        'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_max_temp_file_size 0; } }'
    )
    with _nginx(folder, f"px{port}", body, 1, port) as pid:
        yield Peer("nginx, reverse proxy", f"http://127.0.0.1:{port}", children(pid))


@contextmanager
def _nginx(folder: Path, name: str, body: str, core: int, port: int) -> Iterator[int]:
    config = folder / f"{name}.conf"
    config.write_text(_NGINX.format(folder=folder, name=name, body=body))
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    with process([program, "-c", str(config)], core, f"http://127.0.0.1:{port}/") as pid:
        yield pid


@contextmanager
def litellm(folder: Path, port: int, behind: int) -> Iterator[Peer]:
    """Run LiteLLM's proxy with one worker, as its documentation sets it up for production."""
    config, secret = folder / f"litellm{port}.yaml", f"sk-{secrets.token_hex(32)}"
    config.write_text(
        "model_list:\n  - model_name: tok\n    litellm_params:\n      model: openai/tok\n"
        f"      api_base: http://127.0.0.1:{behind}/v1\n      api_key: x\n"
        f"general_settings:\n  master_key: {secret}\nlitellm_settings:\n  drop_params: true\n"
    )
    env = {
        **os.environ,
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    command = [os.environ["LITELLM"], "--config", str(config), "--port", str(port), "--num_workers", "1"]
    url = f"http://127.0.0.1:{port}/v1/images/generations"
    with process(command, 1, url, env) as pid:
        yield Peer("LiteLLM, proxy", f"http://127.0.0.1:{port}", children(pid), secret)


@contextmanager
def gateway(folder: Path, port: int, behind: int, **settings: str) -> Iterator[Peer]:
    """Run `lorry serve` with a token, a model whose place is the upstream, the ledger and the metrics."""
    home = folder / f"home{port}"
    secret = asyncio.run(_furnished(home))
    env = {
        **os.environ,
        "LORRY_HOME": str(home),
        "LORRY_KEEPER": "false",  # a process of its own, which costs no request anything
        "LORRY_ENGINE_URL": f"http://127.0.0.1:{behind}",
        **settings,
    }
    command = [sys.executable, "-m", "lorry", "serve", "--port", str(port)]
    with process(command, 1, f"http://127.0.0.1:{port}/v1/images/generations", env) as pid:
        yield Peer("lorry serve", f"http://127.0.0.1:{port}", children(pid), secret)


async def _furnished(home: Path) -> str:
    from lorry.generation.gateway.minting import mint
    from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel
    from lorry.model.serving import Scope
    from lorry.store import open_store

    now = datetime.now(UTC)
    model = TrainedModel("tok", "/tok", "a" * 64, "flux-icons-64", "lorry/flux-icons-64", "TOK", 10, now)
    ids = ProviderIds(endpoint_name="slug/tok", adapter_name="slug/tok-adapter")
    placement = Placement("tok", "local", PlacementState.READY, "prove", ids, None, None, now)
    secret, token = mint("bench", frozenset({Scope.GENERATE, Scope.ADMIN}), now, day_cents=1e9)
    async with open_store(home) as store:
        await store.save_model(model, placement)
        await store.add_token(token)
    return secret
