"""The field's own libraries load what was converted, and compute with it what the source means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lorry.weights.bases.families import Family, families, family, layer_names
from lorry.weights.bases.names import to_diffusers
from lorry.weights.convert.conversion import convert
from lorry.weights.convert.options import Options
from tests.weights.convert.deltas import KOHYA, Doubles, as_json, pair, random, read, save
from tests.weights.files import ICON_LAYERS, Tensors, joined

# The libraries warn on import and about what we don't have.
pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]

BASE = Path(__file__).parents[3] / "src" / "lorry" / "engine" / "base_model" / "transformer"
SPELLINGS = {
    "lycoris_": (KOHYA, True),
    "lora_transformer_": (KOHYA, True),
    "lora_unet_": (KOHYA, True),
    "base_model.model.": (("lora_A", "lora_B"), False),
    "diffusion_model.": (("lora_A", "lora_B"), False),
    "": (("lora_A", "lora_B"), False),
}


def _without_extra() -> None:
    for name in ("torch", "diffusers", "peft", "transformers"):
        pytest.importorskip(name, reason="needs the extra `diffusers`")


def _spelled(prefix: str, alpha: float | None) -> tuple[Tensors, dict[str, str]]:
    """Make a LoRA for the embedded base, a real Flux transformer, and say which key each layer has."""
    words, flat = SPELLINGS[prefix]
    keys = {name: prefix + (name.replace(".", "_") if flat else name) for name, _, _ in ICON_LAYERS}
    return joined(
        pair(keys[name], inputs, outputs, alpha=alpha, words=words, seed=place)
        for place, (name, inputs, outputs) in enumerate(ICON_LAYERS)
    ), keys


def _output(model: Any) -> Doubles:
    """Run the transformer once on fixed inputs."""
    import torch

    config = model.config
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int) -> Any:
        return torch.randn(shape, generator=generator)

    with torch.no_grad():
        found = model(
            hidden_states=random(1, 16, config.in_channels),
            encoder_hidden_states=random(1, 5, config.joint_attention_dim),
            pooled_projections=random(1, config.pooled_projection_dim),
            timestep=torch.tensor([0.5]),
            img_ids=torch.zeros(16, 3),
            txt_ids=torch.zeros(5, 3),
            return_dict=False,
        )[0]
    return np.asarray(found.numpy(), np.float64)


@pytest.mark.parametrize("prefix", SPELLINGS)
def test_a_converted_file_acts_as_the_source_means(tmp_path: Path, prefix: str) -> None:
    """Loaded by diffusers, the result changes a real Flux as adding scale · B · A to its weights does."""
    _without_extra()
    import torch
    from diffusers import FluxTransformer2DModel

    tensors, keys = _spelled(prefix, 3.0)
    source = save(tmp_path / "x.safetensors", tensors)
    before, _ = read(source)
    done = convert(source, tmp_path / "out", Options(base="flux-icons-64"))
    words, _ = SPELLINGS[prefix]

    merged = FluxTransformer2DModel.from_pretrained(BASE)
    plain = _output(merged)
    for name, key in keys.items():
        down, up = (before[f"{key}.{word}.weight"] for word in words)
        layer = merged.get_submodule(name)
        with torch.no_grad():
            layer.weight += torch.tensor(3.0 / down.shape[0] * (up @ down), dtype=layer.weight.dtype)
    wanted = _output(merged)

    loaded = FluxTransformer2DModel.from_pretrained(BASE)
    loaded.load_lora_adapter(str(done.file.parent), weight_name=done.file.name, prefix="transformer")
    found = _output(loaded)
    assert np.abs(wanted - plain).max() > 1e-2
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


def _full(known: Family, weights: Mapping[str, tuple[int, ...]]) -> Tensors:
    """Make a LoRA of rank 1 on every layer of a family, in ComfyUI's words with the original names."""
    sizes = {name: (inputs, outputs) for name, inputs, outputs in layer_names(known)}
    names = [name for template in known.native for name in _expanded(template) if ".processor." not in name]
    reached = {target.name for name in names for target in to_diffusers(known, name, False)}
    names += [name for name in sizes if name not in reached]
    tensors: Tensors = {}
    for place, name in enumerate(names):
        targets = to_diffusers(known, name, False)
        key, inputs = f"diffusion_model.{name}", sizes[targets[0].name][0]
        kernel = weights.get(targets[0].name, ())[2:]  # a convolution's
        ones = (1,) * len(kernel)
        tensors[f"{key}.lora_A.weight"] = random(1, inputs, *kernel, seed=place % 7, dtype="BF16")
        tensors[f"{key}.lora_B.weight"] = random(targets[-1].last, 1, *ones, seed=place % 5, dtype="BF16")
    return tensors


def _expanded(template: str) -> list[str]:
    found = re.search(r"\[(\d+)-(\d+)\]", template)
    if not found:
        return [template]
    low, high = int(found[1]), int(found[2])
    return [
        name
        for number in range(low, high + 1)
        for name in _expanded(f"{template[: found.start()]}{number}{template[found.end() :]}")
    ]


#: The families of pictures and videos; every other one is tried, as tests/ground_truth loads files of all.
DRAWS = [each.key for each in families() if each.modality != "text" and each.model]


@pytest.mark.slow
@pytest.mark.parametrize("key", DRAWS[::2])
def test_a_full_file_of_each_family_injects_every_layer(tmp_path: Path, key: str) -> None:
    """The result changes every layer of the full-shape model that it has, and no other."""
    _without_extra()
    from tools.ground_truth.real import RealLoader

    known = family(key)
    assert known is not None
    real = RealLoader(known)
    source = save(tmp_path / "x.safetensors", _full(known, real.model))
    done = convert(source, tmp_path / "out", Options(base=key))
    after, metadata = read(done.file)
    linear = {name.removeprefix(f"{known.component}.").partition(".lora_")[0] for name in after}
    loaded = real.load({name: tuple(values.shape) for name, values in after.items()}, metadata)
    assert loaded.error is None
    assert not loaded.random
    assert loaded.layers == linear
    assert len(linear) == done.layers


def test_peft_loads_the_folder_with_the_strength_of_the_source(tmp_path: Path) -> None:
    """PEFT's own loading of a converted folder changes a tiny Llama by scale · B · A, layer by layer."""
    _without_extra()
    import torch
    from peft import PeftModel
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=64,
    )
    layers = [(f"layers.{n}.self_attn.{w}_proj", 32, 32 if w == "q" else 16) for n in (0, 1) for w in "qv"]
    tensors = joined(
        pair(name, inputs, outputs, rank=2 + place % 2, seed=place)
        for place, (name, inputs, outputs) in enumerate(layers)
    )  # no prefix, and the inner `model.` is missing: PEFT would apply nothing
    source = save(tmp_path / "in" / "adapter_model.safetensors", tensors)
    before, _ = read(source)
    convert(source, tmp_path / "out", Options(alpha=5.0, base="acme/tiny-llama"))
    assert as_json(tmp_path / "out" / "adapter_config.json")["base_model_name_or_path"] == "acme/tiny-llama"

    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    plain = {name: values.clone() for name, values in model.state_dict().items()}
    merged = PeftModel.from_pretrained(model, str(tmp_path / "out")).merge_and_unload().state_dict()
    for name, _, _ in layers:
        down, up = (before[f"{name}.lora_{word}.weight"] for word in "AB")
        wanted = 5.0 / down.shape[0] * (up @ down)
        found = (merged[f"model.{name}.weight"] - plain[f"model.{name}.weight"]).numpy()
        assert np.abs(found - wanted).max() < 1e-6
