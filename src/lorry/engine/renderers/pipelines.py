"""Draw with any pipeline that diffusers saved: FLUX.1, FLUX.2, SDXL, Qwen-Image, Z-Image and others.

Pipelines, name translation and mathematics are diffusers' own. This puts pictures of one shape into one
batch, each with its own prompt, seed and LoRAs (`mixing`), seeds the noise so that the same request gives the
same picture on every kind of device, and shows pictures while they are drawn.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lorry.engine.renderers.mixing import Change, Mixer
from lorry.engine.renderers.parcels import Parcel, packed
from lorry.engine.renderers.pipeline_lora import read_lora
from lorry.engine.renderers.pipeline_opening import Base, compile_blocks, open_pipeline, quiet
from lorry.engine.renderers.port import (
    Canvas,
    Feed,
    Look,
    ReadAdapter,
    Renderer,
    RenderRequest,
    Ticket,
)
from lorry.errors import AdapterUnusable

if TYPE_CHECKING:
    import torch

#: The longest edge that is drawn: beyond it pipelines for 1024 pixels repeat themselves.
LARGEST = 2048

#: Pictures in one batch, and their pixels together: eight of 1024.
LARGEST_BATCH, _PIXELS = 8, 8 << 20

_DENOISERS = ("transformer", "transformer_2", "unet")
_ENCODERS = ("text_encoder", "text_encoder_2")


class PipelineRenderer(Renderer):
    """A pipeline as a renderer.

    Args:
        base: The base model, and how it is opened.

    Raises:
        ExtraMissing: diffusers is not installed.
        OptionInvalid: There is no pipeline that can be opened.
    """

    name = "pipeline"
    places_beside = True

    def __init__(self, base: Base) -> None:
        self.base = base.id
        self._pipeline = open_pipeline(base)
        self._takes = inspect.signature(type(self._pipeline).__call__).parameters
        #: Where `guidance_scale` is what a distilled base is told, and another argument guides (Qwen-Image).
        self._truly_guided = _default(self._takes, "true_cfg_scale", 0.0) > 1
        self.canvas = self._canvas()
        self._parts = dict(self._found_parts())
        self._mixer = Mixer(self._parts)
        denoiser = next(iter(self._parts.values()))
        self._device, self._dtype = denoiser.device, denoiser.dtype
        self._adapters: dict[str, Mapping[str, Change]] = {}
        if base.compile:
            for name in _DENOISERS:
                if name in self._parts:
                    compile_blocks(self._parts[name])

    def read(self, path: Path) -> ReadAdapter:
        """Read a LoRA by diffusers' own names; see the port. Counted are the layers of the denoiser."""
        parcel = packed(read_lora(self._pipeline, self._mixer, path), self._dtype)
        counted = sum(name.partition(".")[0] in _DENOISERS for name in parcel.shapes)
        return ReadAdapter(counted, parcel.rank, parcel.size, parcel)

    def place(self, key: str, adapter: ReadAdapter) -> int:
        """Bring it to the device in one piece; see the port."""
        parcel: Parcel = adapter.content
        self._adapters[key] = parcel.unpacked(self._device)
        return parcel.size

    def unload(self, key: str) -> None:
        """Forget an adapter; a batch that was begun with it goes on. See the port."""
        self._adapters.pop(key, None)

    def shape(self, request: RenderRequest) -> Hashable:
        """Draw together what has one size, number of steps and guidance; see the port."""
        return *_size(request, self.canvas), request.steps, request.guidance, bool(request.negative_prompt)

    def fits(self, requests: Sequence[RenderRequest]) -> bool:
        """Count pictures and pixels; see the port."""
        wide, high = _size(requests[0], self.canvas)
        return len(requests) <= LARGEST_BATCH and len(requests) * wide * high <= _PIXELS

    def draw(self, feed: Feed) -> None:
        """Draw one batch after another; see the port."""
        while tickets := feed.take(()):
            known: list[Ticket] = []
            for ticket in tickets:
                if ticket.abandoned():
                    continue
                missing = next((u.key for u in ticket.request.adapters if u.key not in self._adapters), None)
                if missing is None:
                    known.append(ticket)
                else:
                    feed.fail(ticket, AdapterUnusable(f"The LoRA {missing[:12]} is not loaded."))
            if known:
                self._batch(known, feed)

    def _batch(self, tickets: Sequence[Ticket], feed: Feed) -> None:
        stacks = [
            [(self._adapters[use.key], use.scale) for use in ticket.request.adapters if use.scale]
            for ticket in tickets
        ]
        pictures = self._pictures(tickets, stacks, feed)
        if pictures is None:  # nobody wants them any more
            return
        for ticket, picture in zip(tickets, pictures, strict=True):
            if np.isfinite(picture).all():
                feed.finish(ticket, np.round(picture * 255).astype(np.uint8))
            else:
                feed.fail(ticket, _black(ticket.request))

    def _pictures(self, tickets: Sequence[Ticket], stacks: Any, feed: Feed) -> Any:
        """Run the pipeline; give float pictures 0..1, or nothing once nobody wants any of them."""
        import torch

        requests = [ticket.request for ticket in tickets]
        left = False

        def stepped(pipeline: Any, step: int, _: Any, given: dict[str, Any]) -> dict[str, Any]:
            nonlocal left
            if all(ticket.abandoned() for ticket in tickets):
                left = pipeline._interrupt = True
            for number, ticket in enumerate(tickets):
                feed.step(ticket, step + 1, self._look(given, number, requests[number]))
            return {}

        watched = {"callback_on_step_end": stepped} if "callback_on_step_end" in self._takes else {}
        # Noise from the processor's generator: the same seed gives the same noise on every kind of device.
        noise = [torch.Generator("cpu").manual_seed(request.seed) for request in requests]
        with torch.inference_mode(), quiet(), self._mixer.acting(stacks):
            result = self._pipeline(**self._asked(requests), **watched, generator=noise, output_type="np")
        return None if left else np.asarray(result.images, np.float32)

    def _asked(self, requests: Sequence[RenderRequest]) -> dict[str, Any]:
        first = requests[0]
        wide, high = _size(first, self.canvas)
        asked: dict[str, Any] = {
            "prompt": [request.prompt for request in requests],
            "width": wide,
            "height": high,
            "num_inference_steps": first.steps,
            "guidance_scale": first.guidance,
        }
        if first.negative_prompt or (self._truly_guided and first.guidance > 1):
            # A space for none: such a base is guided only where there is something to lead away from.
            asked["negative_prompt"] = [request.negative_prompt or " " for request in requests]
            asked["true_cfg_scale"] = first.guidance
        return {name: value for name, value in asked.items() if name in self._takes}

    def _look(self, given: dict[str, Any], number: int, request: RenderRequest) -> Look:
        from lorry.engine.renderers.previews import decoded

        latents = given["latents"][number : number + 1]
        return lambda: decoded(self._pipeline, latents, *_size(request, self.canvas))

    def _found_parts(self) -> Iterator[tuple[str, torch.nn.Module]]:
        for name in (*_DENOISERS, *_ENCODERS):
            if (part := getattr(self._pipeline, name, None)) is not None:
                yield name, part

    def _canvas(self) -> Canvas:
        factor = int(getattr(self._pipeline, "vae_scale_factor", 8))
        sample = getattr(self._pipeline, "default_sample_size", None) or 1024 // factor
        native = int(sample if isinstance(sample, int) else max(sample)) * factor
        multiple = 2 * factor
        return Canvas(
            native=min(native, LARGEST),
            smallest=multiple,
            largest=LARGEST,
            multiple=multiple,
            square=False,
            own=True,
            steps=_default(self._takes, "num_inference_steps", 28),
            guidance=_default(self._takes, "true_cfg_scale" if self._truly_guided else "guidance_scale", 4.0),
        )


def _default(parameters: Any, name: str, otherwise: Any) -> Any:
    told = parameters[name].default if name in parameters else None
    return type(otherwise)(told) if isinstance(told, int | float) else otherwise


def _size(request: RenderRequest, canvas: Canvas) -> tuple[int, int]:
    wide = request.width or request.height or canvas.native
    return wide, request.height or wide


def _black(request: RenderRequest) -> AdapterUnusable:
    return AdapterUnusable(
        "The picture came out as NaN, which would be black.",
        fix="Lower the scale; where it has no LoRA, open the base in bfloat16 or float32.",
        evidence={"adapters": ", ".join(use.key for use in request.adapters)},
    )
