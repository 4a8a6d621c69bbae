"""What a conversion is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lorry.errors import OptionInvalid
from lorry.model.report import WeightsSummary
from lorry.weights.convert.numbers import WRITTEN


class Layout(StrEnum):
    """How an adapter can be written."""

    DIFFUSERS = "diffusers"  # `transformer.<layer>.lora_A.weight`, no alpha; what Hub pages and servers load
    COMFYUI = "comfyui"  # `diffusion_model.<original name>`
    KOHYA = "kohya"  # `lora_unet_<original_name>.lora_down.weight`, with alpha
    PEFT = "peft"  # `base_model.model.<layer>.lora_A.weight`, and adapter_config.json


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for.

    Attributes:
        to: The layout; `None` for diffusers with pictures, peft with text.
        base: The base model, where it can't be told or is overruled; adapter_config.json names it then.
        dtype: `bf16`, `f16` or `f32`; `None` keeps each of these three, and makes bf16 of all others.
        rank: The rank that no module may exceed.
        alpha: What alpha was in training, where the file and its neighbours don't say.
        lossy: Whether something may get lost.
        strip_private: Whether captions, paths and user names leave the header.
        drop_text_encoders: Whether parts for text encoders are left out.
        force: Whether files that are already there are replaced.
    """

    to: Layout | None = None
    base: str | None = None
    dtype: str | None = None
    rank: int | None = None
    alpha: float | None = None
    lossy: bool = False
    strip_private: bool = False
    drop_text_encoders: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        if self.dtype is not None and self.dtype not in WRITTEN:
            raise OptionInvalid(
                f"{self.dtype!r} is no data type to write.", fix=f"Use one of {', '.join(WRITTEN)}."
            )
        if self.rank is not None and self.rank < 1:
            raise OptionInvalid(f"The rank {self.rank} is below 1.", fix="Give a rank of at least 1.")
        if self.alpha is not None and not 0 < self.alpha < float("inf"):
            raise OptionInvalid(
                f"alpha {self.alpha:g} is no strength.", fix="Give the alpha that training used."
            )


@dataclass(frozen=True, slots=True)
class Loss:
    """What a lossy conversion took from one module.

    Attributes:
        module: The module's name in the source.
        distance: Frobenius norm of what is missing, as a share of the module's own norm.
    """

    module: str
    distance: float

    @property
    def energy(self) -> float:
        """The share of the module's energy, its squared norm, that is missing."""
        return self.distance**2


@dataclass(frozen=True, slots=True)
class Losses:
    """What a lossy conversion took: the worst module, and all of them together.

    Attributes:
        modules: Each module that lost something, the worst first.
        total: Frobenius norm of all that is missing, as a share of the whole adapter's norm.
    """

    modules: tuple[Loss, ...]
    total: float

    def __str__(self) -> str:
        """Write it as one sentence."""
        worst = self.modules[0]
        return (
            f"{100 * self.total**2:.3g}% of the energy is lost ({100 * self.total:.3g}% of the Frobenius "
            f"norm), at worst {100 * worst.energy:.3g}% in {worst.module}"
        )


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion did.

    Attributes:
        out: What the user named: a file or a folder.
        file: The weights file that was written.
        layout: The layout that it has.
        steps: What was done, in words.
        modules: Modules in the source that were converted.
        layers: Modules in the result.
        losses: What got lost; `None` when nothing did.
        before: What the source is.
        after: What the result is.
        digest: SHA-256 of the file that was written, hex.
        largest_change: The largest difference between a module's norm before and after, as a share of it,
            over all modules that lost nothing.
    """

    out: Path
    file: Path
    layout: Layout
    steps: tuple[str, ...]
    modules: int
    layers: int
    losses: Losses | None
    before: WeightsSummary
    after: WeightsSummary
    digest: str
    largest_change: float

    def as_dict(self) -> Mapping[str, Any]:
        """Give it as the JSON that `lorry convert --json` prints."""
        losses = None
        if self.losses is not None:
            losses = {
                "total": self.losses.total,
                "modules": [
                    {"module": loss.module, "distance": loss.distance, "energy": loss.energy}
                    for loss in self.losses.modules
                ],
            }
        return {
            "out": str(self.out),
            "file": str(self.file),
            "layout": str(self.layout),
            "steps": list(self.steps),
            "modules": self.modules,
            "layers": self.layers,
            "losses": losses,
            "largest_change": self.largest_change,
            "digest": self.digest,
            "before": asdict(self.before),
            "after": asdict(self.after),
        }
