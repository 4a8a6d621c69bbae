"""What is foretold of ComfyUI is what its source says: which names it looks for, family by family.

The names are those of `model_lora_keys_unet` in comfy/lora.py, read at the commits that the table names;
nothing of ComfyUI is executed here. A file is spelled in full, and the layers that are found are counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from lorry.model.verdict import Outcome, Prediction
from lorry.weights.adapter.modules import read_adapter
from lorry.weights.bases.families import Family, families, layer_names
from lorry.weights.bases.identify import fit_to
from lorry.weights.files.header import read_header
from lorry.weights.files.source import FileSource
from lorry.weights.loaders.predict import predict

PICTURES = [known for known in families() if known.modality != "text" and known.key != "flux-icons-64"]
EACH = pytest.mark.parametrize("known", PICTURES, ids=lambda known: str(known.key))
BY_KEY = {known.key: known for known in PICTURES}


def foretold(
    folder: Path,
    known: Family,
    names: Iterable[str],
    suffixes: tuple[str, str] = (".lora_A.weight", ".lora_B.weight"),
    metadata: dict[str, str] | None = None,
) -> Prediction:
    """Write a header for a LoRA of rank 1 on all layers under the names given, and foretell ComfyUI."""
    end, header = 0, dict[str, object]({"__metadata__": metadata or {}})
    for name, (_, inputs, outputs) in zip(names, layer_names(known), strict=True):
        for suffix, shape in zip(suffixes, ([1, inputs], [outputs, 1]), strict=True):
            size = 4 * shape[0] * shape[1]
            header[name + suffix] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
            end += size
    text = json.dumps(header).encode()
    path = folder / "lora.safetensors"
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)  # a hole: only the header is read
    with FileSource(path) as source:
        read = read_header(source)
        adapter = read_adapter(read)
        return predict(adapter, fit_to(adapter, known), "comfyui", read.metadata)


def dotted(known: Family, prefix: str) -> list[str]:
    """Spell all layers with their diffusers names behind a prefix."""
    return [f"{prefix}{name}" for name, _, _ in layer_names(known)]


def flat(known: Family, prefix: str) -> list[str]:
    """Spell them with underscores."""
    return [prefix + name.replace(".", "_") for name, _, _ in layer_names(known)]


@pytest.mark.parametrize(
    ("key", "prefix", "outcome"),
    [
        ("flux1", "transformer.", Outcome.OK),
        ("flux1", "", Outcome.OK),
        ("flux1", "diffusion_model.", Outcome.IGNORED),
        ("flux1", "base_model.model.", Outcome.IGNORED),
        ("sd3-medium", "transformer.", Outcome.OK),
        ("sd3-medium", "base_model.model.", Outcome.OK),
        ("sd3-medium", "", Outcome.IGNORED),
        ("qwen-image", "diffusion_model.", Outcome.OK),
        ("qwen-image", "transformer.", Outcome.OK),
        ("qwen-image", "", Outcome.OK),
        ("qwen-image", "base_model.model.", Outcome.IGNORED),
        ("z-image", "diffusion_model.", Outcome.OK),
        ("z-image", "transformer.", Outcome.OK),
        ("wan-14b", "transformer.", Outcome.IGNORED),
        ("wan-14b", "", Outcome.IGNORED),
        ("ltx-2b", "transformer.", Outcome.IGNORED),
    ],
)
def test_dotted_diffusers_names_are_found_where_the_source_maps_them(
    tmp_path: Path, key: str, prefix: str, outcome: Outcome
) -> None:
    """Each family maps other prefixes; what it does not map is logged and left out."""
    found = foretold(tmp_path, BY_KEY[key], dotted(BY_KEY[key], prefix))
    assert found.outcome is outcome
    assert found.modules == (found.expected if outcome is Outcome.OK else 0)


@pytest.mark.parametrize(
    ("key", "prefix", "outcome"),
    [
        ("flux1", "lora_transformer_", Outcome.OK),
        ("flux1", "lycoris_", Outcome.OK),
        ("flux1", "lora_unet_", Outcome.IGNORED),
        ("sdxl", "lora_unet_", Outcome.OK),
        ("sdxl", "lycoris_", Outcome.OK),
        ("sd3-medium", "lycoris_", Outcome.OK),
        ("qwen-image", "lora_unet_", Outcome.OK),
        ("wan-14b", "lora_unet_", Outcome.IGNORED),
    ],
)
def test_flat_diffusers_names_are_found_where_the_source_maps_them(
    tmp_path: Path, key: str, prefix: str, outcome: Outcome
) -> None:
    """The same with underscores: `lora_unet_` has the model's own names, except for U-Nets."""
    names = flat(BY_KEY[key], prefix)
    found = foretold(tmp_path, BY_KEY[key], names, (".lora_down.weight", ".lora_up.weight"))
    assert found.outcome is outcome


def test_flux2_leaves_out_what_its_map_lacks(tmp_path: Path) -> None:
    """The embedders of time and guidance and the modulations have no diffusers names in the map."""
    known = BY_KEY["flux2-dev"]
    found = foretold(tmp_path, known, dotted(known, "transformer."))
    absent = ("time_guidance_embed.", "double_stream_modulation_", "single_stream_modulation.")
    named = [name for name, _, _ in layer_names(known) if not name.startswith(absent)]
    assert (found.outcome, found.modules) == (Outcome.PARTIAL, len(named))


def test_a_unet_in_pefts_words_loses_its_attention(tmp_path: Path) -> None:
    """The map has `attn1.processor.to_q` for old diffusers, and nothing for `attn1.to_q`."""
    known = BY_KEY["sdxl"]
    found = foretold(tmp_path, known, dotted(known, "unet."))
    attention = sum(".to_" in name for name, _, _ in layer_names(known))
    assert (found.outcome, found.modules) == (Outcome.PARTIAL, found.expected - attention)


@EACH
def test_a_doubled_prefix_changes_nothing(tmp_path: Path, known: Family) -> None:
    """Names behind a prefix that no map has are logged, and the picture is the base model's."""
    found = foretold(tmp_path, known, dotted(known, "transformer.base_model.model."))
    assert (found.outcome, found.modules) == (Outcome.IGNORED, 0)


@pytest.mark.parametrize("stated", [True, False])
def test_the_strength_in_the_header_is_not_read(tmp_path: Path, stated: bool) -> None:
    """ComfyUI reads alpha tensors alone: a LoraConfig in the header is as if it were not there."""
    known = BY_KEY["flux1"]
    config = {"lora_adapter_metadata": json.dumps({"transformer.r": 1, "transformer.lora_alpha": 4})}
    metadata = config if stated else {}
    found = foretold(tmp_path, known, dotted(known, "transformer."), metadata=metadata)
    assert found.outcome is (Outcome.ALPHA_DROPPED if stated else Outcome.OK)
