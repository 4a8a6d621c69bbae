"""Files by the digest of their content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.engine.blobs import Blobs
from lorry.errors import DiskFull
from tests.engine.test_documents import files_up_to


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@given(chunks=st.lists(st.binary(max_size=100), max_size=5))
def test_a_content_is_kept_under_its_digest(
    chunks: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever arrives in whatever pieces lies whole under its SHA-256, and both digests are right."""
    blobs = Blobs(tmp_path_factory.mktemp("blobs"))
    with blobs.incoming() as incoming:
        for chunk in chunks:
            incoming.write(chunk)
        blob = blobs.keep(incoming)
    data = b"".join(chunks)
    assert blob.sha256 == hashlib.sha256(data).hexdigest()
    assert blob.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert (blob.size, blobs.path(blob.sha256).read_bytes()) == (len(data), data)


def test_the_same_content_is_stored_once(tmp_path: Path) -> None:
    """Putting a content twice leaves one file."""
    blobs = Blobs(tmp_path)
    assert blobs.put(b"same") == blobs.put(b"same")
    assert len(files_below(tmp_path)) == 1


def test_what_is_not_kept_is_gone(tmp_path: Path) -> None:
    """A file that is received and not kept leaves nothing, and neither does a reception that fails."""
    blobs = Blobs(tmp_path)
    with blobs.incoming() as incoming:
        incoming.write(b"unfinished")

    def fail() -> None:
        with blobs.incoming() as incoming:
            incoming.write(b"interrupted")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert files_below(tmp_path) == []


def test_a_killed_process_leaves_no_half_files_after_the_next_start(tmp_path: Path) -> None:
    """What lay in reception when a process died is removed when the folder is opened again."""
    Blobs(tmp_path)
    (tmp_path / "incoming" / "left").write_bytes(b"half")
    Blobs(tmp_path)
    assert files_below(tmp_path) == []


def test_a_full_disk_keeps_nothing(tmp_path: Path) -> None:
    """A content that does not fit is DiskFull, nothing of it stays, and a smaller one fits afterwards."""
    blobs = Blobs(tmp_path)
    with files_up_to(100_000), pytest.raises(DiskFull):
        blobs.put(b"x" * 300_000)
    assert files_below(tmp_path) == []
    assert blobs.has(blobs.put(b"x" * 300_000).sha256)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "/x"])
def test_a_path_comes_from_a_digest_and_nothing_else(tmp_path: Path, name: str) -> None:
    """What is no SHA-256 in lower-case hex has no path."""
    with pytest.raises(ValueError, match="SHA-256"):
        Blobs(tmp_path).path(name)
