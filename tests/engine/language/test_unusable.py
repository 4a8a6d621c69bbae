"""Adapters that no language model takes: each is refused with its reason, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lorry.engine.language.adapter_folder import read_adapter_folder
from lorry.engine.language.flat import SMOLLM2_LAYERS
from lorry.engine.language.port import LanguageModel
from lorry.errors import AdapterUnusable
from tests.engine.language.adapters import PREFIX, SOME, write_adapter
from tests.engine.language.asking import ask, one

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
LAYER = "model.layers.4.self_attn.v_proj"

#: v_proj of Llama 3.2 1B, and a layer that SmolLM2-135M does not have.
WIDER = {LAYER: (2048, 512)}
DEEPER = {"model.layers.30.self_attn.v_proj": (576, 192)}


def _sound(folder: Path) -> None:
    write_adapter(folder)


def _without(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (write_adapter(folder) / name).unlink()

    return spoil


def _holding(name: str, content: bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (write_adapter(folder) / name).write_bytes(content)

    return spoil


def _cut(folder: Path) -> None:
    path = write_adapter(folder) / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def _told(**fields: object) -> Callable[[Path], None]:
    return lambda folder: _ignore(write_adapter(folder, config=fields))


def _with(name: str, *shape: int) -> Callable[[Path], None]:
    tensor = {f"{PREFIX}{LAYER}.{name}": np.ones(shape, np.float32)}
    return lambda folder: _ignore(write_adapter(folder, others=tensor))


def _lone(folder: Path) -> None:
    write_adapter(folder)
    save_file({f"{PREFIX}{LAYER}.lora_B.weight": np.ones((192, 4), np.float32)}, folder / WEIGHTS)


def _whole_numbers(folder: Path) -> None:
    write_adapter(folder)
    pair = {"A": np.ones((4, 576), np.int8), "B": np.ones((192, 4), np.int8)}
    named = {f"{PREFIX}{LAYER}.lora_{letter}.weight": numbers for letter, numbers in pair.items()}
    save_file(named, folder / WEIGHTS)


def _unwrapped(folder: Path) -> None:
    write_adapter(folder)
    save_file({f"{LAYER}.lora_A.weight": np.ones((4, 576), np.float32)}, folder / WEIGHTS)


def _empty(folder: Path) -> None:
    write_adapter(folder)
    save_file({}, folder / WEIGHTS)


def _ignore(_: object) -> None:
    """Drop a value, so that a lambda has none."""


CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (_without(CONFIG), CONFIG),
    "no weights": (_without(WEIGHTS), WEIGHTS),
    "no folder": (_ignore, CONFIG),
    "the config is no JSON": (_holding(CONFIG, b"{"), "no JSON"),
    "the config is no text": (_holding(CONFIG, b"\xff\xfe\x00"), "can't be read"),
    "another kind of adapter": (_told(peft_type="IA3"), "'IA3'"),
    "no rank": (_told(r=None), "no rank"),
    "a DoRA": (_told(use_dora=True), "use_dora"),
    "whole layers": (_told(modules_to_save=["lm_head"]), "modules_to_save"),
    "a variant of LoRA": (_told(kasa_config={"beta": 1}), "kasa_config"),
    "no safetensors file": (_holding(WEIGHTS, b"PK\x03\x04 a pickle in a zip"), WEIGHTS),
    "an empty file": (_holding(WEIGHTS, b""), WEIGHTS),
    "cut short": (_cut, WEIGHTS),
    "no tensors": (_empty, "no tensors"),
    "a magnitude": (_with("lora_magnitude_vector", 192), "lora_magnitude_vector"),
    "a bias": (_with("lora_B.bias", 192), "lora_B.bias"),
    "one matrix of two": (_lone, "the other matrix is missing"),
    "whole numbers": (_whole_numbers, "I8"),
    "names that peft leaves out": (_unwrapped, LAYER),
    "no layer is targeted": (_told(target_modules=["q_proj"]), "target_modules"),
    "another rank than stated": (_told(r=8), "rank 4, and adapter_config.json says 8"),
    "another base's width": (
        lambda folder: _ignore(write_adapter(folder, layers=WIDER)),
        r"\[4, 2048\].*\[4, 576\]",
    ),
    "another base's depth": (
        lambda folder: _ignore(write_adapter(folder, layers=DEEPER)),
        r"layers\.30\.self_attn\.v_proj",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_unusable_adapter_is_refused_with_its_reason(case: str, tmp_path: Path) -> None:
    """What is wrong with an adapter is said in its own words and numbers, before a model is touched."""
    spoil, said = CASES[case]
    spoil(tmp_path)
    with pytest.raises(AdapterUnusable, match=said) as caught:
        read_adapter_folder(tmp_path, "the base", SMOLLM2_LAYERS)
    assert json.dumps(caught.value.as_dict())


@pytest.mark.parametrize(
    "case", ["cut short", "another base's width", "a DoRA", "names that peft leaves out"]
)
def test_a_refused_adapter_changes_nothing(case: str, model: LanguageModel, tmp_path: Path) -> None:
    """After a refusal the base and the adapter that had the key answer as before."""
    model.load("one", write_adapter(tmp_path / "sound"))
    before = one(model, ask()), one(model, ask(adapter="one"))
    CASES[case][0](tmp_path / "broken")
    with pytest.raises(AdapterUnusable, match=CASES[case][1]):
        model.load("one", tmp_path / "broken")
    assert (one(model, ask()), one(model, ask(adapter="one"))) == before


def test_what_fits_is_told(tmp_path: Path) -> None:
    """A sound adapter's layers, ranks and strengths are those of its files, patterns included."""
    patterned = "model.layers.14.mlp.up_proj"
    write_adapter(
        tmp_path,
        ranks={patterned: 2},
        config={
            "rank_pattern": {"14.mlp.up_proj": 2},
            "alpha_pattern": {r"^model\.layers\.14\.mlp\.up_proj$": 0.5},
        },
    )
    read = read_adapter_folder(tmp_path, "the base", SMOLLM2_LAYERS)
    assert (read.modules, read.rank, read.rslora) == (len(SOME), 4, False)
    assert read.ranks[patterned] == 2
    assert read.alphas == {layer: 0.5 if layer == patterned else 4.0 for layer in SOME}


def test_layers_that_the_config_does_not_target_are_not_counted(tmp_path: Path) -> None:
    """PEFT leaves out the matrices of layers that target_modules does not name, and so does the count."""
    write_adapter(tmp_path, config={"target_modules": ["v_proj"]})
    read = read_adapter_folder(tmp_path, "the base", SMOLLM2_LAYERS)
    assert set(read.ranks) == {layer for layer in SOME if layer.endswith("v_proj")}
