"""Draw with diffusers' own FluxPipeline and LoRA loader: the reference that the onnx renderer is held to."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lorry.engine.renderers.adapter_file import AdapterFile, read_adapter
from lorry.engine.renderers.base import base_model
from lorry.engine.renderers.batchwise import one_by_one
from lorry.engine.renderers.flow import not_loaded, starting_noise
from lorry.engine.renderers.port import Canvas, Feed, Picture, ReadAdapter, Renderer, RenderRequest
from lorry.engine.renderers.quiet import quiet_libraries
from lorry.engine.renderers.text import TextEncoder
from lorry.errors import AdapterUnusable


@dataclass(frozen=True, slots=True)
class _Checked:
    """A file that fits; diffusers' own loader reads it again."""

    path: Path
    file: AdapterFile


class DiffusersRenderer(Renderer):
    """The same weights in the field's own classes."""

    name = "diffusers"
    places_beside = False

    def __init__(self, threads: int | None = None) -> None:
        """Build the pipeline, in float32.

        Args:
            threads: torch's intra-op threads, which are the whole process's; None leaves them.
        """
        import torch

        if threads:
            torch.set_num_threads(threads)
        self._base = base_model()
        self.canvas = Canvas(self._base.size, self._base.size, 1920, 8, square=True, own=False)
        self._encoder = TextEncoder(self._base.vocabulary, threads or 0)
        self._pipeline = _pipeline(self._base.folder)
        self._loaded: dict[str, int] = {}

    def read(self, path: Path) -> ReadAdapter:
        """Hold a file against the base; see the port."""
        # Checked by us first: diffusers widens the base itself for an A that is too wide (its way of loading
        # FLUX's control adapters), and the base stays changed.
        file = read_adapter(path, self._base)
        return ReadAdapter(len(file.layers), file.rank, file.size, _Checked(path, file))

    def place(self, key: str, adapter: ReadAdapter) -> int:
        """Load an adapter with diffusers' loader, and count what peft injected; see the port."""
        checked: _Checked = adapter.content
        path = checked.path
        self.unload(key)
        if not checked.file.layers:
            self._loaded[key] = 0
            return 0
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # peft remarks on a second adapter, which is what we want
                self._pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name=_inner(key))
        except (RuntimeError, ValueError, TypeError, KeyError, OSError) as error:
            self._forget(key)
            message = f"{path.name}: {_first_lines(error)}"
            raise AdapterUnusable(message, evidence={"file": path.name}) from error
        self._loaded[key], rank = self._injected(key)
        if (self._loaded[key], rank) != (adapter.modules, adapter.rank):
            found = f"{self._loaded[key]} layers of rank {rank}"
            self.unload(key)
            message = f"{path.name} was injected into {found}, not {adapter.modules} of rank {adapter.rank}."
            raise AdapterUnusable(message, evidence={"file": path.name})
        return 2 * adapter.size  # float32 of what is mostly saved in halves

    def unload(self, key: str) -> None:
        """Forget an adapter and free its memory; an unknown key is no error."""
        if self._loaded.pop(key, None) is not None:
            self._forget(key)

    def shape(self, request: RenderRequest) -> Hashable:  # noqa: ARG002 - all are alike
        """Say that everything can be drawn in one go, one after another; see the port."""
        return ()

    def fits(self, requests: Sequence[RenderRequest]) -> bool:
        """Take one at a time, so that nobody waits for more; see the port."""
        return len(requests) <= 1

    def draw(self, feed: Feed) -> None:
        """Draw one picture after another; see the port."""
        one_by_one(feed, self._draw)

    def _draw(self, request: RenderRequest) -> Picture:
        import torch

        for use in request.adapters:
            if use.key not in self._loaded:
                raise not_loaded(use.key)
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
        used = [use for use in request.adapters if self._loaded[use.key]]
        if used:
            self._pipeline.enable_lora()
            names = [_inner(use.key) for use in used]
            self._pipeline.set_adapters(names, adapter_weights=[use.scale for use in used])
        elif any(self._loaded.values()):
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
