"""Laws of the header reader over whatever bytes come along."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, deserialize

from lorry.model.report import Finding, Mend
from lorry.weights.catalogue import StructureFault
from lorry.weights.files.header import read_header
from lorry.weights.files.source import MemorySource
from tests.weights.broken_files import BROKEN, VARIANTS
from tests.weights.files import build, edited, icons, noise
from tests.weights.test_codes import report_on

SMALL = build({"a.lora_A.weight": noise(2, 4), "a.lora_B.weight": noise(4, 2)}, {"format": "pt"})
WHOLE = build(icons(), {"format": "pt"})


def test_no_cut_of_a_small_file_is_ok() -> None:
    """Wherever a copy of a file stopped, at any of its bytes, the check says so in exactly one finding."""
    for length in range(len(SMALL)):
        report = report_on(SMALL[:length])
        assert not report.ok
        assert len(report.findings) == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_no_cut_of_a_sound_file_is_ok(length: int) -> None:
    """The same of a whole adapter, at places of it."""
    report = report_on(WHOLE[:length])
    assert not report.ok
    assert len(report.findings) == 1


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_never_crash_the_check(content: bytes) -> None:
    """Any bytes get a report; none of them is a LoRA fit to ship."""
    assert not report_on(content).ok


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["dtype", "shape", "data_offsets", "__metadata__", "x.lora_A.weight", "F32"]),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_as_a_header_never_crashes_the_check(document: object) -> None:
    """Any JSON in the header's place gets a report."""
    header = json.dumps(document).encode()
    report = report_on(len(header).to_bytes(8, "little") + header)
    assert not report.ok


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=3))
def test_overwritten_bytes_never_crash_the_check(place: int, noise_bytes: bytes) -> None:
    """A sound file with some bytes overwritten gets a report; what passes, the library reads too."""
    content = (WHOLE[:place] + noise_bytes + WHOLE[place + len(noise_bytes) :])[: len(WHOLE)]
    report_on(content)
    try:
        read_header(MemorySource("x", content))
    except StructureFault:
        return
    deserialize(content)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("make", [*BROKEN.values(), *(make for _, make in VARIANTS.values())])
def test_whatever_the_library_refuses_is_refused_here(make: object) -> None:
    """The library's own reader never finds a fault in a file whose structure passes here."""
    content: bytes = make()  # type: ignore[operator]
    try:
        read_header(MemorySource("x", content))
    except StructureFault:
        return
    try:
        deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        pytest.fail(f"safetensors refuses what passed here: {error}")


def faults(content: bytes) -> dict[str, Finding]:
    """Read a broken header; its findings by code."""
    with pytest.raises(StructureFault) as raised:
        read_header(MemorySource("x", content))
    return {found.code: found for found in raised.value.findings}


def test_all_faults_of_a_header_are_told_at_once() -> None:
    """Wrong fields, types, sizes, holes, overlaps, metadata and missing data come in one answer."""
    tensors = {f"t{place}": noise(2, 2) for place in range(6)}

    def spoil(header: dict[str, Any]) -> None:
        header["__metadata__"] = {"step": 4, "epoch": 1, "format": "pt"}
        header["t0"]["dtype"] = "FP32"
        header["t1"]["shape"] = [3, 2]
        header["t2"]["shape"] = [2.0, 2]
        header["t3"]["data_offsets"] = [40, 56]
        header["t5"]["data_offsets"] = [84, 100]

    found = faults(edited(tensors, spoil)[:-60])
    assert set(found) == {
        "META_NOT_STRING", "TENSOR_DTYPE", "TENSOR_SIZE", "TENSOR_FIELDS", "TENSOR_OVERLAP", "TENSOR_OFFSET",
        "DATA_TRUNCATED",
    }  # fmt: skip
    assert found["TENSOR_OVERLAP"].evidence["tensors"] == ["t3"]
    assert found["META_NOT_STRING"].evidence["fields"] == ["step", "epoch"]


def test_a_hole_is_no_fault_of_its_own_where_an_entry_has_no_place() -> None:
    """When an entry's offsets can't be read, the bytes that it leaves are not called a hole."""
    tensors = {f"t{place}": noise(2, 2) for place in range(3)}
    assert set(faults(edited(tensors, lambda header: header["t1"].pop("data_offsets")))) == {"TENSOR_FIELDS"}


