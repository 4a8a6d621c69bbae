"""A result is whole or not there: kills, full disks, places that are taken, changed sources."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lorry.errors import ConversionFailed, ConversionRefused, DiskFull, LorryError, NotWritable, OptionInvalid
from lorry.weights.convert.conversion import convert
from lorry.weights.convert.options import Layout, Options
from lorry.weights.convert.writing import staged, translated
from tests.weights.convert.deltas import KOHYA, pair, read, save
from tests.weights.files import Tensors, build, icons, joined, noise, zeros

NAME = "lora_unet_double_blocks_0_img_attn_qkv"
ONE = pair(NAME, 3072, 9216, alpha=1.0, words=KOHYA)

#: Runs a conversion whose writing a limit or a kill cuts off, in a process of its own.
_SCRIPT = """
import os, resource, signal, sys
from pathlib import Path
from lorry.errors import LorryError
from lorry.weights.convert.conversion import convert
from lorry.weights.convert.options import Options
source, out, what = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
if what == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
else:
    seen = []
    def watch(event, arguments):
        if event == "open" and ".part" in str(arguments[0]):
            seen.append(1)
            if what == "changed" and len(seen) == 1:
                os.utime(source, ns=(1, 1))
            elif what != "changed" and len(seen) == int(what):
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
try:
    convert(source, out, Options(force=True))
except LorryError as error:
    print(error.code)
"""


def apart(source: Path, out: Path, what: str) -> subprocess.CompletedProcess[str]:
    """Convert in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(source), str(out), what],
        capture_output=True,
        text=True,
        check=False,
    )


def left(folder: Path) -> list[str]:
    """List what is visible in a folder."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize("moment", ["1", "2", "3"])
def test_a_kill_leaves_no_result(tmp_path: Path, moment: str) -> None:
    """Killed before the first byte, before the proof, or before the check: what was there is there still."""
    source = save(tmp_path / "x.safetensors", ONE)
    out = tmp_path / "out" / "y.safetensors"
    out.parent.mkdir()
    out.write_bytes(b"an earlier result")
    done = apart(source, out, moment)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert left(out.parent) == ["y.safetensors"]
    assert out.read_bytes() == b"an earlier result"


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    """No space (here: no more file than 100 kB) is the error disk_full, and nothing half-written stays."""
    source = save(tmp_path / "x.safetensors", ONE)
    done = apart(source, tmp_path / "out" / "y.safetensors", "full")
    assert done.stdout.strip() == "disk_full", done.stderr
    assert not (tmp_path / "out").exists()


def test_a_source_that_changes_meanwhile_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    """What was converted may be half of one file and half of another, so it is not kept."""
    source = save(tmp_path / "x.safetensors", ONE)
    done = apart(source, tmp_path / "out" / "y.safetensors", "changed")
    assert done.stdout.strip() == "source_changed", done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("number", "kind"), [(28, DiskFull), (122, DiskFull), (13, NotWritable), (30, NotWritable)]
)
def test_what_the_system_refuses_is_translated(number: int, kind: type[LorryError]) -> None:
    """Full disks and quotas are one error, permissions and read-only disks another."""
    with pytest.raises(kind), translated(Path("x")):
        raise OSError(number, os.strerror(number))


def test_a_place_that_is_taken_is_refused(tmp_path: Path) -> None:
    """What is there is replaced only with --force, also when it is the source itself."""
    source = save(tmp_path / "x.safetensors", ONE)
    before = source.read_bytes()
    with pytest.raises(OptionInvalid, match="there already") as refused:
        convert(source, source)
    assert "--force" in refused.value.fix
    assert source.read_bytes() == before
    done = convert(source, source, Options(force=True))
    assert done.file == source
    assert "transformer.transformer_blocks.0.attn.to_q.lora_A.weight" in read(source)[0]
    assert left(tmp_path) == ["x.safetensors"]


def test_a_place_that_is_taken_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """What somebody puts there while a conversion runs stays."""
    target = tmp_path / "y.safetensors"

    def slowly() -> None:
        with staged([target], force=False) as stage:
            (stage / "y.safetensors").write_bytes(b"ours")
            target.write_bytes(b"theirs")

    with pytest.raises(OptionInvalid, match="there already"):
        slowly()
    assert target.read_bytes() == b"theirs"
    assert left(tmp_path) == ["y.safetensors"]
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_that_were_made_for_nothing_go_again(tmp_path: Path) -> None:
    """A conversion that is given up leaves no folder that it made."""
    with pytest.raises(RuntimeError), staged([tmp_path / "a" / "b" / "x"], force=False):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_gets_the_names_that_loaders_look_for(tmp_path: Path) -> None:
    """A layout's own name where it has one, else the source's without words that diffusers skips."""
    source = save(tmp_path / "my_checkpoint_3.safetensors", ONE)
    names = {
        Layout.DIFFUSERS: ["pytorch_lora_weights.safetensors"],
        Layout.PEFT: ["adapter_config.json", "adapter_model.safetensors"],
        Layout.KOHYA: ["my_weights_3.safetensors"],
    }
    for layout, wanted in names.items():
        convert(source, tmp_path / layout, Options(to=layout))
        assert left(tmp_path / layout) == wanted


def test_a_peft_adapter_is_no_single_file(tmp_path: Path) -> None:
    """Without its configuration PEFT can't load it, so a folder has to be named."""
    with pytest.raises(OptionInvalid, match=r"adapter_config\.json"):
        convert(save(tmp_path / "x.safetensors", ONE), tmp_path / "y.safetensors", Options(to=Layout.PEFT))


