"""Draw with any pipeline that diffusers saved: what a container's worker does with a base of its own.

Classes, LoRA loaders and mathematics are diffusers' and peft's own; this keeps adapters apart, counts the
layers that they changed, and seeds the noise so that the same job gives the same picture.
"""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lorry.container.bench import Drawing
from lorry.engine.renderers.port import Picture
from lorry.errors import AdapterUnusable, ExtraMissing, OptionInvalid

if TYPE_CHECKING:
    import torch

#: LoRAs that stay loaded, the least recently used leaving first; more than any one job has.
RESIDENTS = 16

#: The longest edge that is drawn: beyond it pipelines for 1024 pixels repeat themselves.
LARGEST = 2048


class PipelineBench:
    """A pipeline in a folder as a bench.

    Args:
        base: Public id of the base model; LoRAs are checked against it.
        folder: Where diffusers saved it.

    Raises:
        ExtraMissing: diffusers is not installed.
        OptionInvalid: The folder holds no pipeline that can be opened.
    """

    base: str
    largest = LARGEST

    def __init__(self, base: str, folder: Path) -> None:
        self.base = base
        self._pipeline = _opened(folder)
        self._loaded: OrderedDict[str, int] = OrderedDict()

    @property
    def multiple(self) -> int:
        """Edges are multiples of so many pixels: what the VAE shrinks by, and the transformer's patches."""
        return 2 * int(getattr(self._pipeline, "vae_scale_factor", 8))

    def load(self, digest: str, path: Path) -> int:
        """Load a LoRA under its digest; see the port."""
        if digest not in self._loaded:
            self._loaded[digest] = self._injected(digest, path)
        self._loaded.move_to_end(digest)
        while len(self._loaded) > RESIDENTS:
            self._forget(self._loaded.popitem(last=False)[0])
        return self._loaded[digest]

    def draw(self, drawings: Sequence[Drawing]) -> list[Picture]:
        """Draw one picture after another; see the port."""
        for drawing in drawings:
            for use in drawing.uses:
                if use.digest not in self._loaded:
                    raise AdapterUnusable(f"The LoRA {use.digest[:12]} is not loaded.")
        return [self._drawn(drawing) for drawing in drawings]

    def close(self) -> None:
        """Let go of the LoRAs."""
        while self._loaded:
            self._forget(self._loaded.popitem()[0])

    def _injected(self, digest: str, path: Path) -> int:
        """Load an adapter with diffusers' own loader, and count the layers that it changes."""
        name = _inner(digest)
        try:
            with _quiet():
                self._pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name=name)
        except Exception as error:
            self._forget(digest)
            first = " ".join(str(error).split())[:300]
            message = f"{path.name} can't be loaded: {type(error).__name__}: {first}"
            raise AdapterUnusable(message, evidence={"file": path.name}) from error
        return self._layers(name)

    def _layers(self, name: str) -> int:
        from peft.tuners.lora.layer import LoraLayer

        return sum(
            isinstance(module, LoraLayer) and name in module.r
            for part in self._parts()
            for module in part.modules()
        )

    def _parts(self) -> Iterator[torch.nn.Module]:
        for name in ("transformer", "transformer_2", "unet"):
            if (part := getattr(self._pipeline, name, None)) is not None:
                yield part

    def _forget(self, digest: str) -> None:
        if self._layers(_inner(digest)):
            self._pipeline.delete_adapters(_inner(digest))

    def _drawn(self, drawing: Drawing) -> Picture:
        import torch

        self._activate(drawing)
        asked: dict[str, Any] = {
            "prompt": drawing.prompt,
            "negative_prompt": drawing.negative_prompt or None,
            "width": drawing.width,
            "height": drawing.height,
            "num_inference_steps": drawing.steps,
            "guidance_scale": drawing.guidance,
        }
        takes = inspect.signature(type(self._pipeline).__call__).parameters
        given = {name: value for name, value in asked.items() if value is not None and name in takes}
        # Noise from the processor's generator: the same seed gives the same noise on every kind of device.
        noise = torch.Generator("cpu").manual_seed(drawing.seed)
        with torch.inference_mode(), _quiet():
            pictures = self._pipeline(**given, generator=noise, output_type="np").images
        return np.round(np.asarray(pictures[0]) * 255).astype(np.uint8)

    def _activate(self, drawing: Drawing) -> None:
        acting = [use for use in drawing.uses if self._loaded[use.digest]]
        if acting:
            self._pipeline.enable_lora()
            names = [_inner(use.digest) for use in acting]
            self._pipeline.set_adapters(names, adapter_weights=[use.scale for use in acting])
        elif any(self._loaded.values()):
            self._pipeline.disable_lora()


def _opened(folder: Path) -> Any:
    """Open a pipeline: on the accelerator in bfloat16 where there is one, else in float32."""
    try:
        import torch
        from diffusers import DiffusionPipeline
    except ImportError as error:
        raise ExtraMissing(
            "A base in a folder is drawn with diffusers, which this installation lacks.",
            fix="Install `lorry[diffusers]` in the container's image.",
        ) from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    try:
        with _quiet():
            pipeline = DiffusionPipeline.from_pretrained(folder, torch_dtype=dtype, local_files_only=True)
    except Exception as error:
        first = " ".join(str(error).split())[:300]
        raise OptionInvalid(
            f"{folder} holds no pipeline that diffusers opens: {type(error).__name__}: {first}",
            fix="Set LORRY_BASE_FOLDER to a folder that `save_pretrained` of a pipeline wrote.",
            evidence={"folder": str(folder)},
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _inner(digest: str) -> str:
    """Name an adapter for torch, whose module names may hold no dots."""
    return f"lora_{hashlib.sha256(digest.encode()).hexdigest()[:16]}"


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
