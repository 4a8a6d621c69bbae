"""`lorry convert`: what it prints, its exit status, and where its sources may come from."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from lorry.cli.main import run
from tests.weights.convert.deltas import KOHYA, pair, save
from tests.weights.files import icons, joined, noise, scalar

TENSORS = pair("lora_unet_double_blocks_0_img_attn_qkv", 3072, 9216, alpha=3.0, words=KOHYA)


def test_it_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text for people: the file, what it is, each step, and that every norm is what it was."""
    source = save(tmp_path / "x.safetensors", TENSORS)
    assert run(["convert", str(source), "-o", str(tmp_path / "out"), "--to", "comfyui"]) == 0
    said = capsys.readouterr().out
    assert str(tmp_path / "out" / "x.safetensors") in said
    assert "- 1 module renamed from kohya to comfyui" in said
    assert "1 of 1 modules have the norm of scale · B · A that they had." in said


def test_json_is_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the result is data: layout, steps, digests, what it was and what it is."""
    source = save(tmp_path / "x.safetensors", TENSORS)
    assert run(["convert", str(source), "-o", str(tmp_path / "y.safetensors"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["layout"], found["modules"], found["layers"]) == ("diffusers", 1, 3)
    assert found["before"]["layout"] == "kohya"
    assert found["after"]["layout"] == "diffusers"
    assert found["after"]["digest"] == found["digest"]
    assert found["losses"] is None


def test_a_loss_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What --lossy took is printed for the worst modules and in all."""
    source = save(tmp_path / "x.safetensors", TENSORS)
    arguments = ["convert", str(source), "-o", str(tmp_path / "out"), "--rank", "1"]
    assert run(arguments) == 1
    assert "--lossy --rank 1" in capsys.readouterr().err
    assert run([*arguments, "--lossy"]) == 0
    said = capsys.readouterr().out
    assert "of the energy is lost" in said
    assert "double_blocks_0_img_attn_qkv" in said


@pytest.mark.parametrize(
    "arguments",
    [[], ["-o", "out", "--to", "webui"], ["-o", "out", "--dtype", "int8"], ["-o", "out", "--rank", "0"]],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str]) -> None:
    """A missing place, an unknown layout or type and an impossible rank are wrong usage: status 2."""
    source = save(tmp_path / "x.safetensors", TENSORS)
    assert run(["convert", str(source), *arguments]) == 2


def test_a_taken_place_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there stays without --force."""
    source = save(tmp_path / "x.safetensors", TENSORS)
    assert run(["convert", str(source), "-o", str(source)]) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["convert", str(source), "-o", str(source), "--force"]) == 0


def test_an_archive_is_a_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tar of a training service is unpacked on the way, and nothing of it stays."""
    source = save(tmp_path / "in" / "lora.safetensors", icons())
    archive = tmp_path / "trained_model.tar"
    with tarfile.open(archive, "w") as packed:
        packed.add(source, "output/flux_train_replicate/lora.safetensors")
    assert run(["convert", str(archive), "-o", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["layers"] == 30
    assert found["before"]["path"] == str(archive)
    assert (tmp_path / "out" / "pytorch_lora_weights.safetensors").is_file()


def test_nothing_heavy_is_loaded(tmp_path: Path) -> None:
    """A conversion loads numpy, and none of the libraries that take seconds."""
    source = save(tmp_path / "x.safetensors", TENSORS)
    script = (
        "import sys; from lorry.cli.main import run; "
        f"run(['convert', {str(source)!r}, '-o', {str(tmp_path / 'out')!r}]); "
        "print(sorted({'torch', 'diffusers', 'peft', 'transformers', 'safetensors', 'httpx', 'onnxruntime'} "
        "& set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "convert.md"


def _examples(folder: Path) -> None:
    """Make the files that the guide speaks of."""
    save(folder / "lora.safetensors", {**TENSORS})
    name = "lycoris_transformer_blocks_0_attn_to_q"
    factors = {
        f"{name}.lokr_w1": noise(16, 16),
        f"{name}.lokr_w2": noise(192, 192),
        f"{name}.alpha": scalar(1.0),
    }
    save(folder / "lokr.safetensors", {**factors, **pair("lycoris_norm_out_linear", 3072, 6144, words=KOHYA)})
    layers = [f"base_model.model.model.layers.{n}.self_attn.q_proj" for n in (0, 31)]
    save(folder / "adapter" / "adapter_model.safetensors", joined(pair(name, 4096, 4096) for name in layers))


@pytest.mark.parametrize(
    "line", re.findall(r"^ {4,}lorry (convert .*)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
)
def test_the_guide_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Each command of docs/how-to/convert.md does what it says."""
    _examples(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(shlex.split(line)) == 0


def test_the_guide_works_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does its Python example."""
    _examples(tmp_path)
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    exec(code[1], {})  # noqa: S102 - our own documentation
    assert (tmp_path / "out" / "lora.safetensors").is_file()