def test_a_result_with_errors_is_not_kept(tmp_path: Path) -> None:
    """What no conversion mends is found by the check of the result: here a LoRA that was never trained."""
    name = "transformer.transformer_blocks.0.attn.to_q"
    tensors: Tensors = {f"{name}.lora_A.weight": noise(2, 3072), f"{name}.lora_B.weight": zeros(3072, 2)}
    with pytest.raises(ConversionFailed, match="does not pass the check") as failed:
        convert(save(tmp_path / "x.safetensors", tensors), tmp_path / "out")
    assert failed.value.evidence["findings"][0]["code"] == "VAL_ZERO_B_ALL"
    assert left(tmp_path) == ["x.safetensors"]


REFUSED: dict[str, tuple[Tensors, str, str]] = {
    "dora": (
        joined([icons(), {"transformer.transformer_blocks.0.attn.to_q.lora_magnitude_vector": noise(256)}]),
        "magnitudes",
        "merge",
    ),
    "control": (
        joined([icons(), {"transformer.transformer_blocks.0.attn.to_q.lora_B.bias": noise(256)}]),
        "biases",
        "merge",
    ),
    "oft": ({"lycoris_transformer_blocks_0_attn_to_q.oft_blocks": noise(4, 4, 4)}, "another kind", "merge"),
    "one matrix": (
        {k: v for k, v in icons().items() if k != "transformer.transformer_blocks.0.attn.to_q.lora_A.weight"},
        "without both matrices",
        "--lossy",
    ),
    "two ranks": (
        {**icons(), "transformer.transformer_blocks.0.attn.to_q.lora_B.weight": noise(256, 3)},
        "can't be multiplied",
        "trainer",
    ),
    "unknown layer": (
        joined([icons(), pair("transformer.nothing.like.it", 8, 8)]),
        "no layer for",
        "--lossy",
    ),
    "whole numbers": (
        {k: noise(*v.shape, dtype="I8") for k, v in icons().items()},
        "can't be decoded",
        "bfloat16",
    ),
    "no adapter": ({"decoder.weight": noise(4, 4)}, "none of an adapter", "lorry check"),
    "no strength": (
        pair("transformer.transformer_blocks.0.attn.to_q", 256, 256, alpha=0.0),
        "has 0",
        "trainer",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_converted_is_refused_clearly(tmp_path: Path, what: str) -> None:
    """Each kind of file that can't be converted, or not without a loss, is told with what to do about it."""
    tensors, words, fix = REFUSED[what]
    with pytest.raises(ConversionRefused, match=words) as refused:
        convert(save(tmp_path / "x.safetensors", tensors), tmp_path / "out")
    assert fix in refused.value.fix
    assert left(tmp_path) == ["x.safetensors"]


def test_all_reasons_are_given_at_once(tmp_path: Path) -> None:
    """A file with several faults gets all of them as data, and their number in the sentence."""
    tensors = joined([REFUSED["dora"][0], pair("transformer.nothing.like.it", 8, 8), {"stray": noise(3)}])
    with pytest.raises(ConversionRefused, match="and 2 more") as refused:
        convert(save(tmp_path / "x.safetensors", tensors), tmp_path / "out")
    assert len(refused.value.evidence["reasons"]) == 3
    json.dumps(refused.value.as_dict())


def test_lossy_leaves_out_what_fits_nowhere(tmp_path: Path) -> None:
    """With --lossy, modules without a partner and unknown layers go, and each is said."""
    tensors = {**REFUSED["one matrix"][0], **pair("transformer.nothing.like.it", 8, 8), "stray": noise(3)}
    done = convert(save(tmp_path / "x.safetensors", tensors), tmp_path / "out", Options(lossy=True))
    assert done.layers == 29
    assert sum("left out" in step for step in done.steps) == 3


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"PK\x03\x04" + bytes(100), build(icons())[:-9]])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, foreign and cut files are refused with the words of the check."""
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    with pytest.raises(ConversionRefused):
        convert(file, tmp_path / "out")
    assert left(tmp_path) == ["x.safetensors"]


@pytest.mark.parametrize(
    "options",
    [{"dtype": "int8"}, {"rank": 0}, {"alpha": 0.0}, {"alpha": float("nan")}, {"base": "nobody/nothing"}],
)
def test_options_that_mean_nothing_are_refused(tmp_path: Path, options: dict[str, object]) -> None:
    """An unknown type or base, a rank below 1 and an alpha that is no strength are wrong usage."""
    with pytest.raises(OptionInvalid):
        convert(save(tmp_path / "x.safetensors", ONE), tmp_path / "out", Options(**options))  # type: ignore[arg-type]


def test_numbers_that_a_type_cannot_hold_are_refused(tmp_path: Path) -> None:
    """A strength that makes float16 infinite is refused, and bfloat16 proposed."""
    name = "transformer.transformer_blocks.0.attn.to_q"
    from tests.weights.files import scalar, with_number

    tensors = {
        f"{name}.lora_A.weight": with_number(noise(2, 3072), 900.0),
        f"{name}.lora_B.weight": with_number(noise(3072, 2), 900.0),
        f"{name}.alpha": scalar(300.0),
    }
    source = save(tmp_path / "x.safetensors", tensors)
    with pytest.raises(ConversionRefused, match="too large for F16") as refused:
        convert(source, tmp_path / "out", Options(dtype="f16"))
    assert "bf16" in refused.value.fix
    convert(source, tmp_path / "out", Options(dtype="bf16"))
