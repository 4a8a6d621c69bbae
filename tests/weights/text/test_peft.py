"""A PEFT adapter for text: told from pictures, its names straightened, its configuration judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.model.report import Finding, Severity
from lorry.model.verdict import Outcome
from lorry.weights.adapter.modules import read_adapter
from lorry.weights.adapter.peft import judge_peft
from lorry.weights.adapter.peft_config import PeftConfig, read_config
from lorry.weights.adapter.text import PREFIX, Wrapping, is_text, plain_name, straightened
from lorry.weights.bases.families import family
from lorry.weights.bases.identify import fit_to
from lorry.weights.catalogue import entries
from lorry.weights.loaders.text import predict_text, predictions_of_text, wrapping_outcome
from tests.weights.text.adapters import config, fields, header, llama, pairs, text

Q = f"{PREFIX}model.layers.0.self_attn.q_proj"
Shapes = dict[str, tuple[int, ...]]


def judged(shapes: Shapes, beside: PeftConfig) -> list[Finding]:
    """Judge an adapter for Llama 3.2 1B."""
    known = family("llama-3.2-1b")
    assert known is not None
    adapter = text(shapes)
    outcome = wrapping_outcome(adapter, fit_to(adapter.adapter, known))
    return list(judge_peft(adapter, header(shapes), beside, outcome))


def codes(found: list[Finding]) -> set[str]:
    """List the codes."""
    return {each.code for each in found}


def renamed(change: Callable[[str], str]) -> Shapes:
    """Give the sound adapter with other names."""
    return {change(name): shape for name, shape in llama().items()}


def test_a_sound_adapter_has_no_finding() -> None:
    """An adapter on all projections with its configuration passes without any finding."""
    assert judged(llama(), config()) == []


FAULTS: dict[str, tuple[str, str, Shapes, PeftConfig]] = {
    "no config": ("PEFT_CONFIG_MISSING", "is missing", llama(), read_config(None)),
    "an empty config": ("PEFT_CONFIG_MISSING", "is empty", llama(), read_config(" ")),
    "no JSON": ("PEFT_CONFIG_JSON", "no JSON", llama(), read_config("{r: 4}")),
    "no object": ("PEFT_CONFIG_JSON", "no object", llama(), read_config("[]")),
    "no type": ("PEFT_CONFIG_TYPE", "no peft_type", llama(), config(peft_type=None)),
    "another type": ("PEFT_CONFIG_TYPE", "'IA3'", llama(), config(peft_type="IA3")),
    "no alpha": ("PEFT_CONFIG_FIELDS", "lacks lora_alpha", llama(), config(lora_alpha=None)),
    "no r": ("PEFT_CONFIG_FIELDS", "lacks r", llama(), config(r=None)),
    "r as text": ("PEFT_CONFIG_FIELDS", "r is '4'", llama(), config(r="4")),
    "another r": ("PEFT_CONFIG_FIELDS", "says rank 16, but model.layers.0", llama(), config(r=16)),
    "targets left out": (
        "PEFT_CONFIG_FIELDS", "leave out 96 of 112 modules", llama(), config(target_modules=["q_proj"]),
    ),
    "a layer announced": (
        "PEFT_CONFIG_FIELDS", "names lm_head", llama(), config(modules_to_save=["lm_head"]),
    ),
    "DoRA announced": ("PEFT_CONFIG_FIELDS", "112 of 112 modules have no", llama(), config(use_dora=True)),
    "no prefix": (
        "PEFT_PREFIX", "112 modules 112 lack", renamed(lambda name: name.removeprefix(PREFIX)), config(),
    ),
    "a double prefix": ("PEFT_PREFIX", "more than once", renamed(lambda name: PREFIX + name), config()),
    "no inner model": (
        "PEFT_PREFIX", "the model's own",
        renamed(lambda name: name.replace(".model.model.", ".model.")), config(),
    ),
    "the name left in": (
        "KEYS_ADAPTER_NAME", "PEFT loads them",
        renamed(lambda n: n.replace(".weight", ".default.weight")), config(),
    ),
    "another name left in": (
        "KEYS_ADAPTER_NAME", "PEFT ignores them",
        renamed(lambda n: n.replace(".weight", ".mine.weight")), config(),
    ),
    "embeddings": (
        "PEFT_TARGETS", "1 embed_tokens",
        {**llama(), f"{PREFIX}model.embed_tokens.lora_embedding_A": (4, 128256),
         f"{PREFIX}model.embed_tokens.lora_embedding_B": (2048, 4)},
        config(target_modules=["embed_tokens", *fields()["target_modules"]]),
    ),
    "a whole layer": (
        "PEFT_MODULES_TO_SAVE", "1 layer as a whole: lm_head",
        {**llama(), f"{PREFIX}lm_head.weight": (128256, 2048)}, config(modules_to_save=["lm_head"]),
    ),
    "DoRA": ("PEFT_DORA", "1 of 112", {**llama(), f"{Q}.lora_magnitude_vector": (2048,)}, config()),
    "rank-stabilised": ("PEFT_RSLORA", "8 / √4 = 4", llama(), config(use_rslora=True)),
    "no base": ("PEFT_BASE_LOCAL", "names no base", llama(), config(base_model_name_or_path=None)),
    "a local base": (
        "PEFT_BASE_LOCAL", "local path /home", llama(), config(base_model_name_or_path="/home/a/b"),
    ),
    "a Windows base": (
        "PEFT_BASE_LOCAL", "local path C:", llama(), config(base_model_name_or_path="C:\\m\\b"),
    ),
    "a quantised base": (
        "PEFT_BASE_LOCAL", "a quantised copy", llama(), config(base_model_name_or_path="unsloth/x-bnb-4bit"),
    ),
    "a newer field": ("META_NEWER_PEFT", "has hyper_mode", llama(), config(hyper_mode=True)),
    "alpha zero": ("ALPHA_ZERO", "is 0", llama(), config(lora_alpha=0)),
    "alpha huge": ("ALPHA_BAD", "is inf", llama(), config(lora_alpha=10**400)),
    "half a pair": (
        "PAIR_MISSING", "no lora_B",
        {name: shape for name, shape in llama().items() if name != f"{Q}.lora_B.weight"}, config(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_gets_its_code_and_its_numbers(fault: str) -> None:
    """Each fault of a text adapter has its code, a sentence with the numbers, and JSON evidence."""
    code, said, shapes, beside = FAULTS[fault]
    found = judged(shapes, beside)
    assert any(each.code == code and said in each.message for each in found), found
    json.dumps([each.as_dict() for each in found], allow_nan=False)
    for each in found:
        assert each.severity is entries()[each.code].severity
        assert each.message.endswith(".")


def test_everything_is_said_at_once() -> None:
    """Names, ranks, base and strength are judged in one run."""
    shapes = renamed(lambda name: PREFIX + name)
    found = judged(shapes, config(r=8, lora_alpha=0, base_model_name_or_path="./out", peft_type="X"))
    assert codes(found) >= {
        "PEFT_PREFIX", "PEFT_CONFIG_FIELDS", "ALPHA_ZERO", "PEFT_BASE_LOCAL", "PEFT_CONFIG_TYPE",
    }  # fmt: skip


def test_pictures_codes_are_not_said_of_text() -> None:
    """A DoRA for text is no error, and an embedding's pair is no unknown algorithm."""
    shapes = {**llama(), f"{Q}.lora_magnitude_vector": (2048,)}
    shapes[f"{PREFIX}model.embed_tokens.lora_embedding_A"] = (4, 128256)
    shapes[f"{PREFIX}model.embed_tokens.lora_embedding_B"] = (2048, 4)
    found = judged(shapes, config(target_modules=["embed_tokens", *fields()["target_modules"]]))
    assert not {"ALGO_DORA", "ALGO_OTHER", "TE_CLIP"} & codes(found)


