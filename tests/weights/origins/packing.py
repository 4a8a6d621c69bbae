"""Archives for tests, sound and hostile."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping


def tar(files: Mapping[str, bytes], *, form: int = tarfile.PAX_FORMAT) -> bytes:
    """Pack plain files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def odd_tar(*members: tuple[str, bytes, str]) -> bytes:
    """Pack entries of any kind: name, type and what it links to."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    return made.getvalue()


def tgz(files: Mapping[str, bytes]) -> bytes:
    """Pack plain files and compress them."""
    return gzip.compress(tar(files), 1)


def zipped(files: Mapping[str, bytes], *, method: int = zipfile.ZIP_STORED) -> bytes:
    """Pack plain files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def deflated(files: Mapping[str, bytes]) -> bytes:
    """Pack plain files and compress each."""
    return zipped(files, method=zipfile.ZIP_DEFLATED)


def odd_zip(*members: tuple[str, int]) -> bytes:
    """Pack empty entries with the file modes of any system."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, mode in members:
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.external_attr = mode << 16
            archive.writestr(info, b"")
    return made.getvalue()
