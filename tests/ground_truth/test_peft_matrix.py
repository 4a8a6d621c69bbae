"""What we foretell of text adapters is what PEFT does: each family, each wrapping, each fault, counted.

Full-shape models stand on torch's meta device, so that 70 billion parameters cost nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch

from lorry.model.verdict import Outcome, Prediction
from lorry.weights.adapter.peft_config import read_config
from lorry.weights.bases.families import Family, family, layer_names
from lorry.weights.bases.identify import fit_to
from lorry.weights.loaders.tables import table
from lorry.weights.loaders.text import predict_text
from tests.weights.text import adapters
from tools import text_families as written
from tools.ground_truth.text import PREFIX, Loaded, load, load_folder, tensors, write_folder
from tools.text_loaders import (
    ALPHA,
    PAGE,
    WRAPPINGS,
    config,
    page,
    text_families,
    tried_layers,
    wrapped,
)

pytestmark = [pytest.mark.reference, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

FAMILIES = list(text_families())
#: One family of each class for what does not depend on the size.
ONE_EACH = (
    "llama-3.2-1b", "qwen2.5-0.5b", "qwen3-0.6b", "mistral-7b", "gemma-2-2b", "gemma-3-1b", "gemma-3-4b",
    "mixtral-8x7b", "qwen3-30b-a3b",
)  # fmt: skip
Shapes = dict[str, tuple[int, ...]]
Fields = dict[str, Any]


def foretold(known: Family, shapes: Shapes, fields: Fields) -> Prediction:
    """Foretell what PEFT does with a file of these shapes beside a config of these fields."""
    text = adapters.text(shapes)
    return predict_text(text, read_config(json.dumps(fields)), fit_to(text.adapter, known), "peft")


def real(known: Family, shapes: Shapes, fields: Fields) -> Loaded:
    """Let PEFT load the same."""
    return load(known.model["architecture"], known.model["config"], shapes, fields)


def same(prediction: Prediction, loaded: Loaded) -> None:
    """A refusal was foretold when PEFT raised, and else exactly as many layers as it changed."""
    if loaded.error or prediction.outcome is Outcome.REFUSED:
        assert loaded.error, prediction.sentence
        assert prediction.outcome is Outcome.REFUSED, loaded.error
    elif loaded.random:
        assert prediction.outcome is Outcome.RANDOM, prediction.sentence
    else:
        assert prediction.modules == len(loaded.layers), prediction.sentence
        assert (prediction.outcome is Outcome.IGNORED) == (not loaded.layers)
        assert prediction.acts == (len(loaded.layers) == prediction.expected)


@pytest.mark.parametrize("known", FAMILIES, ids=lambda known: known.key)
def test_the_table_of_layers_is_that_of_the_class(known: Family) -> None:
    """Each text family's table is rebuilt from its transformers class and is the same."""
    [kind] = [kind for kind in written.KINDS if kind.key == known.key]
    real_layers = written.real_layers(kind.architecture, kind.config)
    assert {name: (i, o) for name, i, o in layer_names(known)} == real_layers


@pytest.mark.parametrize("key", ONE_EACH)
def test_each_wrapping_does_what_is_foretold(key: str) -> None:
    """As many layers change as foretold, whatever stands before their names; tools.text_loaders tries all."""
    known = family(key)
    assert known is not None
    layers = tried_layers(known)
    fields = config(target_modules=[name for name, _, _ in layers])
    for wrapping in WRAPPINGS:
        shapes = {wrapped(name, wrapping): shape for name, shape in tensors(layers).items()}
        loaded = real(known, shapes, fields)
        same(foretold(known, shapes, fields), loaded)
        assert loaded.scales <= {float(ALPHA)}


def test_the_page_says_what_the_tables_say() -> None:
    """The published table is written from the loaders' tables."""
    assert PAGE.read_text(encoding="utf-8") == page()


def usual(known: Family) -> tuple[Shapes, Fields]:
    """Give a sound adapter on the attention of a family's first two blocks, and its config."""
    layers = [layer for layer in tried_layers(known) if re.search(r"layers\.[01]\.self_attn", layer[0])]
    return tensors(layers, 4), config(r=4, lora_alpha=8, target_modules=[name for name, _, _ in layers])


def _keys(change: Callable[[str], str]) -> Callable[[Shapes, Fields], None]:
    def renamed(shapes: Shapes, fields: Fields) -> None:
        del fields
        for name in list(shapes):
            shapes[change(name)] = shapes.pop(name)

    return renamed


def _without(part: str) -> Callable[[Shapes, Fields], None]:
    def removed(shapes: Shapes, fields: Fields) -> None:
        del fields
        del shapes[next(name for name in shapes if part in name)]

    return removed


