r"""Train the transformer: rectified flow on captioned icons, resumable, ending when the budget is spent.

Two processes of one thread each are the fastest form on two cores that others use too:

    torchrun --nproc-per-node 2 tools/base_model/train.py --out BUILD/run --cache BUILD/cache \
        --vae BUILD/vae --minutes 95

The same command again resumes from the last checkpoint; another ``--minutes`` moves the end, and the
learning rate follows. ``--warm-start DIR`` begins from a transformer's weights instead of from scratch.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from dataset import Batch, Icons
from diffusers import FluxTransformer2DModel
from optimiser import SplitOptimiser
from torch import Tensor, nn

from lorry.engine.renderers.patch_vae import PatchVAE

WIDTH, HEADS, TOKENS, SIDE = 256, 4, 16, 8
SIGMA_MEAN = 0.7  # sigma ~ sigmoid(N(0.7, 1)): the noisy end decides what is drawn (SD3, arXiv:2403.03206)
HOLD = 0.3  # share of the budget at full learning rate, then cosine
FLOOR = 0.02
VOCABULARY = Path("src/lorry/engine/base_model/tokenizer/vocab.txt")


def new_transformer() -> FluxTransformer2DModel:
    """Make the small FLUX transformer (11.2 M parameters) with zeroed modulation and output.

    Zeros make every block an identity at first (DiT's AdaLN-Zero, arXiv:2212.09748).
    """
    model = FluxTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=2,
        num_single_layers=6,
        attention_head_dim=WIDTH // HEADS,
        num_attention_heads=HEADS,
        joint_attention_dim=384,
        pooled_projection_dim=384,
        guidance_embeds=False,
        axes_dims_rope=(16, 24, 24),
    )
    for name, parameter in model.named_parameters():
        if ("norm" in name and name.endswith("linear.weight")) or name == "proj_out.weight":
            nn.init.zeros_(parameter)
    return model


def weights_in(folder: Path) -> dict[str, Tensor]:
    """Read a transformer's weights from a diffusers folder, as float32."""
    model = FluxTransformer2DModel.from_pretrained(folder, torch_dtype=torch.float32)
    return dict(model.state_dict())


def grid_ids() -> Tensor:
    """Return FLUX's position ids of the 8x8 tokens: float32 [64, 3] of (0, row, column)."""
    ids = torch.zeros(SIDE, SIDE, 3)
    ids[..., 1] += torch.arange(SIDE)[:, None]
    ids[..., 2] += torch.arange(SIDE)[None]
    return ids.view(-1, 3)


def flow_loss(model: FluxTransformer2DModel, vae: PatchVAE, batch: Batch) -> Tensor:
    """Return the rectified-flow loss: predict noise - x from (1-s) x + s noise (arXiv:2209.03003)."""
    clean = vae.tokens(torch.from_numpy(batch.pictures))
    noise = torch.randn_like(clean)
    sigma = torch.sigmoid(torch.randn(len(clean)) + SIGMA_MEAN)
    blend = sigma[:, None, None]
    with torch.autocast("cpu", torch.bfloat16):
        velocity = model(
            hidden_states=(1 - blend) * clean + blend * noise,
            encoder_hidden_states=torch.from_numpy(batch.tokens),
            pooled_projections=torch.from_numpy(batch.pooled),
            timestep=sigma,
            img_ids=grid_ids(),
            txt_ids=torch.zeros(TOKENS, 3),
            return_dict=False,
        )[0]
    return (velocity.float() - (noise - clean)).square().mean()


def rate(progress: float, step: int) -> float:
    """Return the learning-rate factor: 15 warm-up steps, hold, cosine to the floor."""
    falling = max(0.0, min(progress, 1.0) - HOLD) / (1 - HOLD)
    return min(1.0, (step + 1) / 15) * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * falling)))


@dataclass
class Progress:
    """What a checkpoint remembers besides the weights."""

    step: int = 0
    images: int = 0
    seconds: float = 0.0
    loss: float = float("nan")  # running mean over about 50 steps


