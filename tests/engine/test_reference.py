"""The reference of the engine is true."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi.openapi.utils import get_openapi

from lorry.engine.app import build
from lorry.engine.config import EngineConfig
from lorry.engine.inference.images import LARGEST_SIZE, NATIVE_SIZE, ImageRequest
from lorry.engine.inference.loras import MOST_LORAS
from lorry.engine.inference.pictures import KEPT_PICTURES
from lorry.engine.server import check_weights
from lorry.engine.testing import FlatLanguageModel, FlatRenderer
from lorry.engine.works import open_works

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "engine.md"


def test_every_route_is_in_the_reference_and_every_one_there_exists(home: Path) -> None:
    """The table of routes is exactly what the engine answers, the Hub's apart."""
    works = open_works(EngineConfig(home))
    try:
        app = build(works, FlatRenderer, check_weights, lambda _: FlatLanguageModel()).app
        # The Hub is mounted last, and has a reference of its own protocol.
        paths = get_openapi(title="", version="", routes=app.routes[:-1])["paths"]
    finally:
        works.close()
    real = {
        (method.upper(), path.replace("/v2/projects/{project}", "P"))
        for path, methods in paths.items()
        for method in methods
    }
    told = set(re.findall(r"^\| (GET|PUT|POST|PATCH|DELETE) \| `([^`]+)` \|", PAGE.read_text(), re.MULTILINE))
    assert told == real


def test_the_fields_of_a_picture_are_in_the_reference() -> None:
    """Every field that makes a difference has its row, with the bounds of the code."""
    text = PAGE.read_text()
    rows = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.+?) \|", text, re.MULTILINE))))
    assert set(ImageRequest.model_fields) - {"model", "user"} <= rows
    assert f"{NATIVE_SIZE} to {LARGEST_SIZE}" in text
    assert f"at most {MOST_LORAS} of" in text
    assert f"{KEPT_PICTURES:,} that were answered" in text
