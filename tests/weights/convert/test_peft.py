"""Adapters for language models: names straightened, the configuration written from the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lorry.errors import ConversionRefused
from lorry.weights.convert.conversion import convert
from lorry.weights.convert.options import Layout, Options
from lorry.weights.convert.peft_file import Layer, adapter_config
from tests.weights.convert.deltas import as_json, close, pair, random, read, save, seen
from tests.weights.convert.running import rerun
from tests.weights.files import Tensors, joined

INNER = "model.layers.{}.self_attn.{}_proj"
#: Layers of a Llama 3.1 8B: q and v of two blocks.
LAYERS = [(INNER.format(n, w), 4096, 4096 if w == "q" else 1024) for n in (0, 1) for w in ("q", "v")]


def adapter(prefix: str, *, ranks: tuple[int, ...] = (4, 4, 4, 4), head: str = "model.") -> Tensors:
    """Make an adapter with a prefix, and another head of its names."""
    return joined(
        pair(prefix + name.replace("model.", head, 1), inputs, outputs, rank=rank, seed=place)
        for place, ((name, inputs, outputs), rank) in enumerate(zip(LAYERS, ranks, strict=True))
    )


def beside(folder: Path, **fields: Any) -> None:
    """Write an adapter_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(fields), encoding="utf-8")


def changed(found: dict[str, Any], name: str) -> float:
    """Look a module's strength up in a configuration, as peft does."""
    rank = found["rank_pattern"].get(name, found["r"])
    alpha = found["alpha_pattern"].get(name, found["lora_alpha"])
    return float(alpha / (rank**0.5 if found["use_rslora"] else rank))


