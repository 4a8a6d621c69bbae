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

TESTS = Path(__file__).parents[1]
#: Codes about more than the bytes of one adapter for pictures, by the test file that provokes them.
ELSEWHERE = {
    "weights/test_codes.py": ("FILE_CHANGED", "DTYPE_FP32_BIG"),
    "weights/test_check.py": ("FILE_STILL_WRITING", "VAL_DUPLICATE", "INFO_SUMMARY", "WAN_PAIR"),
    "weights/origins/test_folder.py": ("FILE_MISSING", "NAME_MULTIPLE", "NAME_CHECKPOINT"),
    "weights/test_identify.py": ("BASE_MISMATCH", "BASE_NOT_LISTED"),
    "weights/test_bad_headers.py": ("HDR_OVERSIZED",),
    "weights/origins/test_archives.py": ("ARCHIVE_BROKEN", "ARCHIVE_UNSAFE", "ARCHIVE_BOMB"),
    "weights/origins/test_refusals.py": (
        "REMOTE_NOT_FOUND", "REMOTE_REV", "REMOTE_PRIVATE", "REMOTE_GATED", "REMOTE_RATE_LIMITED",
        "REMOTE_REFUSED",
    ),
    "weights/origins/test_web.py": ("REMOTE_ADDRESS", "REMOTE_UNREACHABLE"),
    "weights/origins/test_hub.py": ("REMOTE_SIZE",),
    "weights/text/test_peft.py": (
        "PEFT_CONFIG_MISSING", "PEFT_CONFIG_JSON", "PEFT_CONFIG_TYPE", "PEFT_CONFIG_FIELDS", "PEFT_PREFIX",
        "PEFT_TARGETS", "PEFT_MODULES_TO_SAVE", "PEFT_DORA", "PEFT_RSLORA", "PEFT_BASE_LOCAL",
    ),
    "weights/checkpoint/test_checkpoint.py": (
        "SHARD_INDEX", "SHARD_MISSING", "SHARD_MISMATCH", "CHECKPOINT_CONFIG",
    ),
    "platforms/test_verdicts.py": (
        "RANK_LIMIT", "SIZE_LIMIT", "DTYPE_LIMIT", "BASE_LIMIT", "KIND_LIMIT", "PARTS_LIMIT",
        "ADAPTERS_LIMIT", "LICENCE_LIMIT", "LOADER_LIMIT", "ROUTE_UNPROVED", "ROUTE_CLOSED",
    ),
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
    elsewhere = {code for found in ELSEWHERE.values() for code in found}
    assert set(BROKEN) | set(FAULTY) | elsewhere == set(entries())


@pytest.mark.parametrize("file", ELSEWHERE)
def test_the_tests_elsewhere_are_there(file: str) -> None:
    """Each code that another test provokes is named in that test."""
    text = (TESTS / file).read_text(encoding="utf-8")
    assert [code for code in ELSEWHERE[file] if f'"{code}"' not in text] == []


def test_every_code_in_the_sources_is_in_the_catalogue() -> None:
    """No module writes a code that the catalogue lacks, and the catalogue none that no module writes."""
    rooms = [TESTS.parent / "src" / "lorry" / room for room in ("weights", "platforms")]
    text = "".join(path.read_text(encoding="utf-8") for room in rooms for path in room.rglob("*.py"))
    assert set(re.findall(r'"((?:[A-Z0-9]+_)+[A-Z0-9]+)"', text)) - {"U8"} >= set(entries())
    assert set(re.findall(r'(?:finding|fault)\(\s*"([A-Z0-9_]+)"', text)) <= set(entries())


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
    """A whole adapter with a trigger word for the embedded base passes with nothing but its summary."""
    report = report_on(build(icons(), {"modelspec.trigger_phrase": "tok"}))
    assert codes(report) == ["INFO_SUMMARY"]
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
    told, same = check(path, clock=None), report_on(build(icons()))
    assert codes(told) == codes(same)
    assert told.summary.digest == same.summary.digest
