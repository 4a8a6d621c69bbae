"""Money as its users meet it: what runs, what it costs, stopped when nobody uses it, started by a request."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.journeys.conftest import EXAMPLES, Terminal, alive
from tests.journeys.test_serve import serving

pytestmark = pytest.mark.journey


@pytest.fixture
def priced(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run an engine that rehearses Together's hardware and prices; give its address."""
    monkeypatch.setenv("LORRY_GRACE_MINUTES", "0.0001")
    process = terminal.start("engine", "--hardware", "together", "--port", "0")
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[4]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def test_from_shipped_to_stopped_to_the_cent(terminal: Terminal, priced: str) -> None:
    """What was shipped costs by the hour until it is stopped; our figure is that of the invoice."""
    terminal.ok("ship", str(EXAMPLES / "tok"), "--name", "tok", "--yes")
    assert "$5.49" in terminal.ok("costs", "--rehearsals")
    assert "renew" in terminal.ok("keeper", "--once")
    refused = terminal.run("scale", "tok", "2")
    assert (refused.returncode, "price_not_accepted" in refused.stderr) == (1, True)
    told = terminal.data("start", "tok", "--minutes", "0.0001")
    assert told["lease"]["model"] == "tok"
    (kept,) = terminal.data("keeper", "--once")["objects"]  # the proof's own pictures are a use
    assert (kept["act"], "the platform saw" in kept["reason"]) == ("renew", True)
    assert "undo: lorry start tok" in terminal.ok("stop", "tok")
    assert "was stopped by a person" in terminal.ok("events", "tok")
    assert "Nothing bills" in terminal.ok("keeper", "--once")
    found = terminal.data("costs", "--rehearsals", "--by", "route")
    invoice = httpx.get(f"{priced}/_lorry/invoice", headers={"authorization": "Bearer x"}).json()
    assert found["total"]["cents"] == pytest.approx(invoice["totalCents"], abs=0.01)
    assert found["total"]["running_cents"] == 0
    assert terminal.data("costs")["total"]["cents"] == 0


def test_the_keeper_lives_and_dies_with_the_gateway(terminal: Terminal, priced: str) -> None:
    """It runs beside `lorry serve`, is replaced when it is killed, and is gone when the server is killed."""
    assert priced
    with serving(terminal) as (url, process):
        first = _child(process.pid, url)
        os.kill(first, signal.SIGKILL)
        second = _child(process.pid, url, besides=first)
        assert second != first
        process.kill()
        process.wait(timeout=60)
        for _ in range(2000):
            if not alive(second) or _zombie(second):
                break
            httpx.get(f"{priced}/_lorry/clock", headers={"authorization": "Bearer x"})
        assert not alive(second) or _zombie(second)


def test_a_recording_is_replayed_and_rubbish_is_told(terminal: Terminal) -> None:
    """A file of traffic gives the table of policies; what is none is told with each of its problems."""
    rows = [
        f"2026-11-02T{hour:02}:{minute:02}:00,tok,2" for hour in range(9, 17) for minute in range(0, 60, 5)
    ]
    (terminal.folder / "traffic.csv").write_text("at,model,seconds\n" + "\n".join(rows) + "\n")
    (terminal.folder / "rubbish.csv").write_text("at,model,seconds\nnever,tok,2\n2026-11-02,tok,much\n")
    table = terminal.ok("plan", "--replay", "traffic.csv")
    assert "stop after 10 min idle" in table
    assert "optimum in hindsight" in table
    wrong = terminal.run("plan", "--replay", "rubbish.csv")
    assert (wrong.returncode, "line 2" in wrong.stderr, "line 3" in wrong.stderr) == (2, True, True)
    assert terminal.run("plan", "--replay", "nothing.csv").returncode == 2
    empty = terminal.ok("plan")
    assert "No requests are on record" in empty


def _child(parent: int, url: str, besides: int = 0) -> int:
    """Give the keeper of a server, once there is one; the server answers meanwhile."""
    for _ in range(20_000):
        httpx.get(f"{url}/healthz")
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        found = [int(each) for each in children if int(each) != besides and _keeps(int(each))]
        if found:
            return found[0]
    raise AssertionError("no keeper came")


def _keeps(pid: int) -> bool:
    try:
        return b"keeper" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _zombie(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
