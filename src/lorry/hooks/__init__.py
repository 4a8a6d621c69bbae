"""What a training script calls at its end.

`ship_trained` is one line behind a diffusers or accelerate script; `lorry.hooks.callback.LorryCallback` is a
callback of transformers' Trainer, and of what is built on it (TRL, Unsloth, Axolotl).
"""

from __future__ import annotations

from lorry.hooks.shipping import ship_trained

__all__ = ["ship_trained"]
