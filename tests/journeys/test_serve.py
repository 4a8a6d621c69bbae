"""`lorry serve` as its users meet it: shipped, asked, killed in the middle, asked again."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from lorry.cli.engine_process import EngineProcess
from lorry.generation.gateway.signatures import signature_of
from tests.journeys.conftest import EXAMPLES, Terminal

pytestmark = pytest.mark.journey


@contextmanager
def serving(terminal: Terminal, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `lorry serve` on a free port; give its address and its process."""
    port = () if "--port" in arguments else ("--port", "0")
    process = terminal.start("serve", *port, *arguments)
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("The gateway answers at http"), first + (
        process.stderr.read() if process.stderr else ""
    )
    try:
        yield first.split()[4], process
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in out + err, out + err


def test_from_a_file_to_an_application(terminal: Terminal, engine: EngineProcess) -> None:
    """Ship, serve, ask with curl's means and see the picture; a token closes the door; Ctrl-C ends it."""
    assert engine
    terminal.ok("ship", str(EXAMPLES / "tok"), "--name", "tok")
    with serving(terminal) as (url, process):
        body = {"model": "tok", "prompt": "an apple on green", "seed": 7}
        told = httpx.post(f"{url}/api/generate", json=body, timeout=60).json()
        picture = httpx.get(told["pictures"][0]["url"]).content
        assert picture.startswith(b"\x89PNG")
        assert told["trigger_added"] is True
        secret = terminal.data("token", "create")["secret"]
        for _ in range(200):
            if httpx.get(f"{url}/v1/models").status_code == 401:
                break
        got = httpx.get(f"{url}/v1/models", headers={"authorization": f"Bearer {secret}"})
        assert [row["id"] for row in got.json()["data"]] == ["tok"]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0


def test_a_killed_server_loses_nothing_that_was_asked(terminal: Terminal, engine: EngineProcess) -> None:
    """Killed with requests in its queue: the next one carries them out; a kept result has its key still."""
    assert engine
    terminal.ok("ship", str(EXAMPLES / "tok"), "--name", "tok")
    body = {"model": "tok", "prompt": "an apple", "seed": 1, "response_format": "base64"}
    key = {"idempotency-key": "order-1"}
    with serving(terminal) as (url, process):
        first = httpx.post(f"{url}/api/generate", json=body, headers=key, timeout=60).json()
        asked = [
            httpx.post(f"{url}/api/generations", json={**body, "seed": seed}).json()["status_url"]
            for seed in range(2, 12)
        ]
        process.kill()
        process.wait()
    with serving(terminal) as (url, _):
        again = httpx.post(f"{url}/api/generate", json=body, headers=key, timeout=60).json()
        assert again == first
        paths = [address.split("/api/")[1] for address in asked]
        done: dict[str, bytes] = {}
        for _ in range(3000):
            for path in [path for path in paths if path not in done]:
                status = httpx.get(f"{url}/api/{path}", timeout=60).json()
                assert status["state"] in ("waiting", "running", "done"), json.dumps(status)
                if status["state"] == "done":
                    done[path] = base64.b64decode(status["result"]["pictures"][0]["base64"])
            if len(done) == len(paths):
                break
        assert len(done) == 10
        assert len(set(done.values())) == 10


def test_a_model_that_was_stopped_is_started_by_a_request(terminal: Terminal, engine: EngineProcess) -> None:
    """Stopped at the platform, not by us: a client that says nothing is held until it answers."""
    terminal.ok("ship", str(EXAMPLES / "tok"), "--name", "tok")
    ids = terminal.data("show", "tok")["placement"]["ids"]
    endpoint = f"{engine.url}/v2/projects/{_project(engine)}/endpoints/{ids['endpoint']}"
    path = f"{endpoint}/deployments/{ids['deployment']}"
    auth = {"authorization": "Bearer any"}
    off = {"autoscaling": {"minReplicas": 0, "maxReplicas": 0}}
    stopped = httpx.patch(path, params={"updateMask": "autoscaling"}, json=off, headers=auth)
    assert stopped.status_code == 200, stopped.text
    with serving(terminal) as (url, _):
        body = {"model": "tok", "prompt": "an apple", "response_format": "base64"}
        got = httpx.post(f"{url}/v1/images/generations", json=body, timeout=60)
        assert got.status_code == 200, got.text
        told = httpx.patch(path, params={"updateMask": "autoscaling"}, json=off, headers=auth)
        assert told.status_code == 200
        accepted = httpx.post(f"{url}/api/generate", json={"model": "tok", "prompt": "x"}, timeout=60)
        assert accepted.status_code == 202
        assert accepted.json()["note"]["starting"]["expected"]["samples"] == 1


def _project(engine: EngineProcess) -> str:
    who = httpx.get(f"{engine.url}/v3/whoami", headers={"authorization": "Bearer any"}).json()
    return str(who["project"]["id"])


def test_a_training_that_ended_elsewhere_is_shipped(terminal: Terminal, engine: EngineProcess) -> None:
    """A signed message names a repository; it is checked, written down, and shipped beside the server."""
    os.environ |= {"LORRY_HUB_URL": engine.url, "LORRY_HUB_TOKEN": "any"}
    shipped = terminal.data("ship", str(EXAMPLES / "tok"), "--name", "tok")
    with serving(terminal) as (url, _):
        told = httpx.get(f"{url}/api/training-secret?owner=ann").json()
        body = json.dumps({"source": shipped["ids"]["hub_repo"], "name": "anns"}).encode()
        at = int(time.time())
        signature = signature_of(told["secret"], "msg_1", at, body)
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}
        got = httpx.post(told["url"], content=body, headers=headers, timeout=60)
        assert got.status_code == 202, got.text
        with httpx.stream("GET", f"{url}/live/models/anns", timeout=120) as live:
            for line in live.iter_lines():  # a worker began beside the server, and the journal tells of it
                status = httpx.get(got.json()["status_url"]).json()
                if line == "event: changed" and status["state"] == "ready":
                    break
        assert (status["owner"], status["policy"]["owner"]) == ("ann", "ann")
        wrong = httpx.post(told["url"], content=body + b" ", headers=headers, timeout=60)
        assert wrong.json()["error"]["code"] == "signature_invalid"
