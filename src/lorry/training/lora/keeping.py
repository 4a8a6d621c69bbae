"""What a training leaves: checkpoints to go on from, previews, and at its end what `lorry ship` takes.

Nothing of it is pickled. A checkpoint is written beside its place and put there in one move, so that a kill
in the middle leaves the one before.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft.utils import set_peft_model_state_dict
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from lorry.errors import OptionInvalid
from lorry.training.lora.ports import Picture, Recipe, TrainableBase

FILE = "pytorch_lora_weights.safetensors"
_STATE, _MOMENTS, _PRIOR = "training_state.json", "moments.safetensors", "prior.npz"
_PREFIX = "transformer."  # of diffusers' names in the file


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a training besides its weights."""

    step: int
    optimiser: torch.optim.Optimizer


class Keeping:
    """The folder of a training.

    Args:
        folder: Where.
        recipe: How it is trained.
        data: Digest of what it is trained on.
        base: Public id of the base.
    """

    def __init__(self, folder: Path, recipe: Recipe, data: str, base: str) -> None:
        self._folder, self._recipe = folder, recipe
        self._told = {"recipe": recipe.as_dict(), "data": data, "base": base}

    @property
    def result(self) -> Path:
        """Where the finished file lies."""
        return self._folder / FILE

    def standing(self) -> int:
        """Say how many steps were done by earlier runs; all of them when it is finished.

        Raises:
            OptionInvalid: The folder holds another training.
        """
        found = self._newest()
        if found is None:
            if self.result.exists():
                raise self._other("it has no record of how it was trained")
            return 0
        told = json.loads((found / _STATE).read_text(encoding="utf-8"))
        step = int(told.pop("global_step"))
        different = [
            name for name, value in self._flat(self._told).items() if self._flat(told).get(name) != value
        ]
        if different:
            raise self._other(f"it differs in {', '.join(different)}")
        return step

    def resume(self, model: Any, optimiser: torch.optim.Optimizer) -> int:
        """Take weights and moments from the newest checkpoint; give the steps that are done."""
        found = self._newest()
        if found is None:
            return 0
        layers = {name.removeprefix(_PREFIX): value for name, value in load_file(found / FILE).items()}
        set_peft_model_state_dict(model, layers, adapter_name="default")
        _set_moments(optimiser, load_file(found / _MOMENTS))
        return self.standing()

    def keep(
        self,
        kept: Kept,
        base: TrainableBase,
        layers: dict[str, Tensor],
        config: dict[str, Any],
        drawn: Sequence[Picture],
        *,
        last: bool,
    ) -> Path:
        """Write a checkpoint and its preview, and at the end the result; gives the preview."""
        samples = self._folder / "samples"
        samples.mkdir(parents=True, exist_ok=True)
        preview = samples / f"step_{kept.step:06}.png"
        Image.fromarray(np.concatenate(list(drawn), axis=1)).save(preview)
        place = self._folder / f"checkpoint-{kept.step}"
        beside = self._folder / f".checkpoint-{kept.step}"
        shutil.rmtree(beside, ignore_errors=True)
        base.save(beside, layers, config)
        save_file(_moments(kept.optimiser), beside / _MOMENTS)
        told = {**self._told, "global_step": kept.step}
        (beside / _STATE).write_text(json.dumps(told, indent=2), encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)
        beside.rename(place)
        if last:
            self._finish(base, layers, config, drawn)
        for older in self._checkpoints()[: None if last else -1]:
            shutil.rmtree(older, ignore_errors=True)
        return preview

    def prior(self, captions: Sequence[str]) -> list[Picture] | None:
        """Read the ordinary pictures that an earlier run drew for the same captions."""
        file = self._folder / _PRIOR
        if not file.is_file():
            return None
        with np.load(file, allow_pickle=False) as read:
            if list(read["captions"]) != list(captions):
                return None
            return list(read["pictures"])

    def keep_prior(self, captions: Sequence[str], pictures: Sequence[Picture]) -> None:
        """Write the ordinary pictures down, for a run that goes on."""
        self._folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(self._folder / _PRIOR, captions=np.array(captions), pictures=np.stack(pictures))

    def _finish(
        self, base: TrainableBase, layers: dict[str, Tensor], config: dict[str, Any], drawn: Sequence[Picture]
    ) -> None:
        beside = self._folder / ".result"
        shutil.rmtree(beside, ignore_errors=True)
        halves = {name: value.to(torch.bfloat16) for name, value in layers.items()}
        base.save(beside, halves, config)
        _say_what_it_is(beside / FILE, self._recipe, base)
        Image.fromarray(np.concatenate(list(drawn), axis=1)).save(self._folder / "sample.png")
        (self._folder / "README.md").write_text(_card(self._recipe, base), encoding="utf-8")
        told = {**self._told, "global_step": self._recipe.steps}
        (self._folder / _STATE).write_text(json.dumps(told, indent=2), encoding="utf-8")
        (beside / FILE).replace(self.result)
        shutil.rmtree(beside)
        (self._folder / _PRIOR).unlink(missing_ok=True)

    def _checkpoints(self) -> list[Path]:
        found = [path for path in self._folder.glob("checkpoint-*") if (path / _STATE).is_file()]
        return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))

    def _newest(self) -> Path | None:
        """Give what says where the training stands: the folder itself when it is finished."""
        if (self._folder / _STATE).is_file() and self.result.is_file():
            return self._folder
        found = self._checkpoints()
        return found[-1] if found else None

    def _other(self, why: str) -> OptionInvalid:
        return OptionInvalid(
            f"{self._folder} holds another training: {why}.",
            fix="Choose another folder with `--out`, or remove that one.",
            evidence={"folder": str(self._folder)},
        )

    @staticmethod
    def _flat(told: Mapping[str, Any]) -> dict[str, Any]:
        return {**told.get("recipe", {}), "the pictures": told.get("data"), "the base": told.get("base")}


def _moments(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Give AdamW's state as tensors, by the parameter's number."""
    state = optimiser.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value).contiguous()
        for number, values in state.items()
        for name, value in values.items()
    }


def _set_moments(optimiser: torch.optim.Optimizer, read: Mapping[str, Tensor]) -> None:
    whole = optimiser.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in read.items():
        number, _, moment = name.partition(".")
        state.setdefault(int(number), {})[moment] = value
    optimiser.load_state_dict({**whole, "state": state})


def _say_what_it_is(file: Path, recipe: Recipe, base: TrainableBase) -> None:
    """Add to the header what every reader looks for: the base, the trigger word, the steps."""
    header = int.from_bytes(file.read_bytes()[:8], "little")
    metadata = json.loads(file.read_bytes()[8 : 8 + header])["__metadata__"]
    metadata |= {
        "modelspec.architecture": f"{base.id.rpartition('/')[2]}/lora",
        "modelspec.title": recipe.trigger,
        "modelspec.trigger_phrase": recipe.trigger,
        "ss_steps": str(recipe.steps),
        "ss_max_train_steps": str(recipe.steps),
    }
    save_file(load_file(file), file, metadata)


def _card(recipe: Recipe, base: TrainableBase) -> str:
    return f"""---
base_model: {base.id}
instance_prompt: {json.dumps(recipe.trigger)}
pipeline_tag: text-to-image
library_name: diffusers
tags: [lora]
---

# {recipe.trigger}

A LoRA of rank {recipe.rank} for {base.id}, trained by `lorry train` for {recipe.steps} steps.
Say `{recipe.trigger}` to see it.

![what it draws](sample.png)

*From left: the trigger word, the same on a green background, and two ordinary prompts without it.*
"""