def test_ranks_of_their_own_are_taken_from_the_patterns() -> None:
    """A rank that rank_pattern states for a layer is compared with that layer."""
    shapes = {**llama(), f"{Q}.lora_A.weight": (2, 2048), f"{Q}.lora_B.weight": (2048, 2)}
    own = config(rank_pattern={"model.layers.0.self_attn.q_proj": 2})
    assert "PEFT_CONFIG_FIELDS" not in codes(judged(shapes, own))
    assert "PEFT_CONFIG_FIELDS" in codes(judged(shapes, config()))


def test_a_pattern_of_targets_is_believed_and_never_run() -> None:
    """A regular expression as target_modules is not executed: one that would take for ever takes no time."""
    assert judged(llama(), config(target_modules="(a+)+$")) == []


@pytest.mark.parametrize(
    ("name", "plain", "wrapping"),
    [
        ("base_model.model.model.layers.0.mlp.up_proj", "model.layers.0.mlp.up_proj", (1, True)),
        ("model.layers.0.mlp.up_proj", "model.layers.0.mlp.up_proj", (0, True)),
        ("layers.0.mlp.up_proj", "model.layers.0.mlp.up_proj", (0, False)),
        ("base_model.model.lm_head", "lm_head", (1, True)),
        ("base_model.model.base_model.model.lm_head", "lm_head", (2, True)),
        ("base_model.model.language_model.model.layers.1.x", "model.language_model.layers.1.x", (1, True)),
        ("language_model.layers.1.x", "model.language_model.layers.1.x", (0, False)),
        ("language_model.lm_head", "lm_head", (0, True)),
        ("base_model.model.transformer.h.0.attn.c_attn", "transformer.h.0.attn.c_attn", (1, True)),
    ],
)
def test_the_wrapping_comes_off_a_name(name: str, plain: str, wrapping: tuple[int, bool]) -> None:
    """A layer has one plain name, whatever stands before it."""
    assert plain_name(name) == (plain, *wrapping)


