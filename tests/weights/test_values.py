"""The look at the numbers agrees with arithmetic on every bit pattern, and hashes the whole file."""

from __future__ import annotations

import hashlib
import math
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorry.weights.catalogue import StructureFault
from lorry.weights.files.digest import Hashing
from lorry.weights.files.header import read_header
from lorry.weights.files.number_formats import FORMATS, HUGE
from lorry.weights.files.source import FileSource, MemorySource
from lorry.weights.files.values import Scan, Seen, look, scan
from tests.weights.files import Made, Tensors, build, icons, noise, pair, scalar, with_number, zeros
from tests.weights.test_codes import codes, report_on

WIDTH = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8}
SPECIAL = {
    "F16": (0x7C00, 0x8000),
    "BF16": (0x7F80, 0x8000),
    "F32": (0x7F80_0000, 0x8000_0000),
    "F64": (0x7FF0_0000_0000_0000, 1 << 63),
}


def looked(tensors: Tensors) -> dict[str, Seen]:
    """Look at a file of some tensors; what is remarkable, by name."""
    source = MemorySource("x", build(tensors))
    return {seen.tensor.name: seen for seen in look(source, read_header(source))}


def one(dtype: str, data: bytes) -> Seen | None:
    """Look at a file of one tensor."""
    count = len(data) // FORMATS[dtype].size
    return looked({"x": Made(dtype, (count,), data)}).get("x")


def scanned(content: bytes) -> Scan:
    """Scan a file in memory."""
    source = MemorySource("x", content)
    return scan(source, read_header(source))


def decoded(dtype: str, data: bytes) -> list[float]:
    """Decode numbers with struct, which takes no part in the code under test."""
    if dtype == "BF16":
        return [struct.unpack("<f", b"\0\0" + data[at : at + 2])[0] for at in range(0, len(data), 2)]
    if dtype == "F8_E5M2":
        return [struct.unpack("<e", bytes((0, byte)))[0] for byte in data]
    if dtype == "F8_E4M3":
        return [_e4m3(byte) for byte in data]
    if dtype.endswith("FNUZ"):
        return [math.nan if byte == 0x80 else float(byte > 0) for byte in data]
    letter = {"F16": "e", "F32": "f", "F64": "d"}[dtype]
    return list(struct.unpack(f"<{len(data) // WIDTH[dtype]}{letter}", data))


def _e4m3(byte: int) -> float:
    """One sign, four bits of exponent with a bias of 7, three of fraction; all ones is NaN."""
    exponent, fraction = byte >> 3 & 15, byte & 7
    if exponent == 15 and fraction == 7:
        return math.nan
    size = fraction / 8 * 2.0**-6 if exponent == 0 else (1 + fraction / 8) * 2.0 ** (exponent - 7)
    return -size if byte & 0x80 else size


def judge(dtype: str, data: bytes, seen: Seen | None) -> None:
    """Compare what was seen of a tensor with what arithmetic says about its numbers."""
    numbers = decoded(dtype, data)
    assert (seen.nans if seen else 0) == sum(map(math.isnan, numbers))
    assert (seen.infinities if seen else 0) == sum(map(math.isinf, numbers))
    assert (seen is not None and seen.is_zero) is all(number == 0 for number in numbers)
    if seen is None or not seen.broken:
        largest = max(map(abs, numbers))
        assert (seen.magnitude if seen else 0.0) == (largest if largest > HUGE else 0.0)


TYPES = ["F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"]


