"""FLUX-class bases as the LoRA trainer needs them, over diffusers' FluxPipeline, on a GPU.

What is written here is what diffusers' own train_dreambooth_lora_flux.py does (its latents, its packing, its
targets); the loop around it is ours. Text encoders and VAE are put aside once everything is encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FluxPipeline
from torch import Tensor

from lorry.errors import OptionInvalid
from lorry.training.lora.ports import Picture, Words

_PREVIEW_STEPS = 20
_TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
#: What it draws for the prior: what a portrait or a style would leak into first.
_PRIOR = (
    "a photo of a person", "a portrait of a woman", "a portrait of a man", "a child playing", "a dog",
    "a cat", "a house", "a street in a city", "a landscape with mountains", "a table with food",
    "a car", "a drawing",
)  # fmt: skip


class FluxBase:
    """A base of FLUX.1's kind.

    Args:
        source: Repository of the Hub, or a folder in diffusers' layout.
        device: `cuda`, or `cpu` for a base that is small enough.
        edge: Edge of the training pictures in pixels, a multiple of 16.

    Raises:
        OptionInvalid: It can't be opened, or there is no GPU.
    """

    quick = False
    sigma_mean = 0.0
    prior: Sequence[str] = _PRIOR

    def __init__(self, source: str, device: str, edge: int = 512) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise OptionInvalid(
                f"{source} is trained on a GPU, and this machine has none that torch can use.",
                fix="Leave `--base` out to train on the embedded engine's base, or run it on one.",
                evidence={"base": source},
            )
        self.id, self.edge = source, edge
        self._device = device
        self._dtype = torch.bfloat16 if device == "cuda" else torch.float32
        try:
            self._pipeline: Any = FluxPipeline.from_pretrained(source, torch_dtype=self._dtype)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise OptionInvalid(
                f"{source} can't be opened as a base of FLUX's kind: {reason}",
                fix="Name a repository in diffusers' layout that you may read (HF_TOKEN), or its folder.",
                evidence={"base": source},
            ) from error
        self._pipeline.set_progress_bar_config(disable=True)
        self._pipeline.to(device)
        self.transformer: Any = self._pipeline.transformer
        self.transformer.enable_gradient_checkpointing()
        names = [
            name for name, module in self.transformer.named_modules() if isinstance(module, torch.nn.Linear)
        ]
        blocks = [name for name in names if "transformer_blocks" in name]
        self.targets: Sequence[str] = tuple(
            name for name in blocks if any(name.endswith(f".{end}") for end in _TARGETS)
        )
        self._words: dict[str, tuple[Tensor, Tensor]] = {}

    def encode(self, pictures: Sequence[Picture]) -> Tensor:
        """Give pictures as the transformer's clean tokens: packed latents."""
        vae = self._pipeline.vae
        stacked = np.stack(pictures).astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1
        found = []
        with torch.no_grad():
            for picture in torch.from_numpy(stacked).to(self._device, self._dtype):
                latents = vae.encode(picture[None]).latent_dist.mode()
                latents = (latents - vae.config.shift_factor) * vae.config.scaling_factor
                _, channels, height, width = latents.shape
                found.append(self._pipeline._pack_latents(latents, 1, channels, height, width))
        return torch.cat(found).float()

    def words(self, captions: Sequence[str]) -> Words:
        """Encode captions, each once."""
        for caption in captions:
            if caption not in self._words:
                with torch.no_grad():
                    tokens, pooled, _ = self._pipeline.encode_prompt(
                        prompt=caption, prompt_2=None, device=self._device, max_sequence_length=256
                    )
                self._words[caption] = (tokens[0], pooled[0])
        found = [self._words[caption] for caption in captions]
        return Words(torch.stack([one for one, _ in found]), torch.stack([one for _, one in found]))

    def predict(self, noisy: Tensor, sigma: Tensor, words: Words) -> Tensor:
        """Predict the velocity of noisy tokens."""
        side = round(noisy.shape[1] ** 0.5)
        ids = self._pipeline._prepare_latent_image_ids(1, side, side, self._device, self._dtype)
        guidance = (
            torch.ones(len(noisy), device=self._device) if self.transformer.config.guidance_embeds else None
        )
        answer: Tensor = self.transformer(
            hidden_states=noisy.to(self._dtype),
            encoder_hidden_states=words.tokens.to(self._dtype),
            pooled_projections=words.pooled.to(self._dtype),
            timestep=sigma.to(self._dtype),
            guidance=guidance,
            img_ids=ids,
            txt_ids=torch.zeros(words.tokens.shape[1], 3, device=self._device, dtype=self._dtype),
            return_dict=False,
        )[0]
        return answer.float()

    def draw(self, captions: Sequence[str], seed: int) -> list[Picture]:
        """Draw captions one after another."""
        pictures = []
        for number, caption in enumerate(captions):
            words = self.words([caption])
            drawn = self._pipeline(
                prompt_embeds=words.tokens.to(self._dtype),
                pooled_prompt_embeds=words.pooled.to(self._dtype),
                height=self.edge,
                width=self.edge,
                num_inference_steps=_PREVIEW_STEPS,
                generator=torch.Generator().manual_seed(seed + number),
                output_type="np",
            ).images[0]
            pictures.append(np.round(np.asarray(drawn) * 255).astype(np.uint8))
        return pictures

    def save(self, folder: Path, layers: dict[str, Tensor], config: dict[str, Any]) -> None:
        """Save an adapter by diffusers' own function, with its LoraConfig in the header."""
        FluxPipeline.save_lora_weights(
            folder, transformer_lora_layers=layers, transformer_lora_adapter_metadata=config
        )