@pytest.mark.parametrize(
    ("layer", "task", "answer"),
    [
        ("base_model.model.model.layers.0.self_attn.q_proj", None, True),
        ("model.layers.0.mlp.up_proj", None, True),
        ("base_model.model.lm_head", None, True),
        ("base_model.model.model.layers.3.block_sparse_moe.experts.0.w1", None, True),
        ("base_model.model.transformer.h.0.attn.c_attn", "CAUSAL_LM", True),
        ("base_model.model.transformer.h.0.attn.c_attn", None, False),
        ("base_model.model.transformer_blocks.0.attn.to_q", "CAUSAL_LM", False),
        ("base_model.model.double_blocks.0.img_attn.qkv", None, False),
        ("transformer.transformer_blocks.0.attn.to_q", None, False),
        ("layers.0.attention.to_q", None, False),
        ("text_model.encoder.layers.0.self_attn.q_proj", None, False),
        ("diffusion_model.blocks.0.self_attn.q", None, False),
    ],
)
def test_text_is_told_from_pictures(layer: str, task: str | None, answer: bool) -> None:
    """Names decide first, a task second; fal's picture LoRAs have PEFT's prefix too and are none of text."""
    shapes = {f"{layer}.lora_A.weight": (4, 64), f"{layer}.lora_B.weight": (64, 4)}
    assert is_text(read_adapter(header(shapes)), {"task_type": task}) is answer


def test_absurd_names_take_no_time() -> None:
    """A name of a million parts, or of the prefix a hundred thousand times, is read at once."""
    assert plain_name(PREFIX * 100_000 + "lm_head") == ("lm_head", 100_000, True)
    layer = "model.layers.0.self_attn." + "a." * 1_000_000 + "q_proj"
    shapes = pairs([(layer, 64, 64)])
    found = judged(shapes, config(base_model_name_or_path="x" * 1_000_000))
    assert all(len(each.message) < 2_000 for each in found)


def test_whole_layers_are_no_strangers() -> None:
    """What modules_to_save and trained biases leave in a file belongs to the adapter; the rest does not."""
    extra: Shapes = {
        f"{PREFIX}lm_head.weight": (8, 8),
        f"{PREFIX}model.embed_tokens.base_layer.weight": (8, 8),
        f"{PREFIX}model.layers.0.self_attn.q_proj.base_layer.bias": (8,),
        f"{PREFIX}score.modules_to_save.default.weight": (2, 8),
        "something.else": (1,),
    }
    adapter = straightened(read_adapter(header({**llama(1), **extra})))
    assert [name for name, _ in adapter.whole] == [
        "lm_head", "model.embed_tokens", "model.layers.0.self_attn.q_proj", "score",
    ]  # fmt: skip
    assert [tensor.name for tensor in adapter.adapter.strangers] == ["something.else"]
    assert adapter.wrapping is Wrapping.RIGHT


