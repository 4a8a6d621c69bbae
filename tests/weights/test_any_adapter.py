"""Any file that is sound as safetensors gets a report, whatever its tensors are called and shaped like."""

from __future__ import annotations

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from lorry.weights.files.header import BITS
from tests.weights.files import raw
from tests.weights.test_codes import report_on

_PREFIX = st.sampled_from(
    [
        "",
        "transformer.",
        "unet.",
        "diffusion_model.",
        "lora_unet_",
        "lora_te2_",
        "lycoris_",
        "base_model.model.",
        "text_encoder.",
        "bundle_emb.",
        "transformer.base_model.model.",
    ]
)
_MODULE = st.sampled_from(
    [
        "transformer_blocks.0.attn.to_q",
        "single_transformer_blocks.5.proj_out",
        "double_blocks_3_img_mlp_0",
        "double_blocks.0.processor.qkv_lora1",
        "x_embedder",
        "transformer_blocks.99.attn.to_q",
        "layers.0",
        "",
        "é.1",
        "\x1b[31m",
    ]
)
_SUFFIX = st.sampled_from(
    [
        ".lora_A.weight",
        ".lora_B.weight",
        ".lora_down.weight",
        ".lora_up.weight",
        ".lora_mid.weight",
        ".alpha",
        ".lora_A.default.weight",
        ".lora_B.default_0.weight",
        ".dora_scale",
        ".lora_magnitude_vector",
        ".lokr_w1",
        ".lokr_w2_a",
        ".lokr_w2_b",
        ".hada_w1_a",
        ".hada_w1_b",
        ".diff",
        ".lora_B.bias",
        ".weight",
        ".oft_blocks",
        "",
    ]
)
_SHAPE = st.lists(st.sampled_from([0, 1, 2, 8, 64, 256]), max_size=3)
_TENSORS = st.dictionaries(
    st.builds("{}{}{}".format, _PREFIX, _MODULE, _SUFFIX),
    st.tuples(st.sampled_from(sorted(BITS)), _SHAPE),
    max_size=9,
)
_METADATA = st.dictionaries(
    st.sampled_from(
        ["lora_adapter_metadata", "modelspec.architecture", "ss_tag_frequency", "trained_words", "note"]
    ),
    st.sampled_from(
        [
            "",
            "null",
            "[1]",
            '{"transformer.r": "x"}',
            '{"transformer.r": 2, "transformer.rank_pattern": {"a": []}}',
            '{"r": null, "lora_alpha": "much"}',
            '{"1_x": [3]}',
            "flux-1-dev/lora",
            "C:/Users/ann/x",
            "\x00",
            '{"transformer.r": NaN}',
        ]
    ),
)


@settings(max_examples=250, deadline=None)
@given(
    _TENSORS,
    _METADATA,
    st.binary(min_size=1, max_size=7),
    st.sampled_from([None, "flux1", "lorry/flux-icons-64"]),
)
def test_any_sound_file_gets_a_report(
    tensors: dict[str, tuple[str, list[int]]], metadata: dict[str, str], filling: bytes, base: str | None
) -> None:
    """No names, shapes, types, numbers or metadata break the check; its report is JSON that prints safely."""
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name, (dtype, shape) in tensors.items():
        bits = math.prod(shape) * BITS[dtype]
        if bits % 8 == 0 and bits < 8 * 2_000_000:
            begin, end = end, end + bits // 8
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    data = (filling * (end // len(filling) + 1))[:end]
    report = report_on(raw(json.dumps(header).encode(), data), base=base)
    assert report.summary.digest is not None
    json.dumps(report.as_dict(), allow_nan=False, ensure_ascii=False).encode()
    assert all(found.message.isprintable() for found in report.findings)
