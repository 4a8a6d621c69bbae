"""Renderers: one port, two implementations, the small base model underneath."""

from __future__ import annotations

from lorry.engine.renderers.base import base_model, matching_layers, native_size
from lorry.engine.renderers.open import open_renderer, require_renderer
from lorry.engine.renderers.port import AdapterUse, LoadedAdapter, Picture, Renderer, RenderRequest

__all__ = [
    "AdapterUse",
    "LoadedAdapter",
    "Picture",
    "RenderRequest",
    "Renderer",
    "base_model",
    "matching_layers",
    "native_size",
    "open_renderer",
    "require_renderer",
]
