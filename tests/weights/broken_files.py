"""One broken file for each code that is about bytes, header or layout of the data."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable

from tests.weights.files import Made, build, edited, icons, noise, raw

_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 171969400\n"
_PAGE = b"<!DOCTYPE html><html><head><title>Sign in \xe2\x80\x93 Hub</title></head></html>"
_XML = b'<?xml version="1.0"?><Error><Code>ExpiredToken</Code></Error>'
_TWO = {"a.lora_A.weight": noise(2, 4), "a.lora_B.weight": noise(4, 2)}


_EMPTY = b'{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'


def _first(header: dict[str, dict[str, object]]) -> dict[str, object]:
    return header["a.lora_A.weight"]


def _header_twice() -> bytes:
    row = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    return raw(f'{{"a.lora_A.weight":{row},"a.lora_A.weight":{row}}}'.encode(), bytes(4))


def _shifted(header: dict[str, dict[str, list[int]]], by: int) -> None:
    row = header["a.lora_B.weight"]
    row["data_offsets"] = [offset + by for offset in row["data_offsets"]]


#: Code → the content of a file that has this fault and no worse one.
BROKEN: dict[str, Callable[[], bytes]] = {
    "FILE_EMPTY": lambda: b"",
    "FILE_LFS_POINTER": lambda: _POINTER,
    "FILE_HTML": lambda: _PAGE,
    "FILE_XML_ERROR": lambda: _XML,
    "FILE_JSON_ERROR": lambda: b'{"error": "Repository not found"}',
    "FILE_TEXT": lambda: b"Dear reader,\nthese are no weights.\n",
    "FILE_PICKLE": lambda: b"\x80\x02}q\x00X\x04\x00\x00\x00loraq\x01K\x01s.",
    "FILE_ARCHIVE": lambda: b"\x1f\x8b\x08\x00" + bytes(range(60)),
    "FILE_GGUF": lambda: b"GGUF\x03\x00\x00\x00" + bytes(range(40)),
    "FILE_IMAGE": lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(40)),
    "FILE_ZEROS": lambda: bytes(10_000),
    "HDR_TRUNCATED": lambda: build(icons())[:500],
    "HDR_TOO_LARGE": lambda: b"\x00\x01\x02\x03\x04\x05\x06\x07" + bytes(range(40)),
    "HDR_OVERSIZED": lambda: raw(b'{"a":[' + b"[]," * 1_500_000 + b"[]]}"),
    "HDR_UTF8": lambda: raw(b'{"\xff\xfe":1}'),
    "HDR_JSON": lambda: raw(b'{"a.lora_A.weight" {}}'),
    "HDR_DUPLICATE_KEY": _header_twice,
    "META_NOT_STRING": lambda: build(_TWO, {"step": 400}),
    "TENSOR_FIELDS": lambda: edited(_TWO, lambda header: _first(header).pop("shape")),
    "TENSOR_DTYPE": lambda: edited(_TWO, lambda header: _first(header).update(dtype="FP8")),
    "TENSOR_SIZE": lambda: edited(_TWO, lambda header: _first(header).update(shape=[2, 5])),
    "TENSOR_OFFSET": lambda: edited(_TWO, lambda header: _shifted(header, 4)) + bytes(4),
    "TENSOR_OVERLAP": lambda: edited(_TWO, lambda header: _shifted(header, -4)),
    "DATA_TRUNCATED": lambda: build(icons())[:-1],
    "DATA_TRAILING": lambda: build(icons()) + b"\n",
    "LORA_NO_TENSORS": lambda: build({}),
    "LORA_NONE": lambda: build({"emb_params": noise(4, 768)}),
}

#: Other faults of the same kinds, from the dossier's list of 93 files (LoRA formats, section 2.2).
VARIANTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "one byte": ("HDR_TRUNCATED", lambda: b"\x10"),
    "only the length": ("HDR_TRUNCATED", lambda: struct.pack("<Q", 40)),
    "length of zero": ("HDR_JSON", lambda: raw(b"") + b"x"),
    "length 2^64-1": ("HDR_TOO_LARGE", lambda: b"\xff" * 8 + bytes(range(40))),
    "length one over the limit": ("HDR_TOO_LARGE", lambda: raw(b"{}", length=100_000_001)),
    "length a bit short": ("HDR_JSON", lambda: raw(b'{"a": [1]}', length=7)),
    "header above what is read": ("HDR_OVERSIZED", lambda: raw(b"{}".ljust(25_000_001))),
    "short, and wide in memory": (
        "HDR_OVERSIZED",
        lambda: raw(b'{"__metadata__":{"a":"\\ud83d\\ude00' + b"x" * 20_000_000 + b'"}}'),
    ),
    "array": ("HDR_JSON", lambda: raw(b"[]")),
    "nested without end": ("HDR_JSON", lambda: raw(b'{"a":' * 100_000)),
    "nested deeper than any reader follows": (
        "HDR_JSON",
        lambda: edited(_TWO, lambda h: _first(h).update(x=json.loads("[" * 126 + "]" * 126))),
    ),
    "half a letter in a name": ("HDR_JSON", lambda: raw(b'{"a\\ud800":' + _EMPTY + b"}")),
    "half a letter in the metadata": ("HDR_JSON", lambda: raw(b'{"__metadata__":{"a":"\\udc00"}}')),
    "minus zero": ("HDR_JSON", lambda: raw(b'{"a":' + _EMPTY.replace(b"[0]", b"[-0]") + b"}")),
    "a number beyond all floats": ("HDR_JSON", lambda: raw(b'{"a":' + _EMPTY[:-1] + b',"x":1e999}}')),
    "a field named twice": ("HDR_DUPLICATE_KEY", lambda: raw(b'{"a":' + _EMPTY[:-1] + b',"shape":[0]}}')),
    "metadata named twice": (
        "HDR_DUPLICATE_KEY",
        lambda: raw(b'{"__metadata__":{"a":"1","a":"2"},"b":' + _EMPTY + b"}"),
    ),
    "a duplicate behind escapes": (
        "HDR_DUPLICATE_KEY",
        lambda: raw(b'{"a\\u003a":' + _EMPTY + b',"a:":' + _EMPTY + b"}"),
    ),
    "a name that ends a duplicate's count": (
        "HDR_DUPLICATE_KEY",
        lambda: raw(
            b'{"a":' + _EMPTY + b',"a":' + _EMPTY + b',"b\\u003a\\u003A\\u003a\\u003a":' + _EMPTY + b"}"
        ),
    ),
    "a constant that is no JSON": ("HDR_JSON", lambda: raw(b'{"a": NaN}')),
    "a number of 5000 digits": ("HDR_JSON", lambda: raw(b'{"a": ' + b"9" * 5000 + b"}")),
    "entry is null": ("TENSOR_FIELDS", lambda: raw(b'{"a": null}')),
    "negative dimension": ("TENSOR_FIELDS", lambda: edited(_TWO, lambda h: _first(h).update(shape=[-2, 4]))),
    "float dimension": ("TENSOR_FIELDS", lambda: edited(_TWO, lambda h: _first(h).update(shape=[2.0, 4]))),
    "true as a dimension": (
        "TENSOR_FIELDS",
        lambda: edited(_TWO, lambda h: _first(h).update(shape=[True, 8])),
    ),
    "one offset": ("TENSOR_FIELDS", lambda: edited(_TWO, lambda h: _first(h).update(data_offsets=[0]))),
    "a shape of a hundred thousand dimensions": (
        "TENSOR_SIZE",
        lambda: edited(_TWO, lambda h: _first(h).update(shape=[2**62] * 100_000)),
    ),
    "a product that overflows before it is zero": (
        "TENSOR_SIZE",
        lambda: raw(b'{"a":' + _EMPTY.replace(b"[0]", b"[4611686018427387904,4,0]") + b"}"),
    ),
    "no bytes inside another tensor": (
        "TENSOR_OVERLAP",
        lambda: edited(_TWO, lambda h: h.update(c={"dtype": "U8", "shape": [0], "data_offsets": [4, 4]})),
    ),
    "an offset beyond all files": (
        "TENSOR_FIELDS",
        lambda: raw(b'{"a":' + _EMPTY.replace(b"[0,0]", b"[0,9223372036854775808]") + b"}"),
    ),
    "shape overflow": ("TENSOR_SIZE", lambda: edited(_TWO, lambda h: _first(h).update(shape=[2**62] * 900))),
    "overflow, and end before begin": (  # -1 for "no count" once passed for the -1 bytes between the two
        "TENSOR_SIZE",
        lambda: raw(b'{"a":{"dtype":"U8","shape":[4611686018427387904,4,0],"data_offsets":[1,0]}}'),
    ),
    "end before begin": (
        "TENSOR_SIZE",
        lambda: edited(_TWO, lambda h: _first(h).update(data_offsets=[32, 0])),
    ),
    "lower-case type": ("TENSOR_DTYPE", lambda: edited(_TWO, lambda h: _first(h).update(dtype="f32"))),
    "metadata is a list": ("META_NOT_STRING", lambda: build(_TWO, ["format", "pt"])),
    "nested metadata": ("META_NOT_STRING", lambda: build(_TWO, {"format": {"a": "b"}})),
    "four kilobytes behind": ("DATA_TRAILING", lambda: build(icons()) + bytes(4096)),
    "half": ("DATA_TRUNCATED", lambda: build(icons())[: len(build(icons())) // 2]),
    "torch zip": ("FILE_PICKLE", lambda: b"PK\x03\x04" + bytes(26) + b"archive/data.pkl" + bytes(99)),
    "zip": ("FILE_ARCHIVE", lambda: b"PK\x03\x04" + bytes(26) + b"lora.safetensors" + bytes(99)),
    "tar": (
        "FILE_ARCHIVE",
        lambda: b"output/lora.safetensors".ljust(257, b"\0") + b"ustar\x0000".ljust(255, b"\0"),
    ),
    "text behind a byte order mark": ("FILE_TEXT", lambda: b"\xef\xbb\xbfweights to come"),
    "WebP": ("FILE_IMAGE", lambda: b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(range(30))),
    "JSON with a message inside": (
        "FILE_JSON_ERROR",
        lambda: json.dumps({"error": {"message": "gone"}}, indent=1).encode(),
    ),
    "odd count of 4-bit numbers": (
        "TENSOR_SIZE",
        lambda: build({"a.lora_A.weight": Made("F4", (1, 3), b"ab")}),
    ),
}