@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=60, deadline=None)
@given(data=st.binary(min_size=8, max_size=64).map(lambda data: data[: len(data) // 8 * 8]))
def test_two_maxima_see_what_arithmetic_sees(dtype: str, data: bytes) -> None:
    """NaN, infinity, zero and magnitudes above 1,000 are those of the decoded numbers, for any bits."""
    judge(dtype, data, one(dtype, data))


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"])
def test_every_byte_is_judged_as_its_number(dtype: str) -> None:
    """Each of the 256 patterns of an 8-bit float alone is told apart as its format says."""
    for byte in range(256):
        judge(dtype, bytes([byte]), one(dtype, bytes([byte])))


def test_a_power_of_two_without_a_sign_has_one_nan() -> None:
    """Of E8M0's patterns only the last is no number."""
    assert one("F8_E8M0", bytes(range(1, 255))) is None
    seen = one("F8_E8M0", b"\xff\x01\xff")
    assert seen is not None
    assert (seen.nans, seen.infinities) == (2, 0)


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
def test_every_special_number_is_told_from_its_neighbours(dtype: str) -> None:
    """Both infinities, NaN of both signs, minus zero and the largest finite numbers are told apart."""
    size, (infinity, sign) = WIDTH[dtype], SPECIAL[dtype]
    around = [infinity, infinity + 1, infinity - 1, 0, 1]
    for pattern in (bits | more for bits in around for more in (0, sign)):
        data = pattern.to_bytes(size, "little")
        judge(dtype, data, one(dtype, data))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["BF16", "BF16", "F32", "F8_E5M2", "I64"]),
            st.sampled_from([0, 1, 5, 300_000]),
            st.sampled_from(["noise", "zeros", "nan at the end", "huge at the start", "nearly zero"]),
        ),
        min_size=1,
        max_size=7,
    )
)
def test_pieces_over_many_tensors_see_what_each_alone_shows(rows: list[tuple[str, int, str]]) -> None:
    """What is remarkable about a tensor does not depend on its neighbours, nor on where pieces begin."""
    made = {f"t{place}": _filled(*row) for place, row in enumerate(rows)}
    together = looked(made)
    for name, tensor in made.items():
        alone = looked({name: tensor}).get(name)
        found = together.get(name)
        assert (alone is None) == (found is None)
        if alone and found:
            assert (alone.largest, alone.nans, alone.infinities, alone.zeros) == (
                found.largest, found.nans, found.infinities, found.zeros,
            )  # fmt: skip


def _filled(dtype: str, count: int, how: str) -> Made:
    """Make a tensor with something remarkable in it, or nothing."""
    size = {"BF16": 2, "F32": 4, "F8_E5M2": 1, "I64": 8}[dtype]
    ends = {"BF16": (b"\xc0\x7f", b"\x80\x7e"), "F32": (b"\0\0\xc0\x7f", b"\0\0\x80\x7e")}
    nan, huge = ends.get(dtype, (b"\x7e" * size, b"\x70" * size))
    data = bytearray(b"\x21" * (count * size) if how != "zeros" else bytes(count * size))
    if how == "nearly zero":
        data = bytearray(count * size)
        data[-1:] = b"\x11" if count else b""
    if count:
        data[-size:] = nan if how == "nan at the end" else data[-size:]
        data[:size] = huge if how == "huge at the start" else data[:size]
    return Made(dtype, (count,), bytes(data))


def test_the_digest_is_that_of_the_whole_file() -> None:
    """The SHA-256 is the file's, also when tensors span pieces and are no floats."""
    tensors = {"a": noise(700_000), "b": noise(3, dtype="I64"), "c": zeros(0), "d": noise(5, dtype="BF16")}
    content = build(tensors)
    assert scanned(content).digest == hashlib.sha256(content).hexdigest()


def test_hashing_ends_with_its_context() -> None:
    """Hashing that nobody waits for stops, and gives no digest of half a file."""

    class Endless(MemorySource):
        @property
        def size(self) -> int:
            return 1 << 60

        def read_into(self, offset: int, buffer: memoryview) -> int:  # noqa: ARG002
            return len(buffer)

    with Hashing(Endless("x", b"")) as hashing:
        pass
    with pytest.raises(StructureFault):
        hashing.result()


def test_an_error_of_reading_is_raised_where_the_digest_is_asked_for() -> None:
    """What the disk says in the other thread is heard in this one."""

    class Failing(MemorySource):
        def read_into(self, offset: int, buffer: memoryview) -> int:  # noqa: ARG002
            raise OSError("the disk is gone")

    with Hashing(Failing("x", bytes(9))) as hashing, pytest.raises(OSError, match="the disk is gone"):
        hashing.result()


@pytest.mark.parametrize("change", ["longer", "rewritten"])
def test_a_file_that_is_written_while_it_is_read_is_told_so(tmp_path: Path, change: str) -> None:
    """A file that grew or was replaced between opening and the last byte has changed, whatever was read."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(build(icons()))
    with FileSource(path) as source:
        header = read_header(source)
        if change == "longer":
            with path.open("ab") as file:
                file.write(bytes(9))
        else:
            path.unlink()
            path.write_bytes(build(icons()))
        with pytest.raises(StructureFault) as raised:
            scan(source, header)
    assert raised.value.finding.code == "FILE_CHANGED"


def test_a_large_file_is_looked_at_by_two_and_shows_the_same(tmp_path: Path) -> None:
    """What two threads see of a file on disk is what one sees of the same bytes in memory, in one order."""
    layers = [f"transformer.transformer_blocks.{number}.attn.to_q" for number in range(40)]
    tensors = {name: made for layer in layers for name, made in pair(layer, 3072, 3072, rank=48).items()}
    for number in (3, 17, 39):
        name = f"{layers[number]}.lora_A.weight"
        tensors[name] = with_number(tensors[name], math.nan, 100_000)
    tensors[f"{layers[9]}.lora_B.weight"] = zeros(3072, 48)
    content = build(tensors)
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    memory = MemorySource("x", content)
    with FileSource(path) as source:
        assert look(source, read_header(source)) == look(memory, read_header(memory))
        assert len(look(memory, read_header(memory))) == 4


def test_an_error_in_either_thread_ends_the_look(tmp_path: Path) -> None:
    """A large file that ends early is reported whichever thread comes upon its end."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(build({"x": noise(10_000_000)}))
    with FileSource(path) as source:
        header = read_header(source)
        with path.open("r+b") as file:
            file.truncate(20_000_000)
        with pytest.raises(StructureFault) as raised:
            look(source, header)
    assert raised.value.finding.code == "FILE_CHANGED"


