"""Load adapters with the real diffusers, into full-shape models that have no weights (torch's meta device).

What is counted is what the loader did: the layers of the model that PEFT wrapped, the strength that they act
with, and which of their matrices nobody wrote.
"""

from __future__ import annotations

import json
import logging
import math
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers.loaders import lora_pipeline
from diffusers.utils import convert_unet_state_dict_to_peft
from peft.tuners.tuners_utils import BaseTunerLayer

from lorry.weights.bases.families import Family
from tools.ground_truth.adapters import Shapes

#: The strength that every alpha of a tried file means: alpha 2 at rank 1.
STRENGTH = 2.0
#: Which of diffusers' loaders belongs to which class of models.
_LOADERS = {
    "FluxTransformer2DModel": "FluxLoraLoaderMixin",
    "Flux2Transformer2DModel": "Flux2LoraLoaderMixin",
    "QwenImageTransformer2DModel": "QwenImageLoraLoaderMixin",
    "ZImageTransformer2DModel": "ZImageLoraLoaderMixin",
    "SD3Transformer2DModel": "SD3LoraLoaderMixin",
    "WanTransformer3DModel": "WanLoraLoaderMixin",
    "LTXVideoTransformer3DModel": "LTXVideoLoraLoaderMixin",
    "LTX2VideoTransformer3DModel": "LTX2LoraLoaderMixin",
}
_FUSED = {"to_qkv": ("to_q", "to_k", "to_v"), "to_added_qkv": ("add_q_proj", "add_k_proj", "add_v_proj")}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the real loader did with a file.

    Attributes:
        error: The exception that it raised, in one line.
        layers: The layers that it changed.
        random: Those among them with a matrix that nobody wrote.
        strengths: What the layers' differences are multiplied by, as far as the file says it.
        plain: Those that act as plain LoRA, without DoRA's magnitudes.
        widened: Whether a layer of the model was made wider, which no picture survives.
    """

    error: str | None = None
    layers: frozenset[str] = frozenset()
    random: frozenset[str] = frozenset()
    strengths: frozenset[float] = frozenset()
    plain: frozenset[str] = frozenset()
    widened: bool = False


class RealLoader:
    """One family's model and pipeline loader; it loads one file after the other and forgets each."""

    def __init__(self, known: Family) -> None:
        self._known = known
        self._model = self._built()
        self._pipeline = _pipeline(known, self._model)
        self.model = {name: tuple(layer.weight.shape) for name, layer in _changeable(self._model)}

    def load(self, shapes: Shapes, metadata: Mapping[str, str] | None = None) -> Loaded:
        """Load a file and say what happened.

        Args:
            shapes: The file's tensors; alphas become 2, all else ones.
            metadata: The file's metadata; given, a real file is written and loaded.
        """
        tensors = {name: _tensor(name, shape) for name, shape in shapes.items()}
        type(self._pipeline).handed = {}
        try:
            with _complaints() as said, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PEFT's warnings are not about what is counted here
                error = self._error(tensors, metadata)
            return Loaded(error=error) if error else self._outcome(said)
        finally:
            self._forget()

    def _error(self, tensors: dict[str, Any], metadata: Mapping[str, str] | None) -> str | None:
        try:
            self._load(tensors, metadata)
        except Exception as error:  # noqa: BLE001 - whatever the loader raises is the result
            text = " ".join(str(error).split())
            return f"{type(error).__name__}: {text[:160]}".rstrip(": ")
        return None

    def _load(self, tensors: dict[str, Any], metadata: Mapping[str, str] | None) -> None:
        if metadata is None:
            self._pipeline.load_lora_weights(tensors, adapter_name="tried")
            return
        from safetensors.torch import save_file

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "pytorch_lora_weights.safetensors")
            save_file({n: t.contiguous() for n, t in tensors.items()}, path, {"format": "pt", **metadata})
            self._pipeline.load_lora_weights(str(path), adapter_name="tried")

    def _outcome(self, said: list[str]) -> Loaded:
        missing = {name for line in said for name in _missing(line)}
        found = {
            name: layer for name, layer in self._model.named_modules() if isinstance(layer, BaseTunerLayer)
        }
        random = {name for name in found if any(word.startswith(f"{name}.l") for word in missing)}
        plain = {name for name, layer in found.items() if not getattr(layer, "use_dora", {}).get("tried")}
        return Loaded(
            layers=frozenset(_unfused(name for name in found if not self._nothing(name))),
            random=frozenset(_unfused(random)),
            strengths=frozenset(self._strengths(found)),
            plain=frozenset(_unfused(plain)),
            widened=bool(getattr(self._model, "_overwritten_params", None)),
        )

    def _nothing(self, name: str) -> bool:
        """Tell whether the loader added zeros for a layer that the file lacks (Wan, image to video)."""
        up = self._pipeline.handed.get(f"{self._known.component}.{name}.lora_B.weight")
        return up is not None and (up.is_meta or not bool(up.any()))

    def _strengths(self, found: Mapping[str, Any]) -> Iterator[float]:
        handed = convert_unet_state_dict_to_peft(self._pipeline.handed)
        for name, layer in found.items():
            stem = f"{self._known.component}.{name}."
            for words in (("lora_A.weight", "lora_B.weight"), ("lokr_w1", "lokr_w2_a", "lokr_w2_b")):
                parts = [handed[stem + word] for word in words if stem + word in handed]
                if len(parts) == len(words) and not any(part.is_meta for part in parts):
                    folded = math.prod(float(part.flatten()[0]) for part in parts)
                    yield round(folded * float(layer.scaling["tried"]), 6)

    def _forget(self) -> None:
        changed = hasattr(self._model, "_overwritten_params") or getattr(
            self._model, "fused_projections", False
        )
        odd = any(name.rpartition(".")[2] in _FUSED for name, _ in self._model.named_modules())
        if changed or odd or not self._unloaded():
            self._model = self._built()
            self._pipeline.put(self._model)

    def _unloaded(self) -> bool:
        for part in (self._model, *self._pipeline.encoders):
            if getattr(part, "peft_config", None) is not None or self._wrapped(part):
                try:
                    part.unload_lora() if part is self._model else _strip(part)
                except Exception:  # noqa: BLE001 - a model that can't be cleaned is built again
                    return False
        return not self._wrapped(self._model) and getattr(self._model, "peft_config", None) is None

    @staticmethod
    def _wrapped(part: torch.nn.Module) -> bool:
        return any(isinstance(layer, BaseTunerLayer) for layer in part.modules())

    def _built(self) -> Any:
        with torch.device("meta"):
            return getattr(diffusers, self._known.model["class"])(**self._known.model["config"])


