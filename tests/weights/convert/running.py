"""Convert a few tensors and read what was written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lorry.weights.convert.conversion import convert
from lorry.weights.convert.options import Conversion, Layout, Options
from tests.weights.convert.deltas import Doubles, read, save
from tests.weights.files import Made


def run(
    folder: Path,
    tensors: Mapping[str, Made],
    metadata: object = None,
    *,
    to: str | None = None,
    **options: Any,
) -> tuple[Conversion, dict[str, Doubles]]:
    """Convert a file of these tensors in a folder, and read the result."""
    source = save(folder / "in" / "x.safetensors", tensors, metadata)
    return rerun(source, folder / "out", to=to, **options)


def rerun(
    source: Path, out: Path, *, to: str | None = None, **options: Any
) -> tuple[Conversion, dict[str, Doubles]]:
    """Convert a file, and read the result."""
    done = convert(source, out, Options(to=Layout(to) if to else None, **options))
    return done, read(done.file)[0]