def test_a_fault_in_a_later_piece_is_found() -> None:
    """A single NaN behind the first megabyte of a tensor counts once."""
    data = bytearray(noise(600_000).data)
    struct.pack_into("<f", data, 4 * 500_000, math.nan)
    seen = one("F32", bytes(data))
    assert seen is not None
    assert (seen.nans, seen.infinities) == (1, 0)


def test_faults_are_counted_by_tensor_and_named_first_to_last() -> None:
    """Each finding names the first tensor with its numbers and counts the others; alphas are left out."""
    nan = struct.pack("<f", math.nan) * 3 + struct.pack("<f", 0.1) * 5
    huge = struct.pack("<f", -5000.0) + struct.pack("<f", 0.1) * 7
    tensors = {
        **icons(),
        **{
            f"transformer.transformer_blocks.0.attn.to_{q}.lora_A.weight": Made("F32", (2, 4), nan)
            for q in "qv"
        },
        "transformer.transformer_blocks.1.attn.to_q.lora_A.weight": Made("F32", (2, 4), huge),
        "transformer.transformer_blocks.1.attn.to_q.alpha": scalar(math.nan),
    }
    found = {finding.code: finding for finding in report_on(build(tensors)).findings}
    said = "transformer.transformer_blocks.0.attn.to_q.lora_A.weight: 3 of 8 values are NaN"
    assert found["VAL_NAN"].message == f"{said}; so are values in 1 more tensor."
    assert found["VAL_NAN"].evidence["tensors"] == 2
    assert found["VAL_HUGE"].evidence["largest"] == 5000.0
    assert found["VAL_HUGE"].message.startswith("1 tensor with values above 1000;")


def test_untrained_is_not_called_interrupted() -> None:
    """Output matrices that are zero as a whole are an untrained LoRA and no zero-filled tail."""
    ups = {name: zeros(*tensor.shape) for name, tensor in icons().items() if "lora_B" in name}
    downs = {name: tensor for name, tensor in icons().items() if "lora_A" in name}
    found = codes(report_on(build({**downs, **ups})))
    assert "VAL_ZERO_B_ALL" in found
    assert "VAL_ZERO_TAIL" not in found


@pytest.mark.parametrize("dtype", ["F32", "BF16"])
def test_a_matrix_of_plus_and_minus_zeros_is_zero(dtype: str) -> None:
    """Minus zero is zero: an output matrix of both changes nothing."""
    layer = "transformer.transformer_blocks.0.attn.to_q"
    tensors = pair(layer, 256, 256, dtype=dtype)
    up = tensors[f"{layer}.lora_B.weight"]
    half = len(up.data) // 2
    minus = (b"\0" * (WIDTH[dtype] - 1) + b"\x80") * (half // WIDTH[dtype])
    tensors[f"{layer}.lora_B.weight"] = Made(dtype, up.shape, bytes(half) + minus)
    assert "VAL_ZERO_B_ALL" in codes(report_on(build(tensors)))


def test_a_tail_over_an_input_matrix_is_an_interrupted_download() -> None:
    """Zeros that cover a whole input matrix at the end were never written by training."""
    content = build(icons())
    assert "VAL_ZERO_TAIL" in codes(report_on(content[:-60_000] + bytes(60_000)))
    assert "VAL_ZERO_TAIL" not in codes(report_on(content))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 120_000))
def test_the_tail_is_measured_to_the_byte(count: int) -> None:
    """However many bytes at the end are zero, the tail names as many, tensor by tensor."""
    content = build(icons())
    header = read_header(MemorySource("x", content))
    cut = content[: len(content) - count] + bytes(count)
    data = cut[header.data_start :]
    tail = scanned(cut).tail
    assert sum(zeros for _, zeros in tail) == len(data) - len(data.rstrip(b"\0"))
    for tensor, ending in tail:
        assert data[tensor.end - ending : tensor.end] == bytes(ending)
