"""The training itself: rectified flow on new pictures, and ordinary ones kept as the base draws them.

Two thirds of each batch show what is new. The rest is ordinary pictures that the base drew itself, and its
target is what the base predicts for them without the adapter: prior preservation as in DreamBooth
(arXiv:2208.12242), with the base's own prediction in place of the pictures' noise. Without it a LoRA on a
small base leaks into every picture.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import Tensor

from lorry.training.lora.keeping import Keeping, Kept
from lorry.training.lora.pictures import Example, captioned
from lorry.training.lora.ports import Moment, Picture, Recipe, Seen, TrainableBase, Words

#: Ordinary pictures that the base draws at the beginning, at most one for each step.
PRIOR_PICTURES = 48
_ADAPTER = "default"
_WARM_STEPS = 10
_MEAN_OF = 25


@dataclass(frozen=True, slots=True)
class Shown:
    """Pictures with their captions, as far as they are encoded once for all steps."""

    pictures: Sequence[Picture]
    words: Words
    tokens: Tensor | None  # where encoding is not quick

    def __len__(self) -> int:
        return len(self.pictures)


def train(
    base: TrainableBase, examples: Sequence[Example], recipe: Recipe, keeping: Keeping, seen: Seen
) -> None:
    """Train an adapter, from where an earlier run stood.

    Args:
        base: The base model; its transformer carries the adapter afterwards.
        examples: What is to be learnt.
        recipe: How.
        keeping: Keeps checkpoints, previews and the result.
        seen: Told after each step.
    """
    model = base.transformer.requires_grad_(False)
    torch.manual_seed(recipe.seed)
    model.add_adapter(
        LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.rank,
            init_lora_weights="gaussian",
            target_modules=list(base.targets),
        ),
        adapter_name=_ADAPTER,
    )
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=recipe.rate, weight_decay=1e-4, betas=(0.9, 0.99))
    new = _shown(base, [each.picture for each in examples], [each.caption for each in examples])
    known = _prior(base, recipe, keeping)
    begun = keeping.resume(model, optimiser)
    losses: deque[float] = deque(maxlen=_MEAN_OF)
    moved: deque[float] = deque(maxlen=_MEAN_OF)
    model.train()
    for step in range(begun, recipe.steps):
        flow, prior = _losses(base, new, known, recipe, step)
        optimiser.zero_grad()
        (flow + recipe.prior * prior).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.param_groups[0]["lr"] = rate_at(step, recipe)
        optimiser.step()
        losses.append(flow.item())
        moved.append(prior.item())
        done = step + 1
        last = done == recipe.steps
        preview = None
        if done % recipe.every == 0 or last:
            preview = _keep(base, recipe, keeping, Kept(done, optimiser), last=last)
        seen(Moment(done, recipe.steps, fmean(losses), fmean(moved), preview))


def rate_at(step: int, recipe: Recipe) -> float:
    """Give the learning rate of a step: up for ten steps, then down along a cosine to a twentieth.

    Args:
        step: From 0.
        recipe: How it is trained.
    """
    falling = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step + 1) / recipe.steps))
    return recipe.rate * min(1.0, (step + 1) / _WARM_STEPS) * falling


def _losses(
    base: TrainableBase, new: Shown, known: Shown | None, recipe: Recipe, step: int
) -> tuple[Tensor, Tensor]:
    """Give the flow loss of new pictures, and how far ordinary ones have moved from the base's prediction.

    All that is random begins anew with each step: a training that goes on is the one that was stopped.
    """
    rng = np.random.default_rng((recipe.seed, step))
    dice = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
    clean, words = _batch(base, new, rng, recipe.batch)
    count = len(clean)
    if known is not None:
        more, their = _batch(base, known, rng, max(1, recipe.batch // 2))
        clean = torch.cat([clean, more])
        words = Words(torch.cat([words.tokens, their.tokens]), torch.cat([words.pooled, their.pooled]))
    noise = torch.randn(clean.shape, generator=dice).to(clean)
    sigma = torch.sigmoid(torch.randn(len(clean), generator=dice) + base.sigma_mean).to(clean)
    blend = sigma[:, None, None]
    noisy = (1 - blend) * clean + blend * noise
    predicted = base.predict(noisy, sigma, words)
    flow = (predicted[:count] - (noise - clean)[:count]).square().mean()
    if known is None:
        return flow, torch.zeros((), device=flow.device)
    base.transformer.disable_adapters()
    with torch.no_grad():
        plain = base.predict(noisy[count:], sigma[count:], Words(words.tokens[count:], words.pooled[count:]))
    base.transformer.enable_adapters()
    return flow, (predicted[count:] - plain).square().mean()


def _batch(base: TrainableBase, shown: Shown, rng: np.random.Generator, size: int) -> tuple[Tensor, Words]:
    chosen = rng.integers(len(shown), size=size)
    words = Words(shown.words.tokens[chosen], shown.words.pooled[chosen])
    if shown.tokens is not None:
        return shown.tokens[chosen], words
    most = max(1, base.edge // 32)
    shifts = rng.integers(-most, most + 1, (size, 2))
    pictures = [_shifted(shown.pictures[i], *shift) for i, shift in zip(chosen, shifts, strict=True)]
    return base.encode(pictures), words


def _shifted(picture: Picture, down: int, right: int) -> Picture:
    most = max(abs(down), abs(right), 1)
    wide = np.pad(picture, ((most, most), (most, most), (0, 0)), mode="edge")
    height, width = picture.shape[:2]
    return wide[most - down : most - down + height, most - right : most - right + width]


def _shown(base: TrainableBase, pictures: Sequence[Picture], captions: Sequence[str]) -> Shown:
    with torch.no_grad():
        return Shown(pictures, base.words(captions), None if base.quick else base.encode(pictures))


def _prior(base: TrainableBase, recipe: Recipe, keeping: Keeping) -> Shown | None:
    """Have the base draw ordinary pictures, once for a training."""
    if not recipe.prior or not base.prior:
        return None
    rng = np.random.default_rng(recipe.seed)
    count = min(PRIOR_PICTURES, recipe.steps, len(base.prior))
    captions = [base.prior[i] for i in rng.choice(len(base.prior), count, replace=False)]
    pictures = keeping.prior(captions)
    if pictures is None:
        base.transformer.disable_adapters()
        pictures = base.draw(captions, recipe.seed)
        base.transformer.enable_adapters()
        keeping.keep_prior(captions, pictures)
    return _shown(base, pictures, captions)


def _keep(base: TrainableBase, recipe: Recipe, keeping: Keeping, kept: Kept, *, last: bool) -> Path:
    model = base.transformer.eval()
    layers = get_peft_model_state_dict(model, adapter_name=_ADAPTER)
    config: dict[str, Any] = model.peft_config[_ADAPTER].to_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks of the pipeline on parts that this base does not have
        drawn = base.draw(previews_of(recipe, base), recipe.seed)
        preview = keeping.keep(kept, base, layers, config, drawn, last=last)
    model.train()
    return preview


def previews_of(recipe: Recipe, base: TrainableBase) -> list[str]:
    """List what is drawn to look at: what is learnt, that beside ordinary things, and these without it.

    Args:
        recipe: How it is trained.
        base: What it is trained on.
    """
    count = len(base.prior)
    things = [base.prior[count // 3], base.prior[2 * count // 3]] if count else ["a house"]
    return [recipe.trigger, captioned("on a green background", recipe.trigger), *things]
