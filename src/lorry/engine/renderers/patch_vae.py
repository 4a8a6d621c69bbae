"""A linear "VAE" in diffusers' clothes: what the small base model calls its latent space.

An 8x8 px patch becomes one token of 64 numbers by a half-whitened PCA; shaped as 16 channels at a
quarter of the size, so that FluxPipeline's 2x2 packing gives exactly those tokens. A small convolution
after decoding hides the patch seams. Needs torch and diffusers (extra ``diffusers``).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn


class PatchVAE(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Encode and decode pictures of values -1..1; sides are multiples of the patch."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        latent_channels: int = 16,
        # FluxPipeline reads these three from the config: the down-scaling, 4, is in the first one's length.
        block_out_channels: tuple[int, ...] = (1, 1, 1),  # noqa: ARG002
        scaling_factor: float = 1.0,  # noqa: ARG002
        shift_factor: float = 0.0,  # noqa: ARG002
        patch: int = 8,
        refine: int = 24,
    ) -> None:
        super().__init__()
        width, pixels = latent_channels * 4, 3 * patch * patch
        self.register_buffer("mu", torch.zeros(pixels))
        self.register_buffer("enc", torch.zeros(pixels, width))
        self.register_buffer("dec", torch.zeros(width, pixels))
        self.post = nn.Sequential(
            nn.Conv2d(3, refine, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(refine, refine, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(refine, refine, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(refine, 3, 3, padding=1),
        )
        nn.init.zeros_(self.post[-1].weight)
        nn.init.zeros_(self.post[-1].bias)

    def tokens(self, pictures: Tensor) -> Tensor:
        """Encode pictures [n, 3, h, w] into the transformer's tokens [n, h*w/64, 64]."""
        n, _, height, width = pictures.shape
        patch = self.config.patch
        grid = pictures.reshape(n, 3, height // patch, patch, width // patch, patch)
        patches = grid.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, 3 * patch * patch)
        return (patches - self.mu) @ self.enc

    def from_tokens(self, tokens: Tensor, height: int, width: int, refine: bool = True) -> Tensor:
        """Decode tokens [n, h*w/64, 64] into pictures [n, 3, h, w]."""
        patch = self.config.patch
        patches = tokens @ self.dec + self.mu
        grid = patches.reshape(-1, height // patch, width // patch, 3, patch, patch)
        pictures = grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, height, width)
        return pictures + self.post(pictures) if refine else pictures

    def decode(self, latents: Tensor, return_dict: bool = True) -> Any:
        """Decode FLUX-shaped latents [n, 16, h/4, w/4]; the signature is diffusers' own."""
        n, channels, height, width = latents.shape
        grid = latents.reshape(n, channels, height // 2, 2, width // 2, 2)
        tokens = grid.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, channels * 4)
        pictures = self.from_tokens(tokens, height * 4, width * 4)
        return SimpleNamespace(sample=pictures) if return_dict else (pictures,)
