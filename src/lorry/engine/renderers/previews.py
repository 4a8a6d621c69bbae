"""A picture from the latents of a pipeline that is still drawing, as the pipeline does it at its end."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lorry.engine.renderers.port import Picture


def decoded(pipeline: Any, latents: Tensor, wide: int, high: int) -> Picture:
    """Decode the latents of one picture.

    Args:
        pipeline: Whose they are.
        latents: As its steps have them: [1, channels, height, width], or squares of four in one row.
        wide: Width of the picture in px.
        high: Its height.
    """
    with torch.inference_mode():
        shown = pipeline.vae.decode(_unpacked(pipeline, latents, wide, high).to(pipeline.vae.dtype))[0]
        shown = shown[:, :, 0] if shown.ndim == 5 else shown  # one frame, where the VAE knows films
        shown = (shown.float() / 2 + 0.5).clamp(0, 1)[0].permute(1, 2, 0)
    return np.asarray(np.round(shown.cpu().numpy() * 255), np.uint8)


def _unpacked(pipeline: Any, latents: Tensor, wide: int, high: int) -> Tensor:
    """Undo what a pipeline does to latents: packing, and scaling by what its VAE has learnt."""
    vae = pipeline.vae
    if hasattr(pipeline, "_unpatchify_latents"):  # FLUX.2: each channel of a token has its own mean
        down, across = high // (2 * pipeline.vae_scale_factor), wide // (2 * pipeline.vae_scale_factor)
        rows = latents.transpose(1, 2).reshape(len(latents), -1, down, across)
        mean = vae.bn.running_mean.view(1, -1, 1, 1).to(rows)
        deviation = torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps).to(rows)
        unpacked: Tensor = pipeline._unpatchify_latents(rows * deviation + mean)
        return unpacked
    if latents.ndim == 3:
        latents = pipeline._unpack_latents(latents, high, wide, pipeline.vae_scale_factor)
    if hasattr(vae.config, "latents_mean") and latents.ndim == 5:  # Qwen-Image
        mean, deviation = (
            torch.tensor(told).view(1, -1, 1, 1, 1).to(latents)
            for told in (vae.config.latents_mean, vae.config.latents_std)
        )
        return latents * deviation + mean
    shift = getattr(vae.config, "shift_factor", None) or 0.0
    return latents / getattr(vae.config, "scaling_factor", 1.0) + shift
