"""The weights in a folder are found by plain rules, and a doubt is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lorry.errors import SourceNotFound, WeightsRejected
from lorry.weights import check, companions, locate
from tests.weights.files import build, icons

SOUND = build(icons())


def fill(folder: Path, *names: str) -> None:
    """Put sound weights under these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(SOUND)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["a.safetensors"], "a.safetensors"),
        (["a.safetensors", "pytorch_lora_weights.safetensors"], "pytorch_lora_weights.safetensors"),
        (["a.safetensors", "adapter_model.safetensors"], "adapter_model.safetensors"),
        (["tok.safetensors", "optimizer.safetensors"], "tok.safetensors"),
        (["tok.safetensors", "checkpoint-500/pytorch_lora_weights.safetensors"], "tok.safetensors"),
        (["tok.safetensors", ".tok.safetensors"], "tok.safetensors"),
        (["tok.safetensors", "tok-000002.safetensors", "tok-000004.safetensors"], "tok.safetensors"),
        (["tok.safetensors", "tok_000000500.safetensors"], "tok.safetensors"),
        (["tok.safetensors", "tok-step00000500.safetensors"], "tok.safetensors"),
        (["tok-000002.safetensors", "tok-000004.safetensors"], "tok-000004.safetensors"),
        (
            ["checkpoint-500/pytorch_lora_weights.safetensors"],
            "checkpoint-500/pytorch_lora_weights.safetensors",
        ),
    ],
)
def test_a_folder_has_one_file_that_is_meant(tmp_path: Path, names: list[str], chosen: str) -> None:
    """What is meant is taken by the rules of trainers/choice.py, also in folders inside."""
    fill(tmp_path, *names)
    assert locate(tmp_path) == tmp_path / chosen
    report = check(tmp_path)
    assert report.ok
    assert report.summary.path == str(tmp_path)
    assert report.summary.file == str(tmp_path / chosen)


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["a.safetensors", "b.safetensors"], "NAME_MULTIPLE"),
        (["tok.safetensors", "dog-000004.safetensors"], "NAME_MULTIPLE"),
        (["model.pt"], "FILE_MISSING"),
        ([], "FILE_MISSING"),
    ],
)
def test_without_a_choice_the_check_says_so(tmp_path: Path, names: list[str], code: str) -> None:
    """No file or several equal ones are a finding of the check, and `locate` refuses with the same."""
    fill(tmp_path, *names)
    [found] = check(tmp_path).findings
    assert found.code == code
    with pytest.raises(WeightsRejected) as refused:
        locate(tmp_path)
    assert refused.value.report.findings == (found,)


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    """A file that is named is what is meant, whatever it is called."""
    fill(tmp_path, "a.bin", "pytorch_lora_weights.safetensors")
    assert locate(tmp_path / "a.bin") == tmp_path / "a.bin"


def test_a_name_that_loaders_skip_is_reported(tmp_path: Path) -> None:
    """Loaders leave out names with `checkpoint`; the check warns and goes on."""
    fill(tmp_path, "my_checkpoint_v2.safetensors")
    report = check(tmp_path, clock=None)
    assert [found.code for found in report.findings][:2] == ["NAME_CHECKPOINT", "TRIGGER_MISSING"]
    assert report.ok


def test_a_path_that_is_not_there_is_the_callers_error(tmp_path: Path) -> None:
    """Only a path that does not exist or can't be read raises; its sentence names it."""
    for function in (check, locate):
        with pytest.raises(SourceNotFound, match="no-such"):
            function(tmp_path / "no-such")


def test_a_file_that_can_not_be_read_is_the_callers_error(tmp_path: Path) -> None:
    """What the system refuses to open is no finding about weights: a name too long, a path through a file."""
    fill(tmp_path, "a.safetensors")
    for path in (tmp_path / ("x" * 300), tmp_path / "a.safetensors" / "b"):
        with pytest.raises(SourceNotFound):
            check(path)


def test_companions_are_documents_and_a_few_pictures(tmp_path: Path) -> None:
    """Beside the weights go the README, the configurations and at most 8 pictures; nothing else."""
    fill(tmp_path, "tok.safetensors")
    for name in ("README.md", "config.yaml", "notes.txt", "optimizer.pt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "samples").mkdir()
    for number in range(10):
        (tmp_path / "samples" / f"{number}.png").write_bytes(b"x")
    found = [path.name for path in companions(tmp_path / "tok.safetensors")]
    assert found[:2] == ["README.md", "config.yaml"]
    assert found[2:] == [f"{number}.png" for number in range(8)]


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    """A pipe would block whoever opens it, so it is refused by its kind."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceNotFound, match="no regular file"):
        check(tmp_path / "pipe")
