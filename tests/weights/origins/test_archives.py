"""Archives are read in place; what is hostile or broken in them is told, and nothing of it is written."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorry.model.report import Finding
from lorry.weights.origins import entries
from lorry.weights.origins.access import Access
from lorry.weights.origins.entries import Stated, danger
from lorry.weights.origins.fetching import fetched
from lorry.weights.origins.opening import Opened, Unopened, opened
from tests.weights.origins.packing import deflated, odd_tar, odd_zip, tar, tgz, zipped

ACCESS = Access()
INSIDE = "output/flux_train_replicate/lora.safetensors"
PACKERS = [tar, tgz, zipped, deflated]
Packer = Callable[[dict[str, bytes]], bytes]


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder in which private folders are made."""
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def replicate(sound: bytes) -> dict[str, bytes]:
    """Give what Replicate's trainer packs."""
    return {
        "output/flux_train_replicate/captions/1.txt": b"a photo of TOK",
        "output/flux_train_replicate/config.yaml": b"trigger_word: TOK\n",
        INSIDE: sound,
    }


def unopened(path: Path) -> tuple[Finding, ...]:
    """Give why an archive can't be opened."""
    with opened(str(path), ACCESS) as result:
        assert isinstance(result, Unopened), result
        return result.findings


def codes(path: Path) -> list[str]:
    """Give the codes of why an archive can't be opened."""
    return [found.code for found in unopened(path)]


@pytest.mark.parametrize("pack", PACKERS)
def test_a_training_archive_is_opened_like_a_folder(
    tmp_path: Path, private: Path, sound: bytes, pack: Packer
) -> None:
    """Replicate's archive, in any packing and under any name: weights, listing, texts; nothing is left."""
    path = tmp_path / "trained_model.safetensors"
    path.write_bytes(pack(replicate(sound)))
    with opened(str(path), ACCESS) as result:
        assert isinstance(result, Opened)
        assert (result.inside, result.deep, result.local) == (INSIDE, True, None)
        assert result.file == f"{path}:{INSIDE}"
        assert (result.source.name, result.source.size) == ("lora.safetensors", len(sound))
        assert result.source.read(0, len(sound) + 9) == sound
        assert [entry.path for entry in result.listing.entries] == sorted(replicate(sound))
        assert result.listing.text("output/flux_train_replicate/config.yaml") == "trigger_word: TOK\n"
        assert result.listing.text("nothing") == ""
        assert result.another(INSIDE).read(0, 8) == sound[:8]
    assert list(private.iterdir()) == []


@pytest.mark.parametrize("pack", PACKERS)
def test_an_archive_is_unpacked_for_a_conversion(
    tmp_path: Path, private: Path, sound: bytes, pack: Packer
) -> None:
    """Everything but the other steps is unpacked into a private folder, which goes again."""
    path = tmp_path / "trained.tar"
    path.write_bytes(pack({**replicate(sound), INSIDE.replace("lora", "lora_000000500"): sound}))
    with fetched(str(path), ACCESS) as found:
        assert found.is_relative_to(private)
        assert found.read_bytes() == sound
        assert stat.S_IMODE(next(private.iterdir()).stat().st_mode) == 0o700
        assert {each.name for each in found.parent.iterdir()} == {
            "captions",
            "config.yaml",
            "lora.safetensors",
        }
    assert list(private.iterdir()) == []


