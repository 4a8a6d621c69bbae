"""The reference of the engine is true."""

from __future__ import annotations

import re
from pathlib import Path

from lorry.engine.inference.images import ImageRequest
from lorry.engine.inference.loras import MOST_LORAS
from lorry.engine.inference.pictures import KEPT_PICTURES
from lorry.engine.renderers.flat import FlatRenderer
from tools.engine_coverage import anonymous, engine_routes, operations, reason

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "engine.md"


def test_what_is_left_out_has_its_reason() -> None:
    """An operation of the official client that the engine lacks belongs to a group that says why."""
    has = {(method, anonymous(path)) for method, path, _ in engine_routes()}
    lacking = [operation for operation in operations() if operation.key not in has]
    assert [operation.name for operation in lacking if not reason(operation)] == []


def test_every_route_says_what_it_does() -> None:
    """The table of routes, generated from the code, has no empty cell."""
    assert [path for _, path, what in engine_routes() if not what] == []


def test_the_fields_of_a_picture_are_in_the_reference() -> None:
    """Every field that makes a difference has its row, with the bounds of the code."""
    text = PAGE.read_text()
    rows = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.+?) \|", text, re.MULTILINE))))
    assert set(ImageRequest.model_fields) - {"model", "user"} <= rows
    canvas = FlatRenderer.canvas
    assert f"{canvas.smallest} to {canvas.largest}" in text
    assert f"at most {MOST_LORAS} of" in text
    assert f"{KEPT_PICTURES:,} that were answered" in text