class Run:
    """One process of the training: its share of the batch, its share of the optimiser."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.icons = Icons(options.cache, options.vocabulary, options.seed, options.fewer)
        self.vae = PatchVAE.from_pretrained(options.vae).eval().requires_grad_(False)
        torch.manual_seed(options.seed)
        self.model = new_transformer()
        if options.warm_start:
            self.model.load_state_dict(weights_in(options.warm_start))
        self.average = new_transformer().requires_grad_(False)
        self.average.load_state_dict(self.model.state_dict())
        self.optimiser = SplitOptimiser(self.model, self.rank, self.world)
        self.progress = Progress()
        self._resume()
        torch.manual_seed(options.seed + 1000 * self.progress.step + self.rank)
        self.rng = np.random.default_rng([options.seed, self.progress.step, self.rank])

    def loop(self) -> None:
        """Train until the budget is spent; the last checkpoint is the result."""
        budget, saved = self.options.minutes * 60, time.monotonic()
        begun = saved - self.progress.seconds
        while True:
            spent = torch.tensor([time.monotonic() - begun, time.monotonic() - saved])
            dist.broadcast(spent, 0)  # one clock decides for all
            self.progress.seconds = float(spent[0])
            done = self.progress.seconds >= budget
            self._step(rate(self.progress.seconds / budget, self.progress.step))
            if done or float(spent[1]) > self.options.save_every:
                self._save()
                saved = time.monotonic()
            if done:
                return

    def _step(self, factor: float) -> None:
        size = self.options.batch // self.world
        loss = flow_loss(self.model, self.vae, self.icons.batch(self.rng, size))
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step(factor)
        progress = self.progress
        keep = min(0.995, (progress.step + 1) / (progress.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - keep)
        value = loss.item()
        progress.loss = value if progress.step == 0 else 0.98 * progress.loss + 0.02 * value
        progress.step += 1
        progress.images += size * self.world
        if self.rank == 0 and progress.step % 25 == 0:
            self._log(factor)

    def _log(self, factor: float) -> None:
        p = self.progress
        row = {
            "step": p.step,
            "images": p.images,
            "seconds": round(p.seconds),
            "loss": p.loss,
            "rate": factor,
        }
        with (self.options.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        print(f"{p.step} images {p.images} loss {p.loss:.4f} t {p.seconds:.0f}", flush=True)

    def _save(self) -> None:
        """Write the checkpoint beside the last one, then swap: a kill never leaves half of one."""
        fresh, current, old = (self.options.out / name for name in ("next", "last", "old"))
        if self.rank == 0:
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
        dist.barrier()
        torch.save(self.optimiser.state_dict(), fresh / f"optimiser-{self.rank}.pt")
        if self.rank == 0:
            self.average.save_pretrained(fresh / "transformer")
            self.model.save_pretrained(fresh / "raw")
            (fresh / "progress.json").write_text(json.dumps(vars(self.progress)))
        dist.barrier()
        if self.rank == 0:
            shutil.rmtree(old, ignore_errors=True)
            if current.exists():
                current.rename(old)
            fresh.rename(current)
        dist.barrier()

    def _resume(self) -> None:
        last = self.options.out / "last"
        if not last.exists():
            return
        self.model.load_state_dict(weights_in(last / "raw"))
        self.average.load_state_dict(weights_in(last / "transformer"))
        self.optimiser.load_state_dict(torch.load(last / f"optimiser-{self.rank}.pt", weights_only=True))
        self.progress = Progress(**json.loads((last / "progress.json").read_text()))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the caption embeddings")
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--warm-start", type=Path, help="begin from this transformer")
    parser.add_argument("--fewer", type=Path, help="names that the start already draws: half the exposures")
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY)
    parser.add_argument("--minutes", type=float, default=95, help="wall-clock budget over all resumed runs")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--save-every", type=float, default=240, help="seconds")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Train."""
    options = parse()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(os.environ.get("WORLD_SIZE", "1"))))
    dist.init_process_group("gloo")
    options.out.mkdir(parents=True, exist_ok=True)
    Run(options).loop()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