def _pipeline(known: Family, model: Any) -> Any:
    kind = known.model["class"]
    if kind == "UNet2DConditionModel":
        both = known.model["config"].get("addition_embed_type") == "text_time"
        mixin = getattr(lora_pipeline, f"StableDiffusion{'XL' if both else ''}LoraLoaderMixin")
    else:
        mixin = getattr(lora_pipeline, _LOADERS[kind])

    class Pipeline(mixin):  # type: ignore[misc, valid-type]
        """A pipeline with one part besides its text encoders; it remembers what it hands to that part."""

        hf_device_map = None
        lora_scale = 1.0
        handed: dict[str, Any] = {}  # noqa: RUF012 - replaced before each load

        def put(self, part: Any) -> None:
            setattr(self, known.component, part)

        @cached_property
        def encoders(self) -> tuple[Any, ...]:
            return _clip(768, 12), _clip(1280, 32)

        text_encoder = property(lambda self: self.encoders[0])
        text_encoder_2 = property(lambda self: self.encoders[1])
        components: dict[str, Any] = {}  # noqa: RUF012 - nothing is ever offloaded

        @classmethod
        def load_lora_into_transformer(cls, state_dict: Any, *rest: Any, **named: Any) -> None:
            cls.handed = state_dict
            super().load_lora_into_transformer(state_dict, *rest, **named)

        @classmethod
        def load_lora_into_unet(cls, state_dict: Any, *rest: Any, **named: Any) -> None:
            cls.handed = state_dict
            super().load_lora_into_unet(state_dict, *rest, **named)

    pipeline = Pipeline()
    pipeline.put(model)
    return pipeline


def _clip(width: int, depth: int) -> Any:
    import transformers
    from transformers import CLIPTextConfig, CLIPTextModel

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=depth,
        num_attention_heads=width // 64,
    )
    with torch.device("meta"):
        return CLIPTextModel(config)


def _strip(encoder: Any) -> None:
    from diffusers.utils.peft_utils import recurse_remove_peft_layers

    recurse_remove_peft_layers(encoder)
    del encoder.peft_config
    encoder._hf_peft_config_loaded = None


def _changeable(model: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    kinds = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
    return ((name, layer) for name, layer in model.named_modules() if isinstance(layer, kinds))


def _tensor(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor(STRENGTH) if name.endswith(".alpha") else torch.ones(shape)


def _unfused(names: Any) -> Iterator[str]:
    """Count a fused projection as the layers that it was made of."""
    for name in names:
        block, _, word = name.rpartition(".")
        yield from (f"{block}.{part}" for part in _FUSED[word]) if word in _FUSED else (name,)


def _missing(line: str) -> list[str]:
    """Read the names that diffusers says nobody wrote."""
    _, _, names = line.partition("missing keys in the model: ")
    return [name.strip() for name in names.rstrip(" .").split(",")] if names else []


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what diffusers warns about instead of printing it, however quiet the process has made it."""
    logger = logging.getLogger("diffusers")
    listener, before = _Listener(), (logger.handlers[:], logger.level)
    logger.handlers[:] = [listener]
    logger.setLevel(logging.WARNING)
    try:
        yield listener.lines
    finally:
        logger.handlers[:] = before[0]
        logger.setLevel(before[1])


def adapter_config(component: str, rank: int = 1, alpha: int = 2) -> dict[str, str]:
    """Write the LoraConfig that diffusers leaves in a file's header."""
    fields = {
        f"{component}.r": rank,
        f"{component}.lora_alpha": alpha,
        f"{component}.target_modules": ["to_q"],
    }
    return {"lora_adapter_metadata": json.dumps(fields)}
