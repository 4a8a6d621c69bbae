"""A file is opened once and without waiting, and what happens to it meanwhile is noticed."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorry.errors import SourceNotFound
from lorry.weights.files.source import ByteSource, FileSource, MemorySource, still_writing

CONTENT = bytes(range(256)) * 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a file."""
    made = tmp_path / "a.bin"
    made.write_bytes(CONTENT)
    return made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1100), st.integers(0, 1100), st.integers(0, 1024), st.integers(0, 500))
def test_a_run_of_a_file_is_its_slice(path: Path, offset: int, count: int, begin: int, size: int) -> None:
    """A file, a run of it and bytes in memory read alike, and never beyond their end."""
    run = CONTENT[begin : begin + size]
    with FileSource(path) as whole, FileSource(path, name="run", begin=begin, size=len(run)) as part:
        pairs: list[tuple[ByteSource, bytes]] = [
            (whole, CONTENT), (part, run), (MemorySource("m", run), run)
        ]  # fmt: skip
        for source, expected in pairs:
            assert source.size == source.reach == len(expected)
            assert source.read(offset, count) == expected[offset : offset + count]
            buffer = bytearray(count)
            done = source.read_into(offset, memoryview(buffer))
            assert buffer[:done] == expected[offset : offset + count]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are no files there")
def test_a_pipe_never_blocks(tmp_path: Path) -> None:
    """A pipe that nobody writes to would block without end; it is refused by its kind, also as a link."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(SourceNotFound, match=r"a pipe \(FIFO\)"):
            FileSource(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="devices are no files there")
def test_what_is_no_regular_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices, sockets and folders are refused with the word for what they are."""
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        for name, word in ((Path("/dev/zero"), "a device"), (Path("s"), "a socket"), (tmp_path, "a folder")):
            with pytest.raises(SourceNotFound, match=word) as caught:
                FileSource(name)
            assert caught.value.evidence["kind"] == word


def test_what_can_not_be_opened_is_told(tmp_path: Path) -> None:
    """What the system or Python refuses is one error with the path in it."""
    (tmp_path / "loop").symlink_to("loop")
    for name in ("none", "loop", "x" * 300, "a\0b"):
        with pytest.raises(SourceNotFound, match="can't be read"):
            FileSource(tmp_path / name)


def test_a_file_that_grows_or_shrinks_is_noticed(path: Path) -> None:
    """Its size stays what it was at the beginning, and that it changed can be asked."""
    with FileSource(path) as source:
        assert source.unchanged()
        with path.open("ab") as writer:
            writer.write(b"more")
        assert source.read(0, 2000) == CONTENT
        assert not source.unchanged()
    with FileSource(path) as source:
        os.truncate(path, 10)
        assert source.read(0, 2000) == CONTENT[:10]
        assert not source.unchanged()


def test_a_file_that_is_rewritten_or_replaced_is_noticed(path: Path, tmp_path: Path) -> None:
    """The same size is not the same file: a later time, another file in its place, or none."""
    with FileSource(path) as source:
        os.utime(path, ns=(0, 1))
        assert not source.unchanged()
    with FileSource(path) as source:
        other = tmp_path / "other"
        other.write_bytes(CONTENT)
        os.utime(other, ns=(0, 1))
        other.replace(path)
        assert not source.unchanged()
    with FileSource(path) as source:
        path.unlink()
        assert not source.unchanged()


@pytest.mark.parametrize(
    ("modified", "now", "expected"),
    [(100, 100, True), (100, 101.9, True), (100, 102, False), (101, 100, True), (1000, 100, False)],
)
def test_who_was_touched_just_now(modified: float, now: float, expected: bool) -> None:
    """Two seconds without a touch are quiet; a clock that is a little ahead does not hide a touch."""
    assert still_writing(modified, now) is expected


def test_the_time_of_a_file_is_known(path: Path) -> None:
    """The time of the last touch is that of the opening."""
    os.utime(path, (5, 7))
    with FileSource(path) as source:
        assert source.modified == 7
