"""Pictures onto the disk, whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lorry.errors import DiskFull, NotWritable, OptionInvalid, StorageError
from lorry.model.generation import Generation, Picture

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def save(made: Generation, output: Path) -> tuple[Path, ...]:
    """Save the pictures of a request, with prompt, seed and model inside each as PNG text.

    Either all of them are there afterwards, or none is and what was there before is untouched.

    Args:
        made: The pictures.
        output: The file of one; several become `out-1.png`, `out-2.png` …

    Returns:
        The files, in the order of the pictures.

    Raises:
        OptionInvalid: The file's ending is that of another format.
        StorageError: The disk refused.
    """
    files = names(output, len(made.pictures))
    for file in files:
        require_writable(file)
    _write_all([(file, described(made, picture)) for file, picture in zip(files, made.pictures, strict=True)])
    return files


def names(output: Path, count: int) -> tuple[Path, ...]:
    """Give the file of each picture.

    Args:
        output: What the user named.
        count: Number of pictures.
    """
    if count == 1:
        return (output,)
    return tuple(output.with_name(f"{output.stem}-{index}{output.suffix}") for index in range(1, count + 1))


def described(made: Generation, picture: Picture) -> bytes:
    """Give a picture's PNG bytes with how it came about inside.

    Args:
        made: The request it belongs to.
        picture: One of its pictures.
    """
    from io import BytesIO

    from PIL import Image, PngImagePlugin

    text = PngImagePlugin.PngInfo()
    facts = {"prompt": made.prompt, "seed": str(picture.seed), "model": made.model, "route": made.route}
    for key, value in {**facts, "Software": "Lorry"}.items():
        text.add_itxt(key, value)
    written = BytesIO()
    with Image.open(BytesIO(picture.png)) as image:
        image.save(written, format="PNG", pnginfo=text)
    return written.getvalue()


def require_writable(output: Path) -> None:
    """Say before anything is drawn, and paid for, that a picture could not be saved.

    Args:
        output: The file that shall be written.

    Raises:
        OptionInvalid: Its ending is that of another format.
        NotWritable: It is a folder, or its folder is missing or refuses.
    """
    if output.suffix.lower() != ".png":
        raise OptionInvalid(
            f"Pictures are saved as PNG, and {output.name!r} does not end in .png.",
            fix=f"Use `-o {output.with_suffix('.png')}`." if output.name else "Use `-o out.png`.",
            evidence={"output": str(output)},
        )
    folder = output.parent
    if not folder.is_dir():
        raise NotWritable(
            f"The folder {folder} for {output.name} does not exist.",
            fix=f"Run `mkdir -p {folder}`, or choose another place with `-o`.",
            evidence={"path": str(output)},
        )
    if output.is_dir():
        raise NotWritable(f"{output} is a folder.", evidence={"path": str(output)})
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NotWritable(f"The folder {folder} can't be written.", evidence={"path": str(output)})


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole: it appears, or is replaced, in one instant.

    Args:
        path: Where.
        content: What.

    Raises:
        StorageError: The disk refused; what was there before is untouched.
    """
    _write_all([(path, content)])


def storage_error(error: OSError, path: Path) -> StorageError:
    """Give our error for one of the disk.

    Args:
        error: What the system said.
        path: The file that could not be written.
    """
    kind = DiskFull if error.errno in _FULL else NotWritable
    said = error.strerror or str(error)
    return kind(f"{path} can't be written: {said}.", evidence={"path": str(path), "errno": error.errno})


def _write_all(contents: Sequence[tuple[Path, bytes]]) -> None:
    written: list[tuple[Path, Path]] = []
    try:
        for path, content in contents:
            # In the same folder: only within one file system a rename is one instant.
            aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            written.append((aside, path))
            with _told(path):
                _write_through(aside, content)
        for aside, path in written:
            with _told(path):
                aside.replace(path)
    finally:
        for aside, _ in written:
            aside.unlink(missing_ok=True)


def _write_through(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error
