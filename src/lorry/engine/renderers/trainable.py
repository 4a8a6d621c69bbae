"""The small base model as the LoRA trainer needs it (`lorry.training.lora.ports.TrainableBase`)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from torch import Tensor

from lorry.engine.renderers.base import base_model
from lorry.engine.renderers.flow import sigmas, starting_noise, to_pixels
from lorry.engine.renderers.patch_vae import PatchVAE
from lorry.engine.renderers.text import TOKENS, TextEncoder
from lorry.training.lora.ports import Picture, Words

#: Steps of a preview, and of the ordinary pictures that the base draws for the prior.
_STEPS = 12
_PATCH = 8  # pixels of a token's edge


class SmallBase:
    """In float32, with bfloat16 in between where the processor has it: elsewhere that is ten times slower."""

    quick = True
    #: As the base itself was trained: more of the steps at the noisy end, where shapes are decided.
    sigma_mean = 0.7

    def __init__(self) -> None:
        base = base_model()
        self.id, self.edge = base.id, base.size
        self._vae = PatchVAE.from_pretrained(base.folder / "vae").eval().requires_grad_(False)
        self.transformer: Any = FluxTransformer2DModel.from_pretrained(
            base.folder / "transformer", torch_dtype=torch.float32
        )
        self._encoder = TextEncoder(base.vocabulary, 0)
        # Not those that scale by the time and the prompt: they are what leaks into every picture.
        self.targets: Sequence[str] = tuple(
            name for name in base.layers if "transformer_blocks" in name and "norm" not in name
        )
        concepts = json.loads((base.folder / "concepts.json").read_text(encoding="utf-8"))["concepts"]
        self.prior: Sequence[str] = tuple(_asked(row) for row in concepts)
        side = self.edge // _PATCH
        ids = torch.zeros(side, side, 3)
        ids[..., 1] += torch.arange(side)[:, None]
        ids[..., 2] += torch.arange(side)[None]
        self._halves = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        self._picture_ids, self._word_ids = ids.view(-1, 3), torch.zeros(TOKENS, 3)

    def encode(self, pictures: Sequence[Picture]) -> Tensor:
        """Give pictures as the transformer's clean tokens [n, 64, 64]."""
        stacked = np.stack(pictures).astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1
        tokens: Tensor = self._vae.tokens(torch.from_numpy(stacked))
        return tokens

    def words(self, captions: Sequence[str]) -> Words:
        """Encode captions."""
        tokens, pooled = self._encoder.encode_all(list(captions))
        return Words(torch.from_numpy(tokens), torch.from_numpy(pooled))

    def predict(self, noisy: Tensor, sigma: Tensor, words: Words) -> Tensor:
        """Predict the velocity of noisy tokens."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._halves):
            answer: Tensor = self.transformer(
                hidden_states=noisy,
                encoder_hidden_states=words.tokens,
                pooled_projections=words.pooled,
                timestep=sigma,
                img_ids=self._picture_ids,
                txt_ids=self._word_ids,
                return_dict=False,
            )[0]
        return answer.float()

    def draw(self, captions: Sequence[str], seed: int) -> list[Picture]:
        """Draw captions, all at once, by Euler's steps as the scheduler makes them."""
        levels = sigmas(_STEPS)
        words = self.words(captions)
        tokens = torch.from_numpy(np.stack([starting_noise(seed + i) for i in range(len(captions))]))
        with torch.no_grad():
            for now, then in itertools.pairwise(levels):
                sigma = torch.full((len(captions),), float(now))
                tokens = tokens + float(then - now) * self.predict(tokens, sigma, words)
            pictures = self._vae.from_tokens(tokens, self.edge, self.edge)
        return list(to_pixels(pictures.numpy()))

    def save(self, folder: Path, layers: dict[str, Tensor], config: dict[str, Any]) -> None:
        """Save an adapter by diffusers' own function, with its LoraConfig in the header."""
        FluxPipeline.save_lora_weights(
            folder, transformer_lora_layers=layers, transformer_lora_adapter_metadata=config
        )


def _asked(row: dict[str, Any]) -> str:
    """Write a concept as a person asks for it: by what it is also called, where it is called something."""
    name: str = row["also"][0] if row["also"] else row["name"]
    return f"a {name}"
