"""What the fuzzer calls: any bytes get a report, and what passes as a header the library reads too."""

from __future__ import annotations

import json
from collections.abc import Iterator

from safetensors import deserialize

from lorry.weights.catalogue import StructureFault
from lorry.weights.files.header import read_header
from lorry.weights.files.source import MemorySource
from lorry.weights.judging.context import Context
from lorry.weights.preflight import inspect
from tests.weights.broken_files import BROKEN, VARIANTS
from tests.weights.faulty_adapters import FAULTY
from tests.weights.files import build, kohya, noise, pair, raw

LONGEST = 8_192  # bytes of an input; every rule of a header fits into a few hundred
_WHOLE, _PARTS = b"w", b"p"
_BETWEEN = b"\0\0"  # between header and data, where the length is put in front by us


_ENDINGS = (
    "lora_A.weight", "lora_B.default.weight", "lora_up.weight", "down.weight", "alpha", "dora_scale",
    "lora_magnitude_vector", "lokr_w1_a", "lokr_w2", "hada_w1_a", "hada_w2_b", "oft_blocks", "diff",
    "lora_B.bias",
)  # fmt: skip


def content(data: bytes) -> bytes:
    """Make a file of an input: as it is, or with a length that fits its header.

    Args:
        data: One byte that says which of the two, then the bytes. A fuzzer hardly ever hits upon a header's
            true length by itself, and would see little of what lies behind it.
    """
    if data[:1] != _PARTS:
        return data[1:]
    header, _, rest = data[1:].partition(_BETWEEN)
    return raw(header, rest)


def check(data: bytes) -> None:
    """Check an input; whatever is raised is a fault of the code under test.

    Args:
        data: The input.
    """
    source = MemorySource("x.safetensors", content(data))
    try:
        header = read_header(source)
    except StructureFault:
        pass
    else:
        theirs = dict(deserialize(source.content))  # type: ignore[no-untyped-call]
        assert {tensor.name for tensor in header.tensors} == set(theirs)
    report = inspect(source, Context("x.safetensors", "x.safetensors"))
    json.dumps(report.as_dict(), allow_nan=False).encode()
    assert all(found.message.isprintable() and len(found.message) < 20_000 for found in report.findings)


def seeds() -> Iterator[bytes]:
    """Give the inputs to start from: a small file of each fault, and sound ones of several layouts."""
    layouts = [
        pair("transformer.transformer_blocks.0.attn.to_q", 8, 8),
        pair("diffusion_model.double_blocks.0.img_attn.qkv", 8, 24, dtype="BF16"),
        pair("base_model.model.model.layers.0.self_attn.q_proj", 8, 8, dtype="F16"),
        kohya("lora_unet_double_blocks_0_img_mlp_0", 8, 8),
    ]
    layouts.append(
        {
            f"{place}.{ending}": noise(2, 2)
            for place in (
                "transformer.transformer_blocks.0.attn.to_q",
                "lora_te2_x",
                "y.0.processor.qkv_lora1",
            )
            for ending in _ENDINGS
        }
    )
    files = [build(tensors, {"format": "pt", "lora_adapter_metadata": '{"r": 2}'}) for tensors in layouts]
    makers = (*BROKEN.values(), *FAULTY.values(), *(make for _, make in VARIANTS.values()))
    for made in (*files, *(make() for make in makers)):
        yield (_WHOLE + made)[:LONGEST]
        length = int.from_bytes(made[:8], "little")
        if 8 + length <= len(made):
            yield (_PARTS + made[8 : 8 + length] + _BETWEEN + made[8 + length :])[:LONGEST]