def foretold(shapes: Shapes, beside: PeftConfig, loader: str) -> Outcome:
    """Foretell what a loader does with an adapter for Llama 3.2 1B."""
    known = family("llama-3.2-1b")
    assert known is not None
    adapter = text(shapes)
    found = predict_text(adapter, beside, fit_to(adapter.adapter, known), loader)
    assert found.sentence.startswith(loader)
    return found.outcome


@pytest.mark.parametrize(
    ("shapes", "beside", "peft", "vllm"),
    [
        (llama(), config(), "ok", "ok"),
        (renamed(lambda name: name.removeprefix(PREFIX)), config(), "ignored", "ok"),
        (renamed(lambda name: PREFIX + name), config(), "ignored", "ok"),
        (renamed(lambda name: name.replace(".model.model.", ".model.")), config(), "ignored", "ignored"),
        (renamed(lambda name: name.replace(".weight", ".default.weight")), config(), "ok", "refused"),
        (llama(), read_config(None), "refused", "refused"),
        (llama(), config(lora_alpha=None), "alpha-dropped", "refused"),
        (llama(), config(bias="lora_only"), "ok", "refused"),
        (llama(), config(use_dora=True), "ok", "refused"),
        (llama(), config(r=8), "refused", "ok"),
        (llama(20), config(), "partial", "partial"),
        (llama(rank=1024), config(r=1024), "ok", "refused"),
        (
            {**llama(), f"{PREFIX}lm_head.weight": (128256, 2048)},
            config(modules_to_save=["lm_head"]),
            "ok",
            "refused",
        ),
        (llama(), config(modules_to_save=["lm_head"]), "refused", "refused"),
        (llama(), config(target_modules=["nothing"]), "refused", "ok"),
    ],
)
def test_what_loaders_do_follows_from_names_and_configuration(
    shapes: Shapes, beside: PeftConfig, peft: str, vllm: str
) -> None:
    """PEFT as measured, vLLM as read: each cause leads to its outcome."""
    assert (foretold(shapes, beside, "peft"), foretold(shapes, beside, "vllm")) == (peft, vllm)


def test_vllm_is_told_the_rank_that_it_must_be_started_for() -> None:
    """Above 16 vLLM needs an option, which the sentence names."""
    known = family("llama-3.2-1b")
    assert known is not None
    adapter = text(llama(rank=64))
    _, vllm = predictions_of_text(adapter, config(r=64), fit_to(adapter.adapter, known))
    assert "--max-lora-rank 64" in vllm.sentence


def test_an_unknown_base_is_said_to_be_unknown() -> None:
    """Without a family nobody can tell what is loaded, but a refusal stays one."""
    adapter = text(pairs([("model.layers.0.self_attn.q_proj", 7, 7)]))
    assert predict_text(adapter, config(), None, "peft").outcome is Outcome.UNKNOWN
    assert predict_text(adapter, read_config(None), None, "peft").outcome is Outcome.REFUSED


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
_KNOWN = st.sampled_from([*fields(), "rank_pattern", "modules_to_save", "use_dora", "use_rslora", "bias"])


@given(st.dictionaries(_KNOWN, _JSON, max_size=6))
def test_any_configuration_gives_findings_and_predictions(beside: dict[str, Any]) -> None:
    """Whatever adapter_config.json holds, it is judged and nothing is raised."""
    known = family("llama-3.2-1b")
    assert known is not None
    shapes = llama(1)
    found = judged(shapes, read_config(json.dumps(beside)))
    json.dumps([each.as_dict() for each in found], allow_nan=False)
    assert all(each.severity in Severity for each in found)
    adapter = text(shapes)
    predictions_of_text(adapter, read_config(json.dumps(beside)), fit_to(adapter.adapter, known))


@given(st.text(max_size=60))
def test_any_text_is_a_configuration_or_a_finding(beside: str) -> None:
    """Whatever the file's text, reading it gives fields or one finding."""
    found = read_config(beside)
    assert found.flaw is not None or isinstance(found.fields, dict)
