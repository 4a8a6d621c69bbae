"""Draw with diffusers' own FluxPipeline and LoRA loader: the reference that the onnx renderer is held to."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lorry.engine.renderers.adapter_file import find_pairs, read_tensors
from lorry.engine.renderers.base import base_model
from lorry.engine.renderers.flow import not_loaded, starting_noise
from lorry.engine.renderers.port import (
    Abandoned,
    DrawingAbandoned,
    LoadedAdapter,
    Picture,
    RenderRequest,
    never,
)
from lorry.engine.renderers.quiet import quiet_libraries
from lorry.engine.renderers.text import TextEncoder
from lorry.errors import AdapterUnusable


class DiffusersRenderer:
    """The same weights in the field's own classes."""

    name = "diffusers"

    def __init__(self, threads: int | None = None) -> None:
        """Build the pipeline, in float32.

        Args:
            threads: torch's intra-op threads, which are the whole process's; None leaves them.
        """
        import torch

        if threads:
            torch.set_num_threads(threads)
        self._base = base_model()
        self._encoder = TextEncoder(self._base.vocabulary, threads or 0)
        self._pipeline = _pipeline(self._base.folder)
        self._loaded: dict[str, LoadedAdapter] = {}

    def load(self, key: str, path: Path) -> LoadedAdapter:
        """Load an adapter with diffusers' loader and count what peft injected; see the port."""
        # Checked by us first: diffusers widens the base itself for an A that is too wide (its way of loading
        # FLUX's control adapters), and the base stays changed.
        pairs = find_pairs(read_tensors(path)[0], self._base, path)
        self.unload(key)
        if not pairs:
            self._loaded[key] = LoadedAdapter(key, 0, 0)
            return self._loaded[key]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # peft remarks on a second adapter, which is what we want
                self._pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name=_inner(key))
        except (RuntimeError, ValueError, TypeError, KeyError) as error:
            self._forget(key)
            message = f"{path.name}: {_first_lines(error)}"
            raise AdapterUnusable(message, evidence={"file": path.name}) from error
        self._loaded[key] = LoadedAdapter(key, *self._injected(key))
        return self._loaded[key]

    def unload(self, key: str) -> None:
        """Forget an adapter and free its memory; an unknown key is no error."""
        if self._loaded.pop(key, None) is not None:
            self._forget(key)

    def render(self, requests: Sequence[RenderRequest], abandoned: Abandoned = never) -> list[Picture]:
        """Draw the requests one after another; see the port."""
        for request in requests:
            for use in request.adapters:
                if use.key not in self._loaded:
                    raise not_loaded(use.key)
        pictures = []
        for request in requests:
            if abandoned():
                raise DrawingAbandoned
            pictures.append(self._draw(request))
        return pictures

    def _draw(self, request: RenderRequest) -> Picture:
        import torch

        self._activate(request)
        tokens, pooled = self._encoder.encode(request.prompt)
        embeddings: dict[str, Any] = {"prompt_embeds": tokens, "pooled_prompt_embeds": pooled}
        if request.guidance > 1:
            tokens, pooled = self._encoder.encode(request.negative_prompt)
            embeddings |= {"negative_prompt_embeds": tokens, "negative_pooled_prompt_embeds": pooled}
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pictures = self._pipeline(
                **{name: torch.from_numpy(value)[None] for name, value in embeddings.items()},
                latents=torch.from_numpy(starting_noise(request.seed))[None],
                height=self._base.size,
                width=self._base.size,
                num_inference_steps=request.steps,
                true_cfg_scale=request.guidance,
                output_type="np",
            ).images
        return np.round(np.asarray(pictures[0]) * 255).astype(np.uint8)

    def _activate(self, request: RenderRequest) -> None:
        used = [use for use in request.adapters if self._loaded[use.key].modules]
        if used:
            self._pipeline.enable_lora()
            names = [_inner(use.key) for use in used]
            self._pipeline.set_adapters(names, adapter_weights=[use.scale for use in used])
        elif any(adapter.modules for adapter in self._loaded.values()):
            self._pipeline.disable_lora()

    def _injected(self, key: str) -> tuple[int, int]:
        """Count the layers that peft wrapped for an adapter, and find the largest rank."""
        from peft.tuners.lora.layer import LoraLayer

        layers = [module for module in self._pipeline.transformer.modules() if isinstance(module, LoraLayer)]
        ranks = [layer.r[_inner(key)] for layer in layers if _inner(key) in layer.r]
        return len(ranks), max(ranks, default=0)

    def _forget(self, key: str) -> None:
        """Take an adapter's layers out again, also after half a load."""
        if self._injected(key)[0]:
            self._pipeline.delete_adapters(_inner(key))


def _inner(key: str) -> str:
    """Name an adapter for torch, whose module names may hold no dots."""
    return "a" + hashlib.sha256(key.encode()).hexdigest()[:16]


def _first_lines(error: Exception) -> str:
    """Shorten a loader's message, which may list every tensor of the file."""
    return " ".join(str(error).split())[:300]


def _pipeline(folder: Path) -> Any:
    """Assemble FluxPipeline without text encoders: embeddings are handed in."""
    import torch

    # Their remarks (no torchvision, an adapter without a part for the text encoder) mean nothing here, where
    # what was injected is counted; the engine's own lines would drown in them.
    quiet_libraries()
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    from lorry.engine.renderers.patch_vae import PatchVAE

    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        vae=PatchVAE.from_pretrained(folder / "vae", torch_dtype=torch.float32),
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
        transformer=FluxTransformer2DModel.from_pretrained(folder / "transformer", torch_dtype=torch.float32),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
