"""Every code of the catalogue is provoked by a file, and each says all that a finding has to say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lorry.model.report import Severity, WeightsReport
from lorry.weights import check
from lorry.weights.catalogue import entries
from lorry.weights.files.source import MemorySource
from lorry.weights.judging.context import Context
from lorry.weights.preflight import inspect
from tests.weights.broken_files import BROKEN, VARIANTS
from tests.weights.faulty_adapters import FAULTY
from tests.weights.files import build, icons, noise

#: Codes about a folder, an option, a race or a size, each provoked by a test of its own below.
ELSEWHERE = {
    "FILE_MISSING", "FILE_CHANGED", "NAME_MULTIPLE", "NAME_CHECKPOINT",
    "BASE_MISMATCH", "BASE_NOT_LISTED", "DTYPE_FP32_BIG",
}  # fmt: skip


def report_on(content: bytes, *, base: str | None = None) -> WeightsReport:
    """Check a file's content without a disk."""
    return inspect(
        MemorySource("x.safetensors", content), Context("x.safetensors", "x.safetensors", base=base)
    )


def codes(report: WeightsReport) -> list[str]:
    """List the codes of a report."""
    return [found.code for found in report.findings]


def test_every_code_of_the_catalogue_is_provoked() -> None:
    """The catalogue holds no code that no test provokes, and no test a code that it lacks."""
    assert set(BROKEN) | set(FAULTY) | ELSEWHERE == set(entries())


def test_every_code_in_the_sources_is_in_the_catalogue() -> None:
    """No module writes a code that the catalogue lacks, and the catalogue none that no module writes."""
    folder = Path(__file__).parents[2] / "src" / "lorry" / "weights"
    text = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    assert set(re.findall(r'"((?:[A-Z0-9]+_)+[A-Z0-9]+)"', text)) - {"U8"} >= set(entries())
    assert set(re.findall(r'(?:finding|fault)\(\s*"(\w+)"', text)) <= set(entries())


@pytest.mark.parametrize("code", BROKEN)
def test_a_broken_file_gets_its_one_finding(code: str) -> None:
    """A file that is broken in structure gets exactly the finding that names the cause: an error."""
    report = report_on(BROKEN[code]())
    assert codes(report) == [code]
    assert report.findings[0].severity is Severity.ERROR
    assert not report.ok


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_of_a_broken_file_gets_the_same_code(name: str) -> None:
    """What breaks the same rule in another way gets the same code."""
    code, make = VARIANTS[name]
    assert codes(report_on(make())) == [code]


@pytest.mark.parametrize("code", FAULTY)
def test_a_faulty_adapter_gets_its_finding(code: str) -> None:
    """Each semantic fault is found, with the catalogue's severity and without losing the summary."""
    report = report_on(FAULTY[code]())
    assert code in codes(report)
    assert report.summary.format == "safetensors"
    assert report.summary.digest is not None


@pytest.mark.parametrize("make", [*BROKEN.values(), *FAULTY.values()], ids=[*BROKEN, *FAULTY])
def test_a_finding_says_everything_once_and_as_data(make: Callable[[], bytes]) -> None:
    """A finding has a sentence, a fix and JSON evidence; none is said twice; the worst come first."""
    report = report_on(make())
    json.dumps(report.as_dict(), allow_nan=False)
    order = [list(Severity).index(found.severity) for found in report.findings]
    assert order == sorted(order)
    for found in report.findings:
        assert found.message.endswith("."), found.message
        assert found.fix
        assert found.severity is entries()[found.code].severity
    said = [(found.code, found.message) for found in report.findings]
    assert len(said) == len(set(said))


def test_a_sound_file_has_no_error_and_no_warning() -> None:
    """A whole adapter with a trigger word for the embedded base passes without any finding."""
    report = report_on(build(icons(), {"modelspec.trigger_phrase": "tok"}))
    assert report.findings == ()
    assert report.ok


def test_all_semantic_faults_are_reported_at_once() -> None:
    """Faults that don't hide each other are found in one run."""
    tensors = {**icons(), "transformer.stray.weight": noise(2, 2)}
    del tensors["transformer.transformer_blocks.0.attn.to_k.lora_A.weight"]
    tensors["transformer.transformer_blocks.1.attn.to_q.lora_A.weight"] = noise(2, 100)
    found = codes(report_on(build(tensors, {"lora_adapter_metadata": "no"}), base="flux1"))
    assert {"PAIR_MISSING", "SHAPE_MODULE", "KEYS_UNKNOWN", "META_JSON", "BASE_MISMATCH"} <= set(found)


def test_a_big_file_of_32_bit_floats_is_told_to_shrink() -> None:
    """Above 400 MB of 32-bit floats the report says what bfloat16 would save; only the header is needed."""
    header = json.dumps(
        {
            "transformer.x_embedder.lora_A.weight": {
                "dtype": "F32", "shape": [16, 8_000_000], "data_offsets": [0, 512_000_000],
            }
        }
    ).encode()  # fmt: skip
    content = len(header).to_bytes(8, "little") + header

    class Sparse(MemorySource):
        @property
        def size(self) -> int:
            return len(self.content) + 512_000_000

    report = inspect(Sparse("big", content), Context("big", "big"), values=False)
    assert "DTYPE_FP32_BIG" in codes(report)


def test_a_file_that_shrinks_while_it_is_read_is_told_so() -> None:
    """A file cut between the look at its header and the look at its numbers is reported as still changing."""

    class Shrinking(MemorySource):
        def read_into(self, offset: int, buffer: memoryview) -> int:
            return super().read_into(offset, buffer) // 2

    report = inspect(Shrinking("lora", build(icons())), Context("lora", "lora"))
    assert codes(report)[0] == "FILE_CHANGED"
    assert report.summary.digest is None


def test_the_same_bytes_give_the_same_report_from_disk(tmp_path: Path) -> None:
    """A file on disk and the same bytes in memory are judged alike."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(build(icons()))
    assert check(path).findings == report_on(build(icons())).findings
    assert check(path).summary.digest == report_on(build(icons())).summary.digest