def test_of_many_faults_some_are_named_and_all_are_counted() -> None:
    """Thousands of faults of one kind make one sentence, twenty names and the true number."""
    tensors = {f"t{place}": noise(1, 1) for place in range(3_000)}

    def spoil(header: dict[str, Any]) -> None:
        for row in header.values():
            row["dtype"] = "Q8"

    [found] = faults(edited(tensors, spoil)).values()
    assert found.evidence["count"] == 3_000
    assert len(found.evidence["tensors"]) == 20
    assert "2,999 more tensors: t1, t2, t3, t4 and 2,995 more." in found.message


def test_a_name_without_end_does_not_fill_the_report() -> None:
    """A tensor's name of a megabyte is cut in sentence, subject and evidence."""
    report = report_on(
        edited({"n" * 1_000_000: noise(2)}, lambda header: next(iter(header.values())).pop("shape"))
    )
    assert len(json.dumps(report.as_dict())) < 3_000


@pytest.mark.parametrize(
    ("tail", "mend", "said"),
    [
        (bytes(9), Mend.CONVERT, "9 bytes after its last tensor (zeros)"),
        (bytes(8) + b"\n", Mend.NO, "9 bytes after its last tensor (not zeros)"),
        (bytes(1_500_000), Mend.CONVERT, "the first 1,048,576 of them are zeros"),
    ],
)
def test_what_lies_behind_the_data_is_looked_at(tail: bytes, mend: Mend, said: str) -> None:
    """Zeros behind the last tensor can be cut off; anything else may have been somebody's data."""
    found = faults(WHOLE + tail)["DATA_TRAILING"]
    assert found.mend is mend
    assert said in found.message


def test_what_lies_out_of_reach_is_not_asked_for() -> None:
    """Behind the last tensor of a file far away nothing is fetched."""

    class Far(MemorySource):
        @property
        def reach(self) -> int:
            return len(WHOLE)

        def read(self, offset: int, count: int) -> bytes:
            assert offset + count <= self.reach
            return super().read(offset, count)

    with pytest.raises(StructureFault) as raised:
        read_header(Far("x", WHOLE + bytes(9)))
    assert "could not be looked at" in raised.value.finding.message
    assert raised.value.finding.mend is Mend.NO


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a.lora_A.weight", "a.lora_B.weight", "b", "__metadata__", "é:"]),
            st.dictionaries(
                st.sampled_from(["dtype", "shape", "data_offsets", "x"]),
                st.sampled_from(
                    [
                        "F32",
                        "F4",
                        "Q",
                        [2, 4],
                        [0],
                        [],
                        [0, 32],
                        [32, 64],
                        [64, 32],
                        [2**63, 0],
                        -1,
                        None,
                        {"a": ":"},
                    ]
                ),
            ),
        ),
        max_size=5,
    )
)
def test_no_mutation_of_a_header_passes_here_and_fails_in_the_library(
    rows: list[tuple[str, dict[str, object]]],
) -> None:
    """Whatever is changed in a sound header, what passes here is read by the library in the same way."""

    def change(header: dict[str, Any]) -> None:
        for name, fields in rows:
            header.setdefault(name, {}).update(fields)

    content = edited({"a.lora_A.weight": noise(2, 4), "a.lora_B.weight": noise(4, 2)}, change)
    report_on(content)
    try:
        header = read_header(MemorySource("x", content))
    except StructureFault:
        return
    theirs = dict(deserialize(content))  # type: ignore[no-untyped-call]
    assert {tensor.name: list(tensor.shape) for tensor in header.tensors} == {
        name: row["shape"] for name, row in theirs.items()
    }


def test_unknown_fields_leading_spaces_and_null_metadata_are_accepted() -> None:
    """What the library accepts beyond the format's words, and does no harm, passes here too."""
    row = b'{"dtype":"F32","shape":[1,1],"data_offsets":[0,4],"x":1}'
    header = b'   {"__metadata__":null,"a.lora_A.weight":' + row + b"}\n"
    read = read_header(MemorySource("x", len(header).to_bytes(8, "little") + header + bytes(4)))
    assert [tensor.name for tensor in read.tensors] == ["a.lora_A.weight"]


def test_a_header_length_that_spells_a_pickle_is_no_pickle() -> None:
    """A length of 640 begins with the bytes 80 02, as pickles do; the file is safetensors all the same."""
    tensors = {
        "transformer.x_embedder.lora_A.weight": noise(1, 64),
        "transformer.x_embedder.lora_B.weight": noise(256, 1),
    }
    content = build(tensors)
    padded = content[8 : 8 + int.from_bytes(content[:8], "little")].ljust(640)
    content = (640).to_bytes(8, "little") + padded + content[8 + int.from_bytes(content[:8], "little") :]
    assert content[:2] == b"\x80\x02"
    assert report_on(content).summary.format == "safetensors"
