"""Pictures reach the disk whole or not at all, with how they came about inside."""

from __future__ import annotations

import errno
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lorry.errors import DiskFull, NotWritable, OptionInvalid
from lorry.generation import require_writable, save, write_file
from lorry.generation.files import described, names, storage_error
from lorry.model.generation import Generation, Picture
from tests.generation.conftest import png


def _made(count: int = 1, prompt: str = "TOK on green") -> Generation:
    pictures = tuple(Picture(png(seed), seed) for seed in range(count))
    return Generation("tok", prompt, False, "local", pictures, 0.1)


@contextmanager
def _room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: what a full disk does to a write that has begun."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_one_picture_has_the_name_and_several_are_numbered(tmp_path: Path) -> None:
    """`out.png` for one; `out-1.png`, `out-2.png` for two; no other file is left."""
    assert save(_made(), tmp_path / "out.png") == (tmp_path / "out.png",)
    assert [file.name for file in save(_made(2), tmp_path / "out.png")] == ["out-1.png", "out-2.png"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out-1.png", "out-2.png", "out.png"]


def test_a_saved_picture_tells_how_it_came_about(tmp_path: Path) -> None:
    """Prompt, seed, model and route are PNG text, and the pixels are those that were drawn."""
    (_, file) = save(_made(2, prompt="TOK, ein grüner Löwe 🦁"), tmp_path / "out.png")
    with Image.open(file) as image:
        image.load()
        assert image.info["prompt"] == "TOK, ein grüner Löwe 🦁"
        assert (image.info["seed"], image.info["model"], image.info["route"]) == ("1", "tok", "local")
        with Image.open(BytesIO(png(1))) as drawn:
            assert image.tobytes() == drawn.tobytes()


@given(prompt=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_prompt_survives_inside_a_picture(prompt: str) -> None:
    """Whatever a person can type is read back as it was."""
    made = _made(prompt=prompt)
    with Image.open(BytesIO(described(made, made.pictures[0]))) as image:
        image.load()
        assert image.info["prompt"] == prompt


def test_a_disk_that_gets_full_leaves_the_old_picture_and_nothing_half_made(tmp_path: Path) -> None:
    """The write breaks off in the middle: the file that was there is whole, and no other file stays."""
    out = tmp_path / "out.png"
    out.write_bytes(b"before")
    with _room_for(1000), pytest.raises(DiskFull, match=r"out\.png"):
        write_file(out, b"x" * 5000)
    assert out.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [out]


def test_several_pictures_are_saved_all_or_none(tmp_path: Path) -> None:
    """The second picture meets a folder of its name: the first is not there either."""
    (tmp_path / "out-2.png").mkdir()
    with pytest.raises(NotWritable, match=r"out-2\.png"):
        save(_made(2), tmp_path / "out.png")
    assert [file.name for file in tmp_path.iterdir()] == ["out-2.png"]


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("missing/out.png", NotWritable),
        ("folder.png", NotWritable),
        ("file/out.png", NotWritable),
        ("out.jpg", OptionInvalid),
        ("out", OptionInvalid),
    ],
)
def test_a_place_that_can_not_hold_a_picture_is_said_beforehand(
    tmp_path: Path, output: str, kind: type[Exception]
) -> None:
    """A missing folder, a folder in its place, a file as its folder, another format."""
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(kind):
        require_writable(tmp_path / output)
    with pytest.raises(kind):
        save(_made(), tmp_path / output)


def test_a_good_place_is_taken_and_left_as_it_is(tmp_path: Path) -> None:
    """Asking makes no file."""
    require_writable(tmp_path / "out.png")
    require_writable(tmp_path / "OUT.PNG")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EACCES, NotWritable),
        (errno.EROFS, NotWritable),
    ],
)
def test_the_disks_words_become_ours(number: int, kind: type[Exception]) -> None:
    """No space is one error, everything else the other; both name the file."""
    error = storage_error(OSError(number, "the words"), Path("/x/out.png"))
    assert type(error) is kind
    assert "/x/out.png" in error.message
    assert "the words" in error.message


@given(count=st.integers(1, 16), stem=st.text("abc-1.", min_size=1).filter(lambda stem: stem.strip(".")))
def test_names_differ_and_keep_their_ending(count: int, stem: str) -> None:
    """As many names as pictures, all different, in one folder, all .png."""
    found = names(Path("folder") / f"{stem}.png", count)
    assert len(set(found)) == count
    assert all(name.suffix == ".png" and name.parent == Path("folder") for name in found)