def _set(**changes: Any) -> Callable[[Shapes, Fields], None]:
    def changed(shapes: Shapes, fields: Fields) -> None:
        del shapes
        fields.update(changes)
        for name in [name for name, value in changes.items() if value is None]:
            del fields[name]

    return changed


def _magnitudes(shapes: Shapes, fields: Fields) -> None:
    del fields
    for name in list(shapes):
        if "lora_B" in name:
            shapes[name.replace("lora_B.weight", "lora_magnitude_vector")] = shapes[name][:1]


def _dora(shapes: Shapes, fields: Fields) -> None:
    _magnitudes(shapes, fields)
    fields["use_dora"] = True


def _wide(shapes: Shapes, fields: Fields) -> None:
    del fields
    name = next(name for name in shapes if "lora_A" in name)
    shapes[name] = (shapes[name][0], shapes[name][1] + 1)


def _two_ranks(shapes: Shapes, fields: Fields) -> None:
    name = next(name for name in shapes if "lora_A" in name).removesuffix(".lora_A.weight")
    for end, place in (("lora_A", 0), ("lora_B", 1)):
        shape = list(shapes[f"{name}.{end}.weight"])
        shape[place] = 2
        shapes[f"{name}.{end}.weight"] = tuple(shape)
    fields["rank_pattern"] = {name.removeprefix(PREFIX): 2}


def _torn(shapes: Shapes, fields: Fields) -> None:
    _two_ranks(shapes, fields)
    del fields["rank_pattern"]


def _fewer_targets(shapes: Shapes, fields: Fields) -> None:
    del shapes
    fields["target_modules"] = [name for name in fields["target_modules"] if "q_proj" in name]


FAULTS: dict[str, Callable[[Shapes, Fields], None]] = {
    "sound": _set(),
    "named default": _keys(lambda name: name.replace(".weight", ".default.weight")),
    "named otherwise": _keys(lambda name: name.replace(".weight", ".mine.weight")),
    "without one lora_B": _without("lora_B"),
    "without one lora_A": _without("lora_A"),
    "beyond the model": _keys(lambda name: name.replace("layers.1.", "layers.999.")),
    "strange names": _keys(lambda name: name.replace("self_attn", "attention")),
    "kohya's words": _keys(lambda name: name.replace("lora_A", "lora_down").replace("lora_B", "lora_up")),
    "wrong r": _set(r=16),
    "no r": _set(r=None),
    "one rank of its own": _two_ranks,
    "one rank of its own, unstated": _torn,
    "one matrix too wide": _wide,
    "no peft_type": _set(peft_type=None),
    "rank-stabilised": _set(use_rslora=True),
    "an unknown field": _set(something_new=True),
    "targets of nothing": _set(target_modules=["to_q"]),
    "targets left out": _fewer_targets,
    "modules_to_save that are not there": _set(modules_to_save=["lm_head"]),
    "DoRA": _dora,
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("key", ONE_EACH)
def test_each_fault_does_what_is_foretold(key: str, fault: str) -> None:
    """For one family of each class, each fault of names, shapes and configuration is foretold exactly."""
    known = family(key)
    assert known is not None
    shapes, fields = usual(known)
    FAULTS[fault](shapes, fields)
    same(foretold(known, shapes, fields), real(known, shapes, fields))


@pytest.mark.parametrize("key", ONE_EACH)
def test_a_whole_layer_is_taken_when_it_is_announced(key: str) -> None:
    """modules_to_save with the layer in the file loads, and beside it the adapter acts."""
    known = family(key)
    assert known is not None
    shapes, fields = usual(known)
    shapes[f"{PREFIX}lm_head.weight"] = known.layers["lm_head"][::-1]
    fields["modules_to_save"] = ["lm_head"]
    same(foretold(known, shapes, fields), real(known, shapes, fields))


def test_magnitudes_without_use_dora_are_dropped() -> None:
    """PEFT ignores DoRA's vectors when the config does not ask for them."""
    known = family("llama-3.2-1b")
    assert known is not None
    shapes, fields = usual(known)
    _magnitudes(shapes, fields)
    assert foretold(known, shapes, fields).outcome is Outcome.MAGNITUDE_DROPPED
    assert len(real(known, shapes, fields).layers) == 8


EXPERTS: dict[str, Callable[[str], bool]] = {
    "all": bool,
    "one expert missing": lambda name: ".experts.1." not in name,
    "one half missing": lambda name: not name.endswith((".w3", ".up_proj")),
    "the last only": lambda name: name.endswith((".w2", ".down_proj")),
}


@pytest.mark.parametrize("kept", EXPERTS)
@pytest.mark.parametrize("key", ["mixtral-8x7b", "qwen3-30b-a3b"])
def test_experts_are_taken_all_or_not_at_all(key: str, kept: str) -> None:
    """PEFT fuses the experts of a block: it raises when one is missing, and we say so before."""
    known = family(key)
    assert known is not None
    layers = [each for each in layer_names(known) if ".layers.0." in each[0] and ".experts." in each[0]]
    layers = [each for each in layers if EXPERTS[kept](each[0])]
    shapes = tensors(layers, 2)
    words = sorted({name.rpartition(".")[2] for name, _, _ in layers})
    fields = config(r=2, lora_alpha=4, target_modules=words)
    # One block is enough: putting 128 experts of 48 blocks together takes PEFT minutes.
    numbers = {**known.model["config"], "num_hidden_layers": 1}
    loaded = load(known.model["architecture"], numbers, shapes, fields)
    prediction = foretold(known, shapes, fields)
    assert (prediction.outcome is Outcome.REFUSED) == (loaded.error is not None), (prediction, loaded.error)
    if loaded.error is None:
        assert loaded.layers
        assert prediction.acts


#: A tiny model of each class: width 64, two blocks.
_TINY = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 128,
}  # fmt: skip


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize(
    "key", ["llama-3-8b", "qwen2.5-7b", "qwen3-8b", "mistral-7b", "gemma-2-9b", "gemma-3-1b"]
)
def test_a_real_folder_changes_a_real_models_answers_as_foretold(
    tmp_path: Path, key: str, wrapping: str
) -> None:
    """`PeftModel.from_pretrained` on a real model changes its answers exactly when the table says it acts."""
    known, peft = family(key), table("peft")
    assert known is not None
    assert peft is not None
    numbers = {**_TINY, **({"head_dim": 16} if "head_dim" in known.model["config"] else {})}
    torch.manual_seed(7)
    model = _real(known.model["architecture"], numbers)
    layers = [
        (name, layer.in_features, layer.out_features)
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and name != "lm_head"
    ]
    shapes = {wrapped(name, wrapping): shape for name, shape in tensors(layers, 4).items()}
    fields = config(r=4, lora_alpha=8, target_modules=[name for name, _, _ in layers])
    write_folder(tmp_path, shapes, fields)
    tokens = torch.arange(8)[None]
    with torch.no_grad():
        before = model(tokens).logits
        after = load_folder(model, tmp_path)(tokens).logits
    words = "peft diffusers lora_A *" if wrapping == "peft" else f"{wrapping} * * *"
    acts = peft.families[key].layouts[words].acts
    assert (float((after - before).abs().max()) > 0) == acts