def test_what_needs_no_unpacking_is_not_unpacked(tmp_path: Path, private: Path, sound: bytes) -> None:
    """A plain tar and a stored zip entry are read where they lie."""
    for pack in (tar, zipped):
        path = tmp_path / "a"
        path.write_bytes(pack(replicate(sound)))
        with opened(str(path), ACCESS) as result:
            assert isinstance(result, Opened)
            assert list(private.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kind", "dangerous"),
    [
        ("a/b.safetensors", "file", False), ("./a", "file", False), ("a/", "folder", False),
        (".", "folder", False),
        ("a/..b", "file", False), ("../a", "file", True), ("a/../b", "file", True), ("a/..", "folder", True),
        ("/etc/passwd", "file", True), ("//host/a", "file", True), ("C:/a", "file", True),
        ("c:a", "file", True),
        ("a\\..\\b", "file", True), ("a\0b", "file", True), ("", "file", True), ("./", "file", True),
        ("a", "a link", True), ("a", "a device", True), ("a", "a pipe", True),
    ],
)  # fmt: skip
def test_which_entries_are_dangerous(name: str, kind: str, dangerous: bool) -> None:
    """What would be written elsewhere, or is no plain file, is dangerous on every system."""
    assert (danger(Stated(name, kind, 1)) is not None) is dangerous


def test_all_dangerous_entries_are_told_at_once(tmp_path: Path, private: Path) -> None:
    """One finding names every bad entry of an archive and what is wrong with it; nothing is unpacked."""
    tarred = odd_tar(
        ("../up", tarfile.REGTYPE, ""), ("/abs", tarfile.REGTYPE, ""), ("s", tarfile.SYMTYPE, "/etc/passwd"),
        ("h", tarfile.LNKTYPE, "s"), ("dev", tarfile.CHRTYPE, ""), ("p", tarfile.FIFOTYPE, ""),
        ("ok", tarfile.REGTYPE, ""), ("C:\\x", tarfile.REGTYPE, ""),
    )  # fmt: skip
    zip_file = odd_zip(
        ("../up", 0), ("/abs", stat.S_IFREG), ("s", stat.S_IFLNK), ("h\\x", 0), ("dev", stat.S_IFCHR),
        ("p", stat.S_IFIFO), ("ok", stat.S_IFREG), ("C:x", 0),
    )  # fmt: skip
    for content in (tarred, gzip.compress(tarred), zip_file):
        path = tmp_path / "bad"
        path.write_bytes(content)
        [found] = unopened(path)
        assert found.code == "ARCHIVE_UNSAFE"
        assert found.evidence["count"] == 7
        assert found.evidence["entries"][0]["entry"] == "../up"
        assert "7 entries" in found.message
        with pytest.raises(Exception, match="must not be unpacked"), fetched(str(path), ACCESS):
            pass
    assert {each.name for each in tmp_path.iterdir()} == {"private", "bad"}
    assert list(private.iterdir()) == []


def test_a_cut_and_dangerous_archive_is_both(tmp_path: Path) -> None:
    """What was seen before the cut is told with the cut."""
    path = tmp_path / "bad.tar"
    path.write_bytes(tar({"../a": b"x", "b": b"y" * 2000})[:2500])
    assert codes(path) == ["ARCHIVE_UNSAFE", "ARCHIVE_BROKEN"]