@pytest.mark.parametrize(
    ("prefix", "head"),
    [
        ("base_model.model.", "model."),
        ("", "model."),
        ("base_model.model.base_model.model.", "model."),
        ("base_model.model.", ""),
        ("", ""),
    ],
)
def test_names_get_the_prefix_once(tmp_path: Path, prefix: str, head: str) -> None:
    """A missing or doubled prefix and a missing inner `model.`, which PEFT ignores silently, are mended."""
    tensors = adapter(prefix, head=head)
    source = save(tmp_path / "in" / "adapter_model.safetensors", tensors)
    beside(tmp_path / "in", peft_type="LORA", r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
    before, _ = read(source)
    done, after = rerun(tmp_path / "in", tmp_path / "out")
    assert done.layout is Layout.PEFT
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    for name, _, _ in LAYERS:
        old = prefix + name.replace("model.", head, 1)
        assert close(seen(before, old), seen(after, f"base_model.model.{name}"), 0.0)
    config = as_json(tmp_path / "out" / "adapter_config.json")
    assert (config["r"], config["lora_alpha"]) == (4, 8)
    assert config["target_modules"] == ["q_proj", "v_proj"]


def test_a_configuration_is_written_from_the_shapes(tmp_path: Path) -> None:
    """Without one, ranks and layers are read from the tensors; alpha has to be said."""
    save(tmp_path / "in" / "adapter_model.safetensors", adapter("base_model.model.", ranks=(4, 4, 4, 8)))
    with pytest.raises(ConversionRefused, match="states alpha") as refused:
        convert(tmp_path / "in", tmp_path / "out")
    assert "--alpha" in refused.value.fix
    options = Options(alpha=16.0, base="meta-llama/Llama-3.1-8B-Instruct")
    convert(tmp_path / "in", tmp_path / "out", options)
    config = as_json(tmp_path / "out" / "adapter_config.json")
    assert config["base_model_name_or_path"] == "meta-llama/Llama-3.1-8B-Instruct"
    assert (config["peft_type"], config["task_type"]) == ("LORA", "CAUSAL_LM")
    assert config["target_modules"] == ["q_proj", "v_proj"]
    assert config["rank_pattern"] == {"model.layers.1.self_attn.v_proj": 8}
    assert [changed(config, name) for name, _, _ in LAYERS] == [4.0, 4.0, 4.0, 2.0]


def test_a_wrong_configuration_is_corrected_and_the_rest_stays(tmp_path: Path) -> None:
    """A rank that the tensors contradict and unknown fields go; what else was there stays."""
    save(tmp_path / "in" / "adapter_model.safetensors", adapter("base_model.model."))
    beside(
        tmp_path / "in",
        r=16,
        lora_alpha=16,
        target_modules=["q_proj"],
        lora_dropout=0.1,
        novelty=1,
        revision="main",
    )
    convert(tmp_path / "in", tmp_path / "out")
    config = as_json(tmp_path / "out" / "adapter_config.json")
    assert (config["r"], config["target_modules"]) == (4, ["q_proj", "v_proj"])
    assert (config["lora_dropout"], config["revision"]) == (0.1, "main")
    assert "novelty" not in config
    assert changed(config, LAYERS[0][0]) == 4.0


def test_a_rank_stabilised_scale_stays(tmp_path: Path) -> None:
    """A scale of alpha / √r is read and written as such."""
    save(tmp_path / "in" / "adapter_model.safetensors", adapter("base_model.model."))
    beside(tmp_path / "in", r=4, lora_alpha=6, use_rslora=True)
    convert(tmp_path / "in", tmp_path / "out")
    config = as_json(tmp_path / "out" / "adapter_config.json")
    assert (config["use_rslora"], config["lora_alpha"]) == (True, 6)
    assert changed(config, LAYERS[0][0]) == 3.0


def test_whole_layers_are_copied(tmp_path: Path) -> None:
    """Layers that the adapter replaces as a whole keep every bit under their straightened names."""
    tensors = joined([adapter(""), {"lm_head.weight": random(32, 4096, seed=9, dtype="BF16")}])
    source = save(tmp_path / "in" / "adapter_model.safetensors", tensors)
    beside(tmp_path / "in", r=4, lora_alpha=4, modules_to_save=["lm_head"])
    _, after = rerun(tmp_path / "in", tmp_path / "out")
    assert (after["base_model.model.lm_head.weight"] == read(source)[0]["lm_head.weight"]).all()
    assert as_json(tmp_path / "out" / "adapter_config.json")["modules_to_save"] == ["lm_head"]


def test_text_has_one_layout(tmp_path: Path) -> None:
    """An adapter for a language model can't become one for pictures."""
    save(tmp_path / "in" / "adapter_model.safetensors", adapter("base_model.model."))
    with pytest.raises(ConversionRefused, match="language model"):
        convert(tmp_path / "in", tmp_path / "out", Options(to=Layout.KOHYA, alpha=4.0))


def test_pictures_can_be_peft_too(tmp_path: Path) -> None:
    """The strength of each layer goes into the configuration, and comes back from it."""
    tensors = joined(
        pair(f"transformer.transformer_blocks.{n}.attn.to_q", 3072, 3072, rank=2 + n, alpha=3.0, seed=n)
        for n in (0, 1)
    )
    source = save(tmp_path / "x.safetensors", tensors)
    before, _ = read(source)
    rerun(source, tmp_path / "peft", to="peft", base="flux1")
    config = as_json(tmp_path / "peft" / "adapter_config.json")
    assert config["task_type"] is None
    _, after = rerun(tmp_path / "peft", tmp_path / "back", base="flux1", to="kohya")
    assert len(after) == 6
    name = "transformer.transformer_blocks.1.attn.to_q"
    found = changed(config, "transformer_blocks.1.attn.to_q") * seen(
        read(tmp_path / "peft" / "adapter_model.safetensors")[0],
        "base_model.model.transformer_blocks.1.attn.to_q",
    )
    assert close(seen(before, name), found)


def test_patterns_name_what_differs() -> None:
    """The most frequent rank and alpha are the common ones; numbers that are whole are written so."""
    layers = [Layer("a.x", 4, 0.5), Layer("b.x", 4, 0.5), Layer("c.to_out.0", 8, 0.3)]
    config = json.loads(adapter_config(layers, {}, None, text=False))
    assert (config["r"], config["lora_alpha"]) == (4, 2)
    assert config["rank_pattern"] == {"c.to_out.0": 8}
    assert config["alpha_pattern"] == {"c.to_out.0": pytest.approx(2.4)}
    assert config["target_modules"] == ["to_out.0", "x"]
