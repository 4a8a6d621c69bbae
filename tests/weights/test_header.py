"""Laws of the header reader over whatever bytes come along."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, deserialize

from lorry.weights.catalogue import StructureFault
from lorry.weights.files.header import read_header
from lorry.weights.files.source import MemorySource
from tests.weights.broken_files import BROKEN, VARIANTS
from tests.weights.files import build, icons, noise
from tests.weights.test_codes import report_on

WHOLE = build(icons(), {"format": "pt"})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_no_cut_of_a_sound_file_is_ok(length: int) -> None:
    """Wherever a copy stopped, the check says so in exactly one finding and never passes the file."""
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
