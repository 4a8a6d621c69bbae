"""What a file is when it is not safetensors, told from its first bytes (LoRA formats dossier, section 2.4).

safetensors answers "header too large" to every one of these; the true cause is in the bytes.
"""

from __future__ import annotations

import json
import re

from lorry.model.report import Finding
from lorry.weights.catalogue import finding
from lorry.weights.files.source import ByteSource

_HEAD = 4096
_ARCHIVES = {
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
}
_PICTURES = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF"}


def recognise(source: ByteSource) -> tuple[str, Finding] | None:
    """Tell what a file is when its first bytes are not those of a safetensors file.

    Args:
        source: The file.

    Returns:
        The format's name and the finding, or `None` when it may be safetensors.
    """
    if source.size == 0:
        return "empty", finding("FILE_EMPTY", f"{source.name} is empty (0 bytes).", size=0)
    head = source.read(0, _HEAD)
    # A header length below 2^32 and `{` behind it is safetensors, even where the length's own bytes
    # happen to be those of a pickle (80 02) or of gzip (1f 8b).
    if len(head) > 8 and head[4:8] == b"\0\0\0\0" and head[8:9] == b"{":
        return None
    for look in (_pointer, _page, _answer, _pickle, _archive, _other_format, _zeros, _text):
        found = look(source, head)
        if found:
            return found
    return None


def _pointer(source: ByteSource, head: bytes) -> tuple[str, Finding] | None:
    if not head.startswith(b"version https://git-lfs"):
        return None
    told = re.search(rb"^size (\d{1,18})$", head, re.MULTILINE)
    true_size = int(told[1]) if told else None
    rest = f" The real file has {true_size:,} bytes." if true_size is not None else ""
    message = f"{source.name} is a Git LFS pointer of {source.size} bytes, not weights.{rest}"
    return "lfs-pointer", finding("FILE_LFS_POINTER", message, size=source.size, true_size=true_size)


def _page(source: ByteSource, head: bytes) -> tuple[str, Finding] | None:
    text = _stripped(head).lower()
    if text.startswith((b"<!doc", b"<html", b"<head", b"<body")):
        title = re.search(rb"<title[^>]*>(.*?)</title", _stripped(head), re.IGNORECASE | re.DOTALL)
        named = _decoded(title[1]) if title else ""
        message = (
            f"{source.name} is a web page{f' ({named})' if named else ''}, saved under the weights' name."
        )
        return "html", finding("FILE_HTML", message, title=named)
    if text.startswith((b"<?xml", b"<error")):
        code = re.search(rb"<Code>(.*?)</Code>", head, re.DOTALL)
        named = _decoded(code[1]) if code else ""
        message = f"{source.name} is an XML answer of a server{f' ({named})' if named else ''}, not weights."
        return "xml", finding("FILE_XML_ERROR", message, answer=named)
    return None


def _answer(source: ByteSource, head: bytes) -> tuple[str, Finding] | None:
    if not _stripped(head).startswith((b'{"', b"{\n", b"{}", b"[")) or not _is_text(head):
        return None
    said = ""
    try:
        document = json.loads(_stripped(head))
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        told = document.get("error") or document.get("message") or document.get("detail") or ""
        said = _decoded(str(told.get("message", "") if isinstance(told, dict) else told).encode())
    message = f"{source.name} is a JSON answer of a server{f' ({said})' if said else ''}, not weights."
    return "json", finding("FILE_JSON_ERROR", message, answer=said)


def _pickle(source: ByteSource, head: bytes) -> tuple[str, Finding] | None:
    torch_zip = head.startswith(b"PK\x03\x04") and b"data.pkl" in head
    bare = len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5
    if not torch_zip and not bare:
        return None
    message = (
        f"{source.name} is a PyTorch pickle ({'zip' if torch_zip else 'bare'}), which Lorry never opens."
    )
    return "pickle", finding("FILE_PICKLE", message, kind="zip" if torch_zip else "bare")


def _archive(source: ByteSource, head: bytes) -> tuple[str, Finding] | None:
    kinds = [name for magic, name in _ARCHIVES.items() if head.startswith(magic)]
    if head[257:262] == b"ustar":
        kinds.append("a tar archive")
    if not kinds:
        return None
    return "archive", finding("FILE_ARCHIVE", f"{source.name} is {kinds[0]}, not weights.", kind=kinds[0])


def _other_format(source: ByteSource, head: bytes) -> tuple[str, Finding] | None:
    if head.startswith(b"GGUF"):
        return "gguf", finding("FILE_GGUF", f"{source.name} is a GGUF file, not safetensors.")
    kinds = [name for magic, name in _PICTURES.items() if head.startswith(magic)]
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        kinds.append("WebP")
    if not kinds:
        return None
    return "image", finding(
        "FILE_IMAGE", f"{source.name} is a {kinds[0]} picture, not weights.", kind=kinds[0]
    )


def _zeros(source: ByteSource, head: bytes) -> tuple[str, Finding] | None:
    if head.strip(b"\0"):
        return None
    message = f"{source.name} has {source.size:,} bytes and begins with {len(head):,} zeros."
    return "zeros", finding("FILE_ZEROS", message, size=source.size)


def _text(source: ByteSource, head: bytes) -> tuple[str, Finding] | None:
    if not _is_text(head):
        return None
    # Not quoted: a file named by mistake may hold keys, and reports are logged.
    return "text", finding("FILE_TEXT", f"{source.name} is plain text of {source.size:,} bytes.")


def _is_text(head: bytes) -> bool:
    return len(head) >= 8 and all(byte >= 32 or byte in b"\t\n\r\f" for byte in head)


def _stripped(head: bytes) -> bytes:
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()


def _decoded(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())[:80]
