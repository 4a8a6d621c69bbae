"""`lorry token`, `lorry policy` and `lorry mend`: what an operator types around a gateway."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from lorry.cli.main import run
from lorry.store import open_store
from tests.server.ground import place, settings_of


@pytest.fixture(autouse=True)
def _home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORRY_HOME", str(home))


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Run a command that must succeed and give its document."""
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_token_is_shown_once_listed_and_revoked(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    """Its secret is in no list and in no file; a second revocation says that there is none."""
    assert "There is no token" in _said(capsys, "token", "list")
    made = told(
        capsys,
        "token",
        "create",
        "--owner",
        "ann",
        "--scope",
        "generate",
        "--scope",
        "ship",
        "--model",
        "tok",
        "--rate",
        "5",
    )
    assert (made["owner"], made["scopes"], made["models"], made["burst"]) == (
        "ann",
        ["generate", "ship"],
        ["tok"],
        10,
    )
    listed = _said(capsys, "token", "list")
    assert made["id"] in listed
    assert made["secret"] not in listed
    assert made["secret"].encode() not in b"".join(path.read_bytes() for path in home.glob("lorry.sqlite*"))
    assert told(capsys, "token", "revoke", made["id"]) == {"revoked": made["id"]}
    assert run(["token", "revoke", made["id"]]) == 2
    assert "lorry token list" in capsys.readouterr().err


def test_a_policy_is_changed_field_by_field(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    """What is not named stays; what can't work is refused with all its problems; unknown models are named."""
    settings = settings_of(home)
    asyncio.run(place(settings, "tok"))
    asyncio.run(place(settings, "spare"))
    told(capsys, "policy", "tok", "--owner", "ann", "--also", "spare")
    policy = told(capsys, "policy", "tok", "--day-cents", "50", "--asleep", "fallback")["policy"]
    assert (policy["owner"], policy["also"], policy["day_cents"], policy["asleep"]) == (
        "ann",
        ["spare"],
        50.0,
        "fallback",
    )
    assert run(["policy", "tok", "--asleep", "never", "--day-cents", "-1"]) == 2
    assert "day-cents is -1" in capsys.readouterr().err
    assert run(["policy", "tok", "--also", "nobody"]) == 2
    assert "nobody" in capsys.readouterr().err
    assert told(capsys, "policy", "tok", "--reset")["policy"]["owner"] is None


def test_what_waits_for_a_person_is_shown_and_mended(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    """By its name, or all of it."""

    async def hold() -> None:
        async with open_store(home) as store:
            await store.outages.hold("https://api key:1", "key_rejected", "The key was refused.")

    assert "Nothing waits" in _said(capsys, "mend")
    asyncio.run(hold())
    assert "The key was refused." in _said(capsys, "mend")
    assert told(capsys, "mend", "all")["mended"] == ["https://api key:1"]
    assert "Nothing waits" in _said(capsys, "mend")


def test_a_server_is_never_open_to_others_without_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    """It says why, and what to do."""
    assert run(["serve", "--host", "0.0.0.0", "--port", "0"]) == 2  # noqa: S104
    said = capsys.readouterr().err
    assert "open to everybody" in said
    assert "lorry token create" in said


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out
