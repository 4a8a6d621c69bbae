"""What is foretold of a file, and how it is said: numbers that were measured, conditions, mixtures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.model.verdict import Outcome, Prediction
from lorry.weights.adapter.modules import Adapter, read_adapter
from lorry.weights.bases.families import Family, families, family, layer_names
from lorry.weights.bases.identify import fit_to
from lorry.weights.files.header import Header, Tensor
from lorry.weights.loaders.findings import layout_findings, layout_outcome
from lorry.weights.loaders.layouts import Layout, matrix
from lorry.weights.loaders.predict import loaders_for, predict, predict_layout, predictions
from tools.ground_truth.adapters import Layer, Shapes, can_have, layers, spell

Q = "transformer.transformer_blocks.0.attn.to_q"


def known(key: str) -> Family:
    """Find a family that must be there."""
    found = family(key)
    assert found is not None
    return found


def adapter_of(shapes: Shapes) -> Adapter:
    """Make an adapter of names and shapes alone."""
    return read_adapter(
        Header(tuple(Tensor(name, "F32", shape, 0, 0) for name, shape in shapes.items()), {}, 0)
    )


def named(base: Family, naming: str, *, xlabs: bool = False) -> list[Layer]:
    """List a family's layers with the sizes of its own table."""
    sizes = {name: (outputs, inputs) for name, inputs, outputs in layer_names(base)}
    return layers(base, sizes, naming, xlabs=xlabs)


def foretell(key: str, words: str, metadata: dict[str, str] | None = None, **change: Any) -> Prediction:
    """Foretell what diffusers does with a file on all layers in a layout, changed in one thing."""
    base = known(key)
    prefix, naming, suffix, alpha = words.split()
    layout = Layout(prefix, naming, suffix, alpha == "alpha")
    chosen = [layer for layer in named(base, naming, xlabs=prefix == "xlabs") if can_have(layout, layer)]
    only = change.get("only", "")
    shapes = spell(base, layout, [layer for layer in chosen if str(only) in layer.name])
    gone = change.get("without")
    shapes = {name: shape for name, shape in shapes.items() if name != gone}
    shapes |= dict.fromkeys(change.get("added", ()), (4, 4))
    found = adapter_of(shapes)
    return predict(found, fit_to(found, base), "diffusers", metadata)


# The numbers are those of LoRA formats dossier 1.4 and 6, or were counted by tools/loader_matrix.py.
MEASURED = [
    ("flux1", "diffusers diffusers lora_A plain", Outcome.OK, 504),
    ("flux1", "diffusers diffusers lora_A alpha", Outcome.OK, 504),
    ("flux1", "diffusers diffusers lora_down alpha", Outcome.ALPHA_DROPPED, 504),
    ("flux1", "bare diffusers lora_A plain", Outcome.IGNORED, 0),
    ("flux1", "comfyui native lora_A plain", Outcome.IGNORED, 0),
    ("flux1", "kohya native lora_down alpha", Outcome.PARTIAL, 494),
    ("flux1", "kohya diffusers lora_down alpha", Outcome.REFUSED, 0),
    ("flux1", "kohya native lokr alpha", Outcome.IGNORED, 0),
    ("flux1", "xlabs native _lora.down plain", Outcome.OK, 304),
    ("flux1", "diffusers diffusers lora_A.name plain", Outcome.RANDOM, 504),
    ("flux1", "diffusers diffusers dora_A plain", Outcome.OK, 504),
    ("flux1", "diffusers diffusers dora_down plain", Outcome.MAGNITUDE_DROPPED, 504),
    ("flux2-klein-4b", "peft native lora_A plain", Outcome.OK, 109),
    ("flux2-klein-4b", "kohya native lora_down alpha", Outcome.PARTIAL, 105),
    ("flux2-klein-4b", "diffusers diffusers lora_A alpha", Outcome.REFUSED, 0),
    ("qwen-image", "bare diffusers lora_A plain", Outcome.IGNORED, 0),
    ("qwen-image", "bare diffusers lora_A.name plain", Outcome.OK, 846),
    ("qwen-image", "kohya diffusers lora_down alpha", Outcome.OK, 846),
    ("z-image", "comfyui native lora_A plain", Outcome.PARTIAL, 137),
    ("z-image", "kohya native lora_down alpha", Outcome.PARTIAL, 273),
    ("sd3.5-medium", "kohya diffusers lora_down alpha", Outcome.IGNORED, 0),
    ("sdxl", "kohya native lora_down alpha", Outcome.OK, 794),
    ("sd1", "kohya diffusers lora_down alpha", Outcome.OK, 282),
]