@pytest.mark.parametrize("pack", PACKERS)
def test_a_cut_archive_is_broken(tmp_path: Path, sound: bytes, pack: Packer) -> None:
    """A copy that stopped on the way is told, wherever it stopped."""
    content = pack(replicate(sound))
    path = tmp_path / "cut"
    for length in (600, len(content) // 2, len(content) * 9 // 10):
        path.write_bytes(content[:length])
        assert codes(path) == ["ARCHIVE_BROKEN"]


def damaged(content: bytes, place: int) -> bytes:
    """Turn one byte around."""
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


@pytest.mark.parametrize("pack", [tgz, zipped, deflated])
def test_damage_inside_the_weights_is_found(tmp_path: Path, sound: bytes, pack: Packer) -> None:
    """Where an archive has checksums they are compared before the weights are used."""
    content = pack({"lora.safetensors": sound})
    path = tmp_path / "damaged"
    path.write_bytes(damaged(content, len(content) // 2))
    assert codes(path) == ["ARCHIVE_BROKEN"]


def test_what_is_encrypted_or_packed_oddly_is_told(tmp_path: Path, sound: bytes) -> None:
    """Encrypted entries and packings that could take any memory are not read, and all are named."""
    path = tmp_path / "a.zip"
    content = bytearray(zipped({"a.safetensors": sound[:100], "b.txt": b"b"}))
    for place in (content.find(b"PK\x01\x02"), content.rfind(b"PK\x01\x02")):
        content[place + 8] |= 1
    path.write_bytes(bytes(content))
    [found] = unopened(path)
    assert (found.code, found.evidence["entries"]) == ("ARCHIVE_BROKEN", ["a.safetensors", "b.txt"])
    assert "encrypted" in found.message
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        path.write_bytes(zipped({"a.safetensors": sound}, method=method))
        assert codes(path) == ["ARCHIVE_BROKEN"]


def test_bombs_are_told_before_they_go_off(tmp_path: Path, private: Path) -> None:
    """Far more bytes than weights ever unpack to, in any packing; little of them is unpacked to find out."""
    zeros = bytes(100 << 20)
    path = tmp_path / "bomb"
    for content in (deflated({"a.safetensors": zeros}), gzip.compress(tar({"a.safetensors": zeros}), 9)):
        path.write_bytes(content)
        [found] = unopened(path)
        assert found.code == "ARCHIVE_BOMB"
        assert found.evidence["packed"] == len(content)
        assert found.evidence["unpacked"] > found.evidence["limit"] == entries.ALWAYS_ALLOWED
    assert list(private.iterdir()) == []


def test_too_many_entries_are_a_bomb(tmp_path: Path) -> None:
    """More entries than any training leaves are not listed."""
    names = {f"{number}.txt": b"" for number in range(entries.ENTRIES_AT_MOST + 1)}
    for pack in (tar, tgz, zipped):
        path = tmp_path / "many"
        path.write_bytes(pack(names))
        assert codes(path) == ["ARCHIVE_BOMB"]
        path.write_bytes(pack(dict(list(names.items())[1:])))
        assert codes(path) == ["FILE_MISSING"]


def test_a_table_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    """The zip's own words about its table are not believed beyond a few megabytes."""
    row = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    table = row * 120_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFE, 0xFFFE, len(table), 4, 0)
    path = tmp_path / "huge.zip"
    path.write_bytes(b"PK\x03\x04" + table + end)
    assert codes(path) == ["ARCHIVE_BOMB"]


def test_entries_that_share_their_bytes_are_a_bomb(tmp_path: Path) -> None:
    """A table whose entries all point at the same bytes unpacks to more than the archive holds."""
    inner = deflated({"a": bytes(1 << 20)})
    first = inner.index(b"PK\x01\x02")
    local, row = inner[:first], inner[first : inner.index(b"PK\x05\x06")]
    table = row * 200
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 200, 200, len(table), len(local), 0)
    path = tmp_path / "shared.zip"
    path.write_bytes(local + table + end)
    assert codes(path)[0] in ("ARCHIVE_BOMB", "ARCHIVE_BROKEN")


def test_archives_inside_archives_stay_closed(tmp_path: Path, sound: bytes) -> None:
    """Only one level is opened; what is packed twice is said to hold no weights."""
    path = tmp_path / "outer.zip"
    path.write_bytes(zipped({"inner.tar": tar({"a.safetensors": sound})}))
    [found] = unopened(path)
    assert found.code == "FILE_MISSING"
    assert "inner.tar" in found.message


def test_a_gzip_of_something_else_is_told(tmp_path: Path, sound: bytes) -> None:
    """A gzip file that holds no tar, and garbage behind the magic number, are no archives that are read."""
    path = tmp_path / "a.safetensors.gz"
    for content in (gzip.compress(sound), b"\x1f\x8b" + bytes(100), b"\x1f\x8b"):
        path.write_bytes(content)
        assert codes(path) == ["ARCHIVE_BROKEN"]


def test_pytorch_files_are_zips_and_stay_closed(tmp_path: Path) -> None:
    """A PyTorch file is told as what it is, wherever in its zip the pickle lies."""
    path = tmp_path / "a.pt"
    path.write_bytes(zipped({"archive/padding": bytes(9000), "archive/data.pkl": b"\x80\x02"}))
    assert codes(path) == ["FILE_PICKLE"]
    path.write_bytes(zipped({"archive/data.pkl": b"\x80\x02"}))
    with opened(str(path), ACCESS) as result:
        assert isinstance(result, Opened)  # and the check says it from the first bytes


def test_what_packers_add_is_left_out(tmp_path: Path, sound: bytes) -> None:
    """MacOS packs a shadow beside every file; it is no second adapter."""
    path = tmp_path / "mac.zip"
    shadow = {"__MACOSX/._a.safetensors": b"x", "._a.safetensors": b"x", ".DS_Store": b"x"}
    path.write_bytes(deflated({"a.safetensors": sound, **shadow}))
    with opened(str(path), ACCESS) as result:
        assert isinstance(result, Opened)
        assert [entry.path for entry in result.listing.entries] == ["a.safetensors"]


def test_names_that_can_not_stand_side_by_side(tmp_path: Path, private: Path, sound: bytes) -> None:
    """A file where a folder has to be, or a name that no disk takes, ends an unpacking with a finding."""
    path = tmp_path / "odd.tar"
    for files in ({"a": b"x", "a/b.safetensors": sound}, {"a.safetensors": sound, "n" * 300: b"x"}):
        path.write_bytes(tar(files))
        with pytest.raises(Exception, match="beside the others"), fetched(str(path), ACCESS):
            pass
    assert list(private.iterdir()) == []


def test_a_table_that_leads_before_the_beginning_is_damage(tmp_path: Path) -> None:
    """An end that claims a larger offset of the table moves every entry back, below zero."""
    content = bytearray(zipped({"a.safetensors": b"x" * 300}))
    content[-4] += 1  # the third byte of the table's offset: 65,536 more
    (tmp_path / "moved.zip").write_bytes(bytes(content))
    with opened(str(tmp_path / "moved.zip"), ACCESS) as result:
        assert [found.code for found in result.findings] == ["ARCHIVE_BROKEN"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.sampled_from(PACKERS), st.data())
def test_any_damage_gives_a_result(tmp_path: Path, private: Path, pack: Packer, data: st.DataObject) -> None:
    """Whatever bytes are changed, the answer is weights or findings; nothing is written elsewhere or left."""
    content = bytearray(pack({"a.safetensors": b"x" * 300, "b/c.txt": b"y" * 50}))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(bytes(content))
    with opened(str(path), ACCESS) as result:
        assert isinstance(result, Opened) or result.findings
    assert {each.name for each in tmp_path.iterdir()} == {"private", "damaged"}
    assert list(private.iterdir()) == []


_MEASURE = """
import re, sys
from pathlib import Path
from lorry.weights.origins.access import Access
from lorry.weights.origins.opening import opened
with opened(sys.argv[1], Access()) as result:
    print([found.code for found in result.findings])
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_stays_small(tmp_path: Path) -> None:
    """The largest table that is read, and a bomb, take less than 256 MB in a process of their own."""
    row = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    table = row * ((4 << 20) // len(row))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFE, 0xFFFE, len(table), 4, 0)
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=1) as stream:
        stream.write(tar({"a.safetensors": b""})[:512].replace(b"00000000000\0", b"77777777777\0", 1))
        for _ in range(400):
            stream.write(bytes(1 << 20))
    for content in (b"PK\x03\x04" + table + end, made.getvalue()):
        path = tmp_path / "large"
        path.write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, str(path)], capture_output=True, text=True, check=True
        )
        found, megabytes = done.stdout.splitlines()
        assert "ARCHIVE_BOMB" in found
        assert int(megabytes) < 256
