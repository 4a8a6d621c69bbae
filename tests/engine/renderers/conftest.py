"""One renderer of each kind for all tests of a run: opening the reference takes seconds.

One thread each: on cores that other work shares, threads that wait for each other cost ten times more.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lorry.engine.renderers import Renderer, open_renderer


@pytest.fixture(scope="session")
def shared_onnx() -> Renderer:
    """Open the onnx renderer once."""
    return open_renderer("onnx", threads=1)


@pytest.fixture
def onnx(shared_onnx: Renderer) -> Iterator[Renderer]:
    """Give the onnx renderer and take a test's adapters out again."""
    yield shared_onnx
    for key in ("a", "b", "tok", "blueprint"):
        shared_onnx.unload(key)


@pytest.fixture(scope="session")
def shared_reference() -> Renderer:
    """Open the diffusers renderer once, where its extra is installed."""
    for name in ("torch", "diffusers", "peft", "transformers", "accelerate"):
        pytest.importorskip(name, reason="needs the extra `diffusers`")
    return open_renderer("diffusers", threads=1)


@pytest.fixture
def reference(shared_reference: Renderer) -> Iterator[Renderer]:
    """Give the diffusers renderer and take a test's adapters out again."""
    yield shared_reference
    for key in ("a", "b", "tok", "blueprint"):
        shared_reference.unload(key)