def test_a_whole_layer_is_taken_even_when_it_is_not_announced(tmp_path: Path) -> None:
    """PEFT puts a whole lm_head straight into the base model, so it acts without modules_to_save."""
    model = _real("LlamaForCausalLM", _TINY)
    shapes = tensors([("model.layers.0.self_attn.q_proj", 64, 64)], 4)
    zeros = {name: shape for name, shape in shapes.items() if "lora_A" in name}
    fields = config(r=4, lora_alpha=8, target_modules=["model.layers.0.self_attn.q_proj"])
    write_folder(tmp_path, {**zeros, f"{PREFIX}lm_head.weight": (128, 64)}, fields)
    tokens = torch.arange(8)[None]
    with torch.no_grad():
        before = model(tokens).logits
        after = load_folder(model, tmp_path)(tokens).logits
    assert float((after - before).abs().max()) > 0


@pytest.mark.parametrize(
    ("text", "error"),
    [(None, "ValueError"), ("{", "JSONDecodeError"), ('{"r": 4}', "KeyError")],
    ids=["missing", "broken", "no type"],
)
def test_a_config_that_we_call_unusable_makes_peft_raise(
    tmp_path: Path, text: str | None, error: str
) -> None:
    """Without a readable config with its type PEFT raises, and the prediction says so."""
    model = _real("LlamaForCausalLM", _TINY)
    shapes = adapters.llama(1)
    write_folder(tmp_path, shapes, {})
    file = tmp_path / "adapter_config.json"
    file.unlink()
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=r".") as raised:
        load_folder(model, tmp_path)
    assert type(raised.value).__name__ == error
    prediction = predict_text(adapters.text(shapes), read_config(text), None, "peft")
    assert prediction.outcome is Outcome.REFUSED


def _real(architecture: str, numbers: dict[str, Any]) -> Any:
    """Build a model with real random weights."""
    import transformers

    name = re.sub(r"For\w+$", "Config", architecture)
    name = "Gemma3TextConfig" if architecture == "Gemma3ForCausalLM" else name
    return getattr(transformers, architecture)(getattr(transformers, name)(**numbers)).eval()
