"""The real base, read once for all runs, and what is loaded into it taken out after each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lorry.engine.language.flat import FlatLanguageModel
from lorry.engine.language.port import LanguageModel

KEYS = ("one", "two", "three")


@pytest.fixture(scope="session")
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder in which the base is kept, from one run of the tests to the next."""
    cache = getattr(request.config, "cache", None)
    return Path(cache.mkdir("lorry-language")) if cache else tmp_path_factory.mktemp("language")


@pytest.fixture(scope="session")
def opened(kept: Path) -> LanguageModel:
    """Open the real base."""
    from lorry.engine.language.open import open_language

    return open_language(None, kept)


@pytest.fixture
def real(opened: LanguageModel) -> Iterator[LanguageModel]:
    """Give the real base without adapters."""
    yield opened
    for key in KEYS:
        opened.unload(key)


@pytest.fixture(scope="session")
def tiny_folder(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a checkpoint that is small enough to be spoilt often: two layers, a context of 64."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from lorry.engine.language.open import base_folder

    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=49152,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base_folder(kept)).save_pretrained(folder)
    return folder


@pytest.fixture
def tiny(tiny_folder: Path, kept: Path) -> LanguageModel:
    """Open that checkpoint."""
    from lorry.engine.language.open import open_language

    return open_language(tiny_folder, kept)


@pytest.fixture(params=["flat", pytest.param("real", marks=pytest.mark.reference)])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    """Give each language model in turn: the contract holds for both."""
    if request.param == "flat":
        return FlatLanguageModel()
    found: LanguageModel = request.getfixturevalue("real")
    return found
