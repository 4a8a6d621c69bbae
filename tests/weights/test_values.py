"""The look at the numbers agrees with arithmetic on every bit pattern, and hashes the whole file."""

from __future__ import annotations

import hashlib
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorry.weights.files.header import read_header
from lorry.weights.files.source import MemorySource
from lorry.weights.files.values import Seen, scan
from tests.weights.files import WIDTH, Made, build, icons, noise, zeros
from tests.weights.test_codes import codes, report_on


def look(dtype: str, data: bytes) -> Seen:
    """Scan a file of one tensor."""
    content = build({"x": Made(dtype, (len(data) // WIDTH[dtype],), data)})
    source = MemorySource("x", content)
    [seen] = scan(source, read_header(source)).seen
    return seen


def decoded(dtype: str, data: bytes) -> list[float]:
    """Decode numbers with struct, which takes no part in the code under test."""
    if dtype == "BF16":
        return [struct.unpack("<f", b"\0\0" + data[at : at + 2])[0] for at in range(0, len(data), 2)]
    letter = {"F16": "e", "F32": "f", "F64": "d"}[dtype]
    return list(struct.unpack(f"<{len(data) // WIDTH[dtype]}{letter}", data))


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
@settings(max_examples=80, deadline=None)
@given(data=st.binary(min_size=8, max_size=64).map(lambda data: data[: len(data) // 8 * 8]))
def test_two_maxima_see_what_arithmetic_sees(dtype: str, data: bytes) -> None:
    """NaN, infinity, zero and the largest magnitude are those of the decoded numbers, for any bits."""
    numbers, seen = decoded(dtype, data), look(dtype, data)
    assert seen.nans == sum(map(math.isnan, numbers))
    assert seen.infinities == sum(map(math.isinf, numbers))
    assert seen.is_zero is all(number == 0 for number in numbers)
    if not seen.broken:
        assert seen.magnitude == max(map(abs, numbers))


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
def test_every_special_number_is_told_from_its_neighbours(dtype: str) -> None:
    """Both infinities, NaN of both signs, minus zero and the largest finite numbers are told apart."""
    size = WIDTH[dtype]
    infinity = {"F16": 0x7C00, "BF16": 0x7F80, "F32": 0x7F800000, "F64": 0x7FF0000000000000}[dtype]
    sign = 1 << (8 * size - 1)

    def at(*bits: int) -> Seen:
        return look(dtype, b"".join(pattern.to_bytes(size, "little") for pattern in bits))

    assert (at(infinity).infinities, at(infinity | sign).infinities) == (1, 1)
    assert (at(infinity + 1).nans, at((infinity + 1) | sign).nans) == (1, 1)
    assert not at(infinity - 1, (infinity - 1) | sign).broken
    assert at(0, sign).is_zero
    assert not at(1 | sign).is_zero


def test_the_digest_is_that_of_the_whole_file() -> None:
    """The SHA-256 of the pass is the file's, also when tensors span chunks and are no floats."""
    tensors = {"a": noise(700_000), "b": noise(3, dtype="I64"), "c": zeros(0), "d": noise(5, dtype="BF16")}
    content = build(tensors)
    source = MemorySource("x", content)
    assert scan(source, read_header(source)).digest == hashlib.sha256(content).hexdigest()


def test_a_fault_in_a_later_chunk_is_found() -> None:
    """A single NaN behind the first megabyte of a tensor counts once."""
    data = bytearray(noise(600_000).data)
    struct.pack_into("<f", data, 4 * 500_000, math.nan)
    assert look("F32", bytes(data)).nans == 1


def test_untrained_is_not_called_interrupted() -> None:
    """Output matrices that are zero as a whole are an untrained LoRA and no zero-filled tail."""
    ups = {name: zeros(*tensor.shape) for name, tensor in icons().items() if "lora_B" in name}
    downs = {name: tensor for name, tensor in icons().items() if "lora_A" in name}
    found = codes(report_on(build({**downs, **ups})))
    assert "VAL_ZERO_B_ALL" in found
    assert "VAL_ZERO_TAIL" not in found


def test_a_tail_over_an_input_matrix_is_an_interrupted_download() -> None:
    """Zeros that cover a whole input matrix at the end were never written by training."""
    content = build(icons())
    assert "VAL_ZERO_TAIL" in codes(report_on(content[:-60_000] + bytes(60_000)))
    assert "VAL_ZERO_TAIL" not in codes(report_on(content))
