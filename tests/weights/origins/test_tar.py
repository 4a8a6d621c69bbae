"""Our reading of a tar's table is Python's own where that is sound, and bounded where that is not."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.weights.catalogue import StructureFault
from lorry.weights.files.source import MemorySource
from lorry.weights.origins.tar import BLOCK, TarMember, looks_like_tar, tar_members
from tests.weights.origins.packing import odd_tar, tar

NAMES = st.from_regex(r"[a-zäß東](?:[a-zäß東 ./_-]{0,180}[a-zäß東])?", fullmatch=True)
FORMS = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


def members(content: bytes) -> list[TarMember]:
    """Read a whole table."""
    return list(tar_members(MemorySource("a.tar", content)))


def broken(content: bytes) -> str:
    """Give what is said about a tar that can't be read."""
    with pytest.raises(StructureFault) as caught:
        members(content)
    assert [found.code for found in caught.value.findings] == ["ARCHIVE_BROKEN"]
    return caught.value.finding.message


@given(st.dictionaries(NAMES, st.binary(max_size=1500), max_size=4), FORMS)
def test_the_table_is_the_one_that_python_reads(files: dict[str, bytes], form: int) -> None:
    """Names, sizes and contents are those of the standard library, in all three formats."""
    try:
        content = tar(files, form=form)
    except ValueError:  # a name too long for the oldest format
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        expected = [(info.name, info.offset_data, info.size) for info in archive]
    assert [(each.name, each.begin, each.size) for each in members(content)] == expected
    assert all(each.kind == "file" for each in members(content))


@given(st.data())
def test_a_cut_is_found_at_every_byte(data: st.DataObject) -> None:
    """A tar that ends before its end mark is broken, wherever it was cut."""
    content = tar({"a/b.safetensors": b"x" * 700, "n" * 150: b"y"})
    end = max(number for number in range(len(content)) if content[number]) // BLOCK * BLOCK + BLOCK
    assert broken(content[: data.draw(st.integers(1, end))])


@given(st.binary(max_size=3000) | st.binary(min_size=512, max_size=512).map(lambda block: block * 3))
def test_any_bytes_have_an_end(content: bytes) -> None:
    """Whatever the bytes are, the reading ends with entries inside the file or with one finding."""
    try:
        found = members(content)
    except StructureFault as error:
        assert error.finding.code == "ARCHIVE_BROKEN"  # noqa: PT017 - either outcome is right
    else:
        assert all(0 < each.begin <= each.begin + each.size <= len(content) for each in found)


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_changed_byte_never_leads_outside(place: int, value: int) -> None:
    """Damage in the table is found, or changes nothing about where entries may lie."""
    content = bytearray(tar({"a": b"x" * 600, "b" * 120: b"y"}))
    content[place] = value
    try:
        found = members(bytes(content))
    except StructureFault:
        return
    assert all(each.begin + each.size <= len(content) for each in found)


def resealed(header: bytes) -> bytes:
    """Correct the checksum of a changed block."""
    total = sum(header[:148]) + 8 * 32 + sum(header[156:])
    return header[:148] + b"%06o\0 " % total + header[156:]


def with_field(begin: int, value: bytes) -> bytes:
    """Change a field of the first block of a tar, so that its checksum is right."""
    content = tar({"a": b"x" * 600}, form=tarfile.GNU_FORMAT)
    header = content[:begin] + value + content[begin + len(value) : BLOCK]
    return resealed(header) + content[BLOCK:]


@pytest.mark.parametrize(
    "size",
    [b"77777777777\0", b"-0000000001\0", b"0x000000010\0", b"\xff" * 12, b"\x80" + b"\x7f" * 11,
     b"\x81" + b"\0" * 11],
)  # fmt: skip
def test_a_size_is_no_larger_than_the_file(size: bytes) -> None:
    """Huge, negative and unreadable sizes end the reading at once."""
    assert broken(with_field(124, size))


def test_a_size_in_base_256_is_read() -> None:
    """GNU writes large sizes in base 256; small ones mean the same."""
    [member] = members(with_field(124, b"\x80" + (600).to_bytes(11, "big")))
    assert member.size == 600


@pytest.mark.parametrize(
    ("record", "word"),
    [(b"x path=a\n", "record"), (b"22 GNU.sparse.major=1\n", "sparse"),
     (b"11 size=-1\n", "size"), (b"8 size=x\n", "record"), (b"99 path=a\n", "record"),
     (b"0 path=a\n", "record"), (b"24 GNU.sparse.major=1234\n", "record"),
     (b"26 size=9999999999999999\n", "record"), (b"25 size=9999999999999999\n", "cut")],
)  # fmt: skip
def test_a_bad_record_is_broken(record: bytes, word: str) -> None:
    """A pax record that contradicts itself or the file is told."""
    block = bytearray(tar({"a": record}, form=tarfile.USTAR_FORMAT))
    block[156:157] = b"x"
    first = resealed(bytes(block[:BLOCK])) + bytes(block[BLOCK : 2 * BLOCK])
    assert word in broken(first + tar({"a": b"x" * 600}))


def test_a_record_is_bounded() -> None:
    """A name of gigabytes is not read into memory to find out that it is one."""
    block = tar({"a": bytes(2 << 20)}, form=tarfile.USTAR_FORMAT)
    for kind in (b"x", b"L"):
        header = resealed(block[:156] + kind + block[157:BLOCK])
        assert "record of 2,097,152 bytes" in broken(header + block[BLOCK:])


def test_records_without_entries_have_an_end() -> None:
    """An archive of nothing but records is given up; it would be read for as long as it is."""
    block = tar({"a": b""}, form=tarfile.USTAR_FORMAT)
    header = resealed(block[:156] + b"L" + block[157:BLOCK])

    class Endless:
        """The same record again and again, for a petabyte."""

        name, size, reach = "a.tar", 1 << 50, 1 << 50

        def read(self, offset: int, count: int) -> bytes:
            assert count <= BLOCK
            return header if offset % BLOCK == 0 else b""

        def read_into(self, offset: int, buffer: memoryview) -> int:
            raise NotImplementedError

    with pytest.raises(StructureFault, match="of names and records"):
        list(tar_members(Endless()))


def test_kinds_are_told() -> None:
    """Links, devices and pipes are told as what they are."""
    content = odd_tar(
        ("d", tarfile.DIRTYPE, ""), ("s", tarfile.SYMTYPE, "/etc"), ("h", tarfile.LNKTYPE, "d"),
        ("c", tarfile.CHRTYPE, ""), ("b", tarfile.BLKTYPE, ""), ("p", tarfile.FIFOTYPE, ""),
        ("v", b"V", ""), ("o/", tarfile.REGTYPE, ""),
    )  # fmt: skip
    assert [each.kind.split()[-1] for each in members(content)] == [
        "folder", "link", "link", "device", "device", "pipe", "read", "folder",
    ]  # fmt: skip


def test_a_tar_is_told_from_its_first_block() -> None:
    """Old archives without a magic word are told by their checksum; weights and texts are no tar."""
    content = tar({"a": b"x"}, form=tarfile.USTAR_FORMAT)
    old = resealed(content[:257] + bytes(255))
    assert looks_like_tar(content[:BLOCK])
    assert looks_like_tar(old)
    for other in (b"", bytes(BLOCK), b"x" * BLOCK, old[:-1], b"y" + old[1:]):
        assert not looks_like_tar(other)
