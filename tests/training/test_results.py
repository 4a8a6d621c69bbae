"""Which files below a folder are results: what each trainer leaves (LoRA formats dossier, section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.training.results import Result, results
from lorry.weights.trainers.names import left_out

#: Files below a folder called `out`; and of each training what is shipped, its name, whether it has ended.
TREES: dict[str, tuple[Sequence[str], Sequence[tuple[str, str, bool]]]] = {
    "diffusers": (
        ["ann/pytorch_lora_weights.safetensors", "ann/checkpoint-500/pytorch_lora_weights.safetensors"],
        [("ann/pytorch_lora_weights.safetensors", "ann", True)],
    ),
    "diffusers, under way": (
        [f"ann/checkpoint-{step}/pytorch_lora_weights.safetensors" for step in (500, 1000)],
        [("ann/checkpoint-1000/pytorch_lora_weights.safetensors", "ann", False)],
    ),
    "ai-toolkit": (
        ["tok/tok.safetensors", "tok/tok_000000250.safetensors", "tok/tok_000000500.safetensors"],
        [("tok/tok.safetensors", "tok", True)],
    ),
    "kohya, several in one folder": (
        [
            "ann.safetensors",
            "ann-000001.safetensors",
            "bob-000001.safetensors",
            "bob-000002.safetensors",
            "ann-000001-state/model.safetensors",
        ],
        [("ann.safetensors", "ann", True), ("bob-000002.safetensors", "bob", False)],
    ),
    "kohya without a name": (
        ["run/last.safetensors", "run/epoch-000001.safetensors"],
        [("run/last.safetensors", "run", True)],
    ),
    "PEFT": (
        ["chat/adapter_model.safetensors", "chat/checkpoint-9/adapter_model.safetensors"],
        [("chat/adapter_model.safetensors", "chat", True)],
    ),
    "OneTrainer": (
        ["ws/save/2026-01-02_10-00-00-save-100-1-0.safetensors", "ws/ann.safetensors"],
        [("ws/ann.safetensors", "ann", True)],
    ),
    "LTX": (
        ["ltx/checkpoints/lora_weights_step_02000.safetensors"],
        [("ltx/checkpoints/lora_weights_step_02000.safetensors", "ltx", False)],
    ),
    "Wan 2.2, a pair": (
        ["wan/ann_high_noise.safetensors", "wan/ann_low_noise.safetensors"],
        [("wan/ann_high_noise.safetensors", "ann", True)],
    ),
    "a pipeline": (
        [
            "full/model_index.json",
            "full/transformer/diffusion_pytorch_model.safetensors",
            "full/vae/diffusion_pytorch_model.safetensors",
        ],
        [("full", "full", True)],
    ),
    "a pipeline at the top": (
        ["model_index.json", "unet/diffusion_pytorch_model.safetensors"],
        [(".", "out", True)],
    ),
    "shards": (
        [
            "llm/model.safetensors.index.json",
            "llm/model-00001-of-00002.safetensors",
            "llm/model-00002-of-00002.safetensors",
        ],
        [("llm/model.safetensors.index.json", "llm", True)],
    ),
    "at the top": (["pytorch_lora_weights.safetensors"], [("pytorch_lora_weights.safetensors", "out", True)]),
    "nothing of ours": (
        ["a/optimizer.safetensors", "b/latent_cache/x.safetensors", "c/adapter_config.json"],
        [],
    ),
}


@pytest.mark.parametrize(("files", "wanted"), TREES.values(), ids=TREES)
def test_what_each_trainer_leaves(files: Sequence[str], wanted: Sequence[tuple[str, str, bool]]) -> None:
    """Of each training one file is meant, under the name that says most; a numbered step is not its end."""
    found = results(files, "out")
    assert [(each.path, each.name, each.final) for each in found] == sorted(wanted)
    assert not any(each.key.startswith("/") for each in found)  # it would lead out of the folder


_WORDS = st.sampled_from(
    ["ann", "tok", "checkpoint-500", "ema", "save", "out", "tok_000000250", "tok-000003"]
)
_FILES = st.sampled_from(
    ["pytorch_lora_weights", "tok", "tok_000000500", "ann-000001", "last", "adapter_model"]
)
_PATHS = st.builds(
    lambda folders, name: "/".join([*folders, f"{name}.safetensors"]), st.lists(_WORDS, max_size=3), _FILES
)


@given(st.sets(_PATHS, max_size=12))
def test_every_result_is_a_file_and_no_file_is_of_two(paths: set[str]) -> None:
    """Whatever lies there: what is shipped is there, belongs to its training, and trainings share no file."""
    found = results(paths, "out")
    files = [path for each in found for path in each.files]
    assert len(files) == len(set(files))
    for each in found:
        assert isinstance(each, Result)
        assert each.path in each.files
        assert each.path in paths
        assert not left_out(each.path)


@given(st.sets(_PATHS, max_size=12))
def test_the_order_of_a_listing_changes_nothing(paths: set[str]) -> None:
    """A folder is walked in whatever order the disk gives."""
    assert results(sorted(paths), "out") == results(sorted(paths, reverse=True), "out")
