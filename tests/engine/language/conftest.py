"""The real base, read once for all runs, and what is loaded into it taken out after each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from lorry.engine.language.flat import FlatLanguageModel
from lorry.engine.language.port import LanguageModel

KEYS = ("one", "two", "three")


class Write(Protocol):
    """Writes an adapter and gives its folder."""

    def __call__(self, name: str, **wishes: object) -> Path:
        """Write one; the wishes are those of `write_adapter`."""


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


@pytest.fixture(params=["flat", pytest.param("real", marks=pytest.mark.reference)])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    """Give each language model in turn: the contract holds for both."""
    if request.param == "flat":
        return FlatLanguageModel()
    found: LanguageModel = request.getfixturevalue("real")
    return found