@pytest.mark.parametrize(("key", "words", "outcome", "modules"), MEASURED)
def test_measured_layouts_are_foretold(key: str, words: str, outcome: Outcome, modules: int) -> None:
    """Outcome and number of layers are those that were measured with diffusers 0.42.1."""
    told = foretell(key, words)
    assert (told.outcome, told.modules) == (outcome, modules)
    assert told.acts is (outcome is Outcome.OK)


def test_a_part_of_the_layers_is_counted() -> None:
    """What a loader leaves out is missed only by files that have it."""
    told = foretell("flux1", "kohya native lora_down alpha", only="blocks")
    assert (told.outcome, told.modules, told.expected) == (Outcome.OK, 494, 494)
    assert told.sentence == "diffusers changes all 494 layers."


CONDITIONS = [
    # Converters that want every layer: fal's Kontext, and musubi-tuner's Wan (dossier 1.4).
    ("flux1", "peft native lora_A plain", {}, Outcome.REFUSED),
    ("flux1", "peft native lora_A plain", {"only": "blocks"}, Outcome.REFUSED),
    ("wan-14b", "kohya native lora_down alpha", {"only": "blocks"}, Outcome.OK),
    ("wan-14b", "kohya native lora_down alpha", {"only": "self_attn"}, Outcome.REFUSED),
    ("wan-14b", "kohya native lora_down alpha",
     {"only": "blocks", "without": "lora_unet_blocks_3_ffn_0.alpha"}, Outcome.REFUSED),
    # OneTrainer needs alpha, and takes no T5.
    ("flux1", "onetrainer diffusers lora_down plain", {"only": ".attn."}, Outcome.REFUSED),
    ("flux1", "onetrainer diffusers lora_down alpha", {"only": ".attn."}, Outcome.OK),
    ("flux1", "onetrainer diffusers lora_down alpha",
     {"only": ".attn.", "added": ["lora_te2_encoder_block_0_layer_0_SelfAttention_q.lora_down.weight"]},
     Outcome.REFUSED),
    # One key of an embedding keeps SDXL's names from being translated.
    ("sdxl", "kohya native lora_down alpha", {"added": ["bundle_emb.tok.clip_l"]}, Outcome.REFUSED),
    # Halves of modules.
    ("flux1", "diffusers diffusers lora_A plain", {"without": f"{Q}.lora_B.weight"}, Outcome.REFUSED),
    ("flux1", "diffusers diffusers lora_A plain", {"without": f"{Q}.lora_A.weight"}, Outcome.RANDOM),
    ("qwen-image", "diffusers diffusers lora_A plain", {"added": ["some.weight"]}, Outcome.REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("key", "words", "change", "outcome"), CONDITIONS)
def test_conditions_that_no_layout_tells(
    key: str, words: str, change: dict[str, Any], outcome: Outcome
) -> None:
    """What a file lacks or has too much changes the outcome, as it was measured."""
    assert foretell(key, words, **change).outcome is outcome


def test_two_statements_of_the_strength_are_refused() -> None:
    """Alpha tensors and a LoraConfig in the header: diffusers raises for FLUX.1 (dossier 1.1)."""
    fields = {"lora_adapter_metadata": json.dumps({"transformer.r": 1, "transformer.lora_alpha": 1})}
    told = foretell("flux1", "diffusers diffusers lora_A alpha", fields)
    assert told.outcome is Outcome.REFUSED
    assert foretell("flux1", "diffusers diffusers lora_A plain", fields).outcome is Outcome.OK
    assert (
        foretell("flux1", "comfyui native lora_down alpha", fields, only="blocks").outcome
        is Outcome.ALPHA_TWICE
    )


def test_sentences_name_the_loader_and_the_numbers() -> None:
    """One sentence says what happens, with the number of layers or tensors in it."""
    assert foretell("flux1", "bare diffusers lora_A plain").sentence == (
        "diffusers ignores all 1,008 tensors and draws plain base-model pictures."
    )
    assert foretell("flux1", "kohya native lora_down alpha").sentence == (
        "diffusers changes 494 of 504 layers and leaves the rest out without an error."
    )
    refused = foretell("flux1", "kohya diffusers lora_down alpha").sentence
    assert refused.startswith(
        "diffusers refuses the file (ValueError: Incompatible keys detected, because of the"
    )


def test_two_spellings_in_one_file() -> None:
    """A file of two layouts is what was measured for the two together: here the bare half is left out."""
    base = known("flux1")
    chosen = named(base, "diffusers")
    plain, bare = (Layout(prefix, "diffusers", "lora_A", alpha=False) for prefix in ("diffusers", "bare"))
    found = adapter_of({**spell(base, plain, chosen[:100]), **spell(base, bare, chosen[100:130])})
    told = predict(found, fit_to(found, base), "diffusers")
    assert (told.outcome, told.modules, told.expected) == (Outcome.PARTIAL, 100, 130)


def test_what_nobody_tried_is_said_so() -> None:
    """Without a family, without a table, or in another kind of adapter, nothing is foretold."""
    base = known("flux1")
    found = adapter_of({f"{Q}.oft_blocks": (4, 8, 8), f"{Q}.lora_A.weight": (1, 3072)})
    for told in (
        predict(found, None, "diffusers"),
        predict(found, fit_to(found, base), "made-up"),
        predict(found, fit_to(found, base), "peft"),
        predict(found, fit_to(found, base), "diffusers"),
    ):
        assert (told.outcome, told.modules, told.acts) == (Outcome.UNKNOWN, 0, False)
        assert told.sentence.endswith(".")


def test_every_loader_of_a_kind_of_model_is_asked() -> None:
    """Pictures and films run in diffusers and ComfyUI, our own base in the engine too, text in PEFT."""
    assert loaders_for(known("flux-icons-64")) == ("engine", "diffusers", "comfyui")
    assert loaders_for(known("wan-14b")) == ("diffusers", "comfyui")
    text = next(each for each in families() if each.modality == "text")
    assert loaders_for(text) == ("peft", "vllm")
    base = known("flux1")
    found = adapter_of(
        spell(base, Layout("diffusers", "diffusers", "lora_A", alpha=False), named(base, "diffusers"))
    )
    assert [told.loader for told in predictions(found, fit_to(found, base))] == ["diffusers", "comfyui"]


def test_a_spelling_that_does_not_run_is_a_finding() -> None:
    """KEYS_PREFIX is about the spelling alone: a stranger among sound modules does not cause it."""
    base = known("flux1")
    sound = spell(
        base, Layout("diffusers", "diffusers", "lora_A", alpha=False), named(base, "diffusers")[:40]
    )
    stranger = adapter_of(
        {**sound, "transformer.made.up.lora_A.weight": (1, 4), "transformer.made.up.lora_B.weight": (4, 1)}
    )
    assert list(layout_findings(stranger, fit_to(stranger, base))) == []
    assert layout_outcome(stranger, fit_to(stranger, base)) is Outcome.OK
    bare = adapter_of({name.removeprefix("transformer."): shape for name, shape in sound.items()})
    (found,) = layout_findings(bare, fit_to(bare, base))
    assert (found.code, found.evidence["outcome"], found.evidence["layout"]) == (
        "KEYS_PREFIX",
        "ignored",
        "bare",
    )
    assert "ignores all 80 tensors" in found.message
    assert list(layout_findings(bare, None)) == []


def cases() -> Iterator[tuple[str, Layout]]:
    """List every layout of some families."""
    for key in ("flux1", "z-image", "wan2.1-i2v-14b", "sdxl", "flux-icons-64"):
        yield from ((key, layout) for layout in matrix(known(key)))


@given(st.sampled_from(list(cases())), st.data())
def test_any_part_of_any_layout_gets_a_sound_prediction(
    case: tuple[str, Layout], data: st.DataObject
) -> None:
    """No more layers are changed than are meant, and a file that acts misses none; nothing ever raises."""
    key, layout = case
    base = known(key)
    every = [
        layer
        for layer in named(base, layout.naming, xlabs=layout.prefix == "xlabs")
        if can_have(layout, layer)
    ]
    if not every:
        return
    shapes = spell(base, layout, data.draw(st.lists(st.sampled_from(every), min_size=1, max_size=6)))
    gone = data.draw(st.sets(st.sampled_from(sorted(shapes)), max_size=2))
    found = adapter_of({name: shape for name, shape in shapes.items() if name not in gone})
    fit = fit_to(found, base)
    for told in (*predictions(found, fit), predict_layout(found, fit, "diffusers")):
        assert 0 <= told.modules <= max(told.expected, told.modules if told.outcome is Outcome.RANDOM else 0)
        assert told.acts <= (told.modules == told.expected)
        assert (told.modules > 0) is (told.outcome not in (Outcome.IGNORED, Outcome.REFUSED, Outcome.UNKNOWN))
