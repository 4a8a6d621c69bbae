"""What a file is, where it runs, and how it is made to run: as a user types it."""

from __future__ import annotations

import io
import json
import os
import shlex
import tarfile
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lorry.cli.engine_process import EngineProcess
from tests.journeys.conftest import EXAMPLES, Terminal
from tests.weights.files import build, icons, lora

pytestmark = pytest.mark.journey

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "check.schema.json"
WEIGHTS = EXAMPLES / "tok" / "pytorch_lora_weights.safetensors"


def _bare(content: bytes) -> bytes:
    """Take the prefix off the names of the sample: a file that loads and does nothing."""
    length = int.from_bytes(content[:8], "little")
    rows = json.loads(content[8 : 8 + length])
    named = {name.removeprefix("transformer."): row for name, row in rows.items()}
    named["__metadata__"] = {"modelspec.trigger_phrase": "TOK"}
    text = json.dumps(named).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def test_a_file_that_does_nothing_is_told_converted_and_shipped(
    terminal: Terminal, engine: EngineProcess
) -> None:
    """The check names the command that mends it; the command does; and `ship` does so by itself."""
    raw = _bare(WEIGHTS.read_bytes())
    (terminal.folder / "bare.safetensors").write_bytes(raw)
    told = terminal.run("check", "bare.safetensors")
    assert told.returncode == 1
    assert "KEYS_PREFIX" in told.stdout
    command = told.stdout.strip().splitlines()[-1]
    assert command.startswith("next: lorry convert ")
    words = shlex.split(command.removeprefix("next: lorry "))
    assert "54" in terminal.ok(*(word.replace("OUT", "good.safetensors") for word in words))
    assert terminal.data("check", "good.safetensors")["summary"]["modules"] == 54

    said = terminal.ok("ship", "bare.safetensors", "--name", "tok")
    assert "ok    convert" in said
    assert "tok is ready." in said
    assert (terminal.folder / "bare.safetensors").read_bytes() == raw


def test_an_archive_ships_as_it_came(terminal: Terminal, engine: EngineProcess) -> None:
    """What Replicate's trainer gives out is shipped without being unpacked by hand."""
    with tarfile.open(terminal.folder / "trained_model.tar", "w") as tar:
        tar.add(WEIGHTS, "output/flux_train_replicate/lora.safetensors")
        config = tarfile.TarInfo("output/flux_train_replicate/config.yaml")
        text = b"trigger_word: TOK\n"
        config.size = len(text)
        tar.addfile(config, io.BytesIO(text))
    assert "tok is ready." in terminal.ok("ship", "trained_model.tar", "--name", "tok")
    again = terminal.data("check", str(WEIGHTS))
    assert "VAL_DUPLICATE" in {found["code"] for found in again["findings"]}


def test_what_check_prints_as_data_is_what_the_schema_says(terminal: Terminal) -> None:
    """Sound, broken and foreign files, with and without verdicts, all print a document of the schema."""
    schema = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    files = {
        "sound.safetensors": build(icons()),
        "cut.safetensors": build(icons())[:-9],
        "page.safetensors": b"<!DOCTYPE html><html></html>",
        "text.safetensors": build(lora([("model.layers.0.self_attn.q_proj", 64, 64)], "base_model.model.")),
    }
    for name, content in files.items():
        (terminal.folder / name).write_bytes(content)
        for more in ([], ["--for", "all"]):
            done = terminal.run("check", name, "--json", *more)
            document = json.loads(done.stdout)
            assert [error.message for error in schema.iter_errors(document)] == []
            assert ("verdicts" in document) is bool(more)


def test_where_it_runs_is_a_table(terminal: Terminal) -> None:
    """One row for each route and loader, none wider than a terminal; a wrong name is told."""
    said = terminal.ok("check", str(EXAMPLES / "tok"), "--for", "all")
    table = said[said.index("WHERE") :].splitlines()
    for target in ("local", "together-url", "together-container", "diffusers", "comfyui", "peft", "vllm"):
        assert any(line.startswith(target) for line in table)
    assert max(map(len, table)) <= 100
    wrong = terminal.run("check", str(EXAMPLES / "tok"), "--for", "nowhere")
    assert wrong.returncode == 2
    assert "together-url" in wrong.stderr


def test_rubbish_is_told_and_nothing_is_written(terminal: Terminal) -> None:
    """Pipes, devices, climbing archives and nothing at all end at once, each with its code."""
    folder = terminal.folder / "in"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    with tarfile.open(folder / "climbs.tar", "w") as tar:
        for name in ("../out.safetensors", "fine.safetensors"):
            entry = tarfile.TarInfo(name)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"1234"))
    for source, status, code in (
        ("in/pipe", 2, "source_not_found"),
        ("/dev/zero", 2, "source_not_found"),
        ("in/nothing.safetensors", 2, "source_not_found"),
        ("in/climbs.tar", 1, "ARCHIVE_UNSAFE"),
        ("https://127.0.0.1:9/x.safetensors", 1, "REMOTE_ADDRESS"),
    ):
        for command in (["check", source], ["convert", source, "-o", "out.safetensors"]):
            done = terminal.run(*command)
            assert done.returncode in (1, 2)
            assert code in done.stdout + done.stderr, (command, done)
            assert done.returncode == status or command[0] == "convert"
    assert sorted(path.name for path in terminal.folder.iterdir()) == ["in"]
