"""Tell an archive from its first bytes, whatever it is called."""

from __future__ import annotations

from lorry.weights.files.magic import recognise
from lorry.weights.files.source import ByteSource
from lorry.weights.origins.tar import BLOCK, looks_like_tar


def archive_kind(source: ByteSource) -> str | None:
    """Tell `zip`, `gzip` or `tar` from a file's first bytes; `None` for everything else, also for pickles.

    Args:
        source: The file.
    """
    head = source.read(0, min(BLOCK, source.reach))
    if len(head) > 8 and head[4:8] == b"\0\0\0\0" and head[8:9] == b"{":
        return None  # safetensors, whatever its length's own bytes look like (files/magic.py)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        foreign = recognise(source)
        return None if foreign and foreign[0] == "pickle" else "zip"  # PyTorch's own files are zips too
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    return "tar" if looks_like_tar(head) else None
