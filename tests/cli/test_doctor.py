"""`lorry doctor`: this machine without any key, the service with one, and nothing that bills by accident."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lorry.cli.examining import examine
from lorry.cli.main import run
from lorry.cli.probing import tried_lines
from lorry.platforms.probing.spending import Tried
from lorry.settings import read_settings
from tests.platforms.probing.service import KEY, Service, private_texts
from tests.platforms.wire import serving


@contextmanager
def _served(service: Service) -> Iterator[str]:
    """Serve in a thread: the command has an event loop of its own."""
    started, ended, urls = threading.Event(), threading.Event(), []

    async def serve() -> None:
        async with serving(service) as url:
            urls.append(url)
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(30)
        yield urls[0]
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Serve a platform, and set its address and key."""
    found = Service()
    with _served(found) as url:
        monkeypatch.setenv("LORRY_TOGETHER_URL", url)
        monkeypatch.setenv("LORRY_TOGETHER_KEY", KEY)
        yield found


def test_without_a_key_it_tells_of_this_machine(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Versions, home, settings, platforms and extras need no key, and nothing is made on disk."""
    assert run(["doctor", "--home", str(home)]) == 0
    said = capsys.readouterr().out
    for word in (
        "together ",
        str(home),
        "not made yet",
        "together_key",
        "not set",
        "diffusers",
        "No problem found.",
    ):
        assert word in said
    assert not home.exists()


def test_settings_are_listed_with_their_secrets_hidden(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every setting is there; of keys and tokens only whether they are set."""
    for variable in ("LORRY_TOGETHER_KEY", "HF_TOKEN", "LORRY_ENGINE_KEY"):
        monkeypatch.setenv(variable, f"value-of-{variable.lower()}")
    assert run(["doctor", "--json", "--home", str(home)]) == 0
    said = capsys.readouterr().out
    assert "value-of-" not in said
    settings = json.loads(said)["settings"]
    assert [settings[name] for name in ("together_key", "hub_token", "engine_key")] == [True, True, True]
    assert settings["renderer"] == "onnx"


def test_what_will_be_in_the_way_is_a_problem_with_its_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A home that is a file ends with status 1, the sentence and what to do."""
    (tmp_path / "file").write_text("")
    assert run(["doctor", "--home", str(tmp_path / "file")]) == 1
    said = capsys.readouterr().out
    assert "is a file" in said
    assert "next: Choose another place with `--home`." in said
    assert run(["doctor", "--json", "--home", str(tmp_path / "file" / "below")]) == 1
    assert json.loads(capsys.readouterr().out)["problems"][0]["fix"]


def test_an_engine_that_runs_is_found(home: Path) -> None:
    """The engine's note counts only while something answers at its address."""
    assert "does not run" in str(dict(_section(home, "platforms"))["engine"])


def _section(home: Path, title: str) -> tuple[tuple[str, str | bool], ...]:
    found = examine(read_settings(home, environ={}))
    return next(section.rows for section in found.sections if section.title == title)


def test_live_needs_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a key the real service is not asked, and the error names the variable."""
    assert run(["doctor", "--live"]) == 1
    assert "TOGETHER_API_KEY" in capsys.readouterr().err


def test_live_prints_what_differs_first(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """What differs from what we believe is the first table, with both values and the date of ours."""
    assert run(["doctor", "--live"]) == 0
    said = capsys.readouterr().out
    assert (
        said.index("Different from what Lorry believes") < said.index("Not seen") < said.index("As believed")
    )
    (row,) = [line for line in said.splitlines() if "a replica on one H100, cents per hour" in line]
    assert "seen 600" in row
    assert "believed 549 (2026-10-02)" in row
    assert "/v1/deployments: access_denied (status 403)" in said
    assert KEY not in said
    assert {method for method, _, _ in service.seen} == {"GET"}


def test_saved_answers_go_into_a_new_folder(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--save` writes a file for each answer, and never among files that lie there."""
    folder = tmp_path / "answers"
    assert run(["doctor", "--live", "--json", "--save", str(folder)]) == 0
    saved = json.loads(capsys.readouterr().out)["saved"]
    assert sorted(saved) == sorted(str(file) for file in folder.iterdir())
    text = "".join(file.read_text() for file in folder.iterdir())
    assert not [private for private in private_texts() if private in text]
    asked = len(service.seen)
    assert run(["doctor", "--live", "--save", str(folder)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert len(service.seen) == asked


@pytest.mark.parametrize(
    "arguments",
    [
        ["--save", "x"],
        ["--spend", "5", "--lora", "a/b"],
        ["--live", "--spend", "5"],
        ["--live", "--lora", "a/b"],
    ],
)
def test_options_that_mean_nothing_alone_are_refused(
    service: Service, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of a pair is wrong usage, told before anything is asked."""
    assert run(["doctor", *arguments]) == 2
    assert "option_invalid" in capsys.readouterr().err
    assert service.seen == []


def test_nothing_is_drawn_for_less_than_it_costs(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--spend` below the price of the pictures ends before anything is asked."""
    assert run(["doctor", "--live", "--spend", "1", "--lora", "https://huggingface.co/ann/tok"]) == 1
    said = capsys.readouterr().err
    assert "price_not_accepted" in said
    assert service.seen == []


def test_a_trial_is_told_with_its_numbers() -> None:
    """The verdict has the difference, the noise, the threshold and the cost."""
    tried = Tried("base", "address", 4.04, 40.0, 0.5, 2.0, acts=True, nowhere=("not_there", "No such LoRA."))
    said = "\n".join(tried_lines(tried))
    for word in ("address acts on base", "40.0", "0.5", "2.0", "4.04 cents", "not_there: No such LoRA."):
        assert word in said
