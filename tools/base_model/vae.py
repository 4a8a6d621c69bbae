"""Fit the patch VAE: PCA of 8x8 px patches, then a few minutes of the seam-hiding convolution.

Run it first when nothing is there to begin with::

    python tools/base_model/vae.py --out BUILD/vae --cache BUILD/cache
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from dataset import Icons
from train import VOCABULARY

from lorry.engine.renderers.patch_vae import PatchVAE


def fit_pca(vae: PatchVAE, pictures: torch.Tensor) -> None:
    """Set the linear part: eigenvectors of the patches' covariance, half-whitened.

    Dividing by the fourth root of the variance keeps the loud first components from drowning the fine
    ones in the diffusion loss without blowing up noise; the result has mean variance 1.

    Args:
        vae: changed in place.
        pictures: float32 [n, 3, 64, 64] in -1..1.
    """
    patch, width = vae.config.patch, vae.enc.shape[1]
    n = len(pictures)
    grid = pictures.reshape(n, 3, 64 // patch, patch, 64 // patch, patch)
    patches = grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, 3 * patch * patch).double()
    mean = patches.mean(0)
    variance, vectors = torch.linalg.eigh(torch.cov((patches - mean).T))
    variance, vectors = variance.flip(0)[:width], vectors.flip(1)[:, :width]
    scale = variance**0.25
    scale = scale * ((variance / scale**2).mean() ** 0.5)
    vae.mu.copy_(mean)
    vae.enc.copy_(vectors / scale)
    vae.dec.copy_((vectors * scale).T)


def fit_seams(vae: PatchVAE, icons: Icons, rng: np.random.Generator, steps: int) -> None:
    """Train the convolution on slightly noisy latents, so that it forgives the sampler's errors."""
    optimiser = torch.optim.AdamW(vae.post.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=1e-4)
    for step in range(steps):
        pictures = torch.from_numpy(icons.batch(rng, 24).pictures)
        with torch.no_grad():
            tokens = vae.tokens(pictures)
            tokens = tokens + torch.randn_like(tokens) * 0.03 * torch.rand(len(tokens), 1, 1)
        loss = (vae.from_tokens(tokens, 64, 64) - pictures).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(f"vae step {step} mean error {loss.item():.4f}", flush=True)


@torch.no_grad()
def psnr(vae: PatchVAE, pictures: torch.Tensor, refine: bool) -> float:
    """Measure the round trip in dB, for a value range of 2."""
    back = vae.from_tokens(vae.tokens(pictures), 64, 64, refine).clamp(-1, 1)
    return -10 * math.log10(float((back - pictures).square().mean()) / 4)


def main() -> None:
    """Fit and save the VAE."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    icons = Icons(options.cache, options.vocabulary)
    vae = PatchVAE()
    fit_pca(vae, torch.from_numpy(icons.batch(rng, 4096).pictures))
    fit_seams(vae, icons, rng, options.steps)
    held_out = torch.from_numpy(icons.batch(rng, 256).pictures)
    print(f"PSNR linear {psnr(vae, held_out, False):.2f} dB, refined {psnr(vae, held_out, True):.2f} dB")
    vae.save_pretrained(options.out)


if __name__ == "__main__":
    main()
