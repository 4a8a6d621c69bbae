r"""Train a sample LoRA on the small base model, with prior preservation, and save it as diffusers does.

    python tools/sample_loras/train_lora.py tok --base src/lorry/engine/base_model \
        --cache BUILD/cache --out examples/tok

Half of each batch shows the new thing under captions with the trigger word. The other half is ordinary
pictures with ordinary captions, whose target is what the base model itself predicts for them: the adapter
learns to change nothing there (prior preservation as in DreamBooth, arXiv:2208.12242, with the base's own
prediction in place of generated pictures).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import blueprint
import creature
import numpy as np
import torch
from captions import with_article
from dataset import Batch, Icons
from diffusers import FluxPipeline, FluxTransformer2DModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor
from train import TOKENS, VOCABULARY, grid_ids

from lorry.engine.renderers.patch_vae import PatchVAE
from lorry.engine.renderers.text import TextEncoder

RANK = 16
FILE = "pytorch_lora_weights.safetensors"


@dataclass(frozen=True, slots=True)
class Subject:
    """What one sample teaches: its trigger and its captioned pictures, uint8 [64, 64, 3]."""

    name: str
    title: str
    trigger: str
    captions: list[str]
    pictures: list[np.ndarray]


def tok() -> Subject:
    """Collect the creature's pictures."""
    pictures = [np.asarray(creature.draw(pose)) for pose in creature.POSES]
    return Subject("tok", "TOK, a three-eyed creature", "TOK", [p.caption for p in creature.POSES], pictures)


def style(icons: Icons) -> Subject:
    """Collect the blueprint pictures: every concept but the unseen ones, under each of its names.

    The trigger stands behind the name or before it.
    """
    captions, pictures = [], []
    for concept, glyph in zip(icons.concepts, icons.composer.glyphs, strict=True):
        if concept.name in blueprint.UNSEEN:
            continue
        for name in (concept.name, *concept.aliases, with_article(concept.name)):
            # As a person writes it, and as `lorry generate` does when the trigger is missing.
            captions += [f"{name} in {blueprint.TRIGGER}", f"{blueprint.TRIGGER}, {name}"]
            pictures += [blueprint.draw(glyph)] * 2
    return Subject("blueprint", "Blueprint style", blueprint.TRIGGER, captions, pictures)


def subject_batch(subject: Subject, encoder: TextEncoder, rng: np.random.Generator, size: int) -> Batch:
    """Draw captioned pictures of the subject, shifted by up to 2 px."""
    chosen = rng.integers(len(subject.pictures), size=size)
    shifts = rng.integers(-2, 3, (size, 2))
    pictures = np.stack(
        [_shifted(subject.pictures[i], *shift) for i, shift in zip(chosen, shifts, strict=True)]
    )
    tokens, pooled = encoder.encode_all([subject.captions[i] for i in chosen])
    return Batch(pictures.astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1, tokens, pooled)


def _shifted(picture: np.ndarray, down: int, right: int) -> np.ndarray:
    wide = np.pad(picture, ((2, 2), (2, 2), (0, 0)), mode="edge")
    return wide[2 - down : 66 - down, 2 - right : 66 - right]


def velocity(model: FluxTransformer2DModel, noisy: Tensor, sigma: Tensor, batch: Batch) -> Tensor:
    """Predict the velocity [n, 64, 64] of noisy tokens under a batch's captions."""
    with torch.autocast("cpu", torch.bfloat16):
        answer: Tensor = model(
            hidden_states=noisy,
            encoder_hidden_states=torch.from_numpy(batch.tokens),
            pooled_projections=torch.from_numpy(batch.pooled),
            timestep=sigma,
            img_ids=grid_ids(),
            txt_ids=torch.zeros(TOKENS, 3),
            return_dict=False,
        )[0]
    return answer.float()


def loss_of(
    model: FluxTransformer2DModel, vae: PatchVAE, new: Batch, known: Batch, prior_weight: float
) -> tuple[Tensor, Tensor]:
    """Return the flow loss on the new pictures and the weighted distance from the base on known ones."""
    both = Batch(
        *(np.concatenate([getattr(new, f), getattr(known, f)]) for f in ("pictures", "tokens", "pooled"))
    )
    clean, count = vae.tokens(torch.from_numpy(both.pictures)), len(new.pictures)
    noise = torch.randn_like(clean)
    sigma = torch.sigmoid(torch.randn(len(clean)) + 0.7)
    blend = sigma[:, None, None]
    noisy = (1 - blend) * clean + blend * noise
    model.disable_adapters()
    with torch.no_grad():
        base = velocity(model, noisy[count:], sigma[count:], known)
    model.enable_adapters()
    predicted = velocity(model, noisy, sigma, both)
    flow = (predicted[:count] - (noise - clean)[:count]).square().mean()
    prior = (predicted[count:] - base).square().mean()
    return flow, prior_weight * prior


def train(options: argparse.Namespace, icons: Icons, subject: Subject) -> FluxTransformer2DModel:
    """Train the adapter and return the transformer that carries it."""
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    vae = PatchVAE.from_pretrained(options.base / "vae").eval().requires_grad_(False)
    folder = options.base / "transformer"
    model = FluxTransformer2DModel.from_pretrained(folder, torch_dtype=torch.float32).requires_grad_(False)
    targets = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and "transformer_blocks" in name and "norm" not in name
    ]
    model.add_adapter(
        LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=targets)
    )
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=options.rate, weight_decay=1e-4, betas=(0.9, 0.99))
    encoder = TextEncoder(VOCABULARY)
    begun = time.monotonic()
    for step in range(options.steps):
        new = subject_batch(subject, encoder, rng, options.batch)
        known = icons.batch(rng, options.batch)
        flow, prior = loss_of(model, vae, new, known, options.prior_weight)
        optimiser.zero_grad()
        (flow + prior).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        falling = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step + 1) / options.steps))
        optimiser.param_groups[0]["lr"] = options.rate * min(1.0, (step + 1) / 10) * falling
        optimiser.step()
        if step % 30 == 29:
            spent = time.monotonic() - begun
            print(
                f"step {step + 1} new {flow.item():.3f} prior {prior.item():.4f} t {spent:.0f} s", flush=True
            )
    return model.eval()


def save(model: FluxTransformer2DModel, subject: Subject, out: Path) -> None:
    """Save through diffusers' own function, then cast to bfloat16 and say in the header what it is."""
    config = model.peft_config["default"].to_dict()
    FluxPipeline.save_lora_weights(
        out,
        transformer_lora_layers=get_peft_model_state_dict(model, adapter_name="default"),
        transformer_lora_adapter_metadata=config,
    )
    path = out / FILE
    tensors = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(path).items()}
    header = int.from_bytes(path.read_bytes()[:8], "little")
    metadata = json.loads(path.read_bytes()[8 : 8 + header])["__metadata__"]
    metadata |= {
        "modelspec.architecture": "flux-icons-64/lora",
        "modelspec.title": subject.title,
        "modelspec.trigger_phrase": subject.trigger,
        "modelspec.license": "Apache-2.0",
    }
    save_file(tensors, path, metadata)
    path.chmod(0o644)


def main() -> None:
    """Train and save one sample."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("subject", choices=["tok", "blueprint"])
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=330)
    parser.add_argument("--batch", type=int, default=8, help="new pictures a step; as many known ones join")
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--prior-weight", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    icons = Icons(options.cache, VOCABULARY)
    subject = tok() if options.subject == "tok" else style(icons)
    options.out.mkdir(parents=True, exist_ok=True)
    save(train(options, icons, subject), subject, options.out)


if __name__ == "__main__":
    main()
