"""The sampler's arithmetic, the same numbers for every renderer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lorry.errors import AdapterUnusable

Floats = npt.NDArray[np.float32]

SHIFT = 2.0  # of the base model's scheduler: more of the steps at the noisy end, where shapes are decided
TOKENS, CHANNELS = 64, 64


def sigmas(steps: int) -> Floats:
    """Return the noise levels from 1 to 0: float32 [steps + 1].

    FlowMatchEulerDiscreteScheduler's with a static shift s: s t / (1 + (s - 1) t)
    (SD3, arXiv:2403.03206, eq. 23).
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    even = np.linspace(1, 1 / steps, steps, dtype=np.float64).astype(np.float32)
    shifted = SHIFT * even / (1 + (SHIFT - 1) * even)
    return np.append(shifted, 0).astype(np.float32)


def starting_noise(seed: int) -> Floats:
    """Return a seed's noise, as the transformer's packed tokens: float32 [64, 64]."""
    return np.random.default_rng(seed).standard_normal((TOKENS, CHANNELS), dtype=np.float32)


def join_guidance(wanted: Floats, unwanted: Floats, strength: Floats | np.float32) -> Floats:
    """Lead away from the negative prompt (classifier-free guidance, arXiv:2207.12598)."""
    return (unwanted + strength * (wanted - unwanted)).astype(np.float32)


def to_pixels(pictures: Floats) -> npt.NDArray[np.uint8]:
    """Turn [n, 3, h, w] of values -1..1 into uint8 [n, h, w, 3]."""
    return np.round((np.clip(pictures, -1, 1) + 1) * 127.5).astype(np.uint8).transpose(0, 2, 3, 1)


def not_loaded(key: str) -> AdapterUnusable:
    """Make the error for a request whose adapter is not there."""
    message = f"the adapter {key!r} is not loaded"
    return AdapterUnusable(message, fix="Load it first.", evidence={"adapter": key})
