"""Open a pipeline of diffusers as it is told: where from, in which numbers, compiled or not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lorry.engine.renderers.quiet import quiet_libraries
from lorry.errors import ExtraMissing, OptionInvalid
from lorry.settings import PRECISIONS, QUANTISATIONS

_FIX = (
    "Set LORRY_BASE_FOLDER to a folder that `save_pretrained` of a pipeline wrote, or LORRY_BASE to a "
    "repository of the Hub that you may read (HF_TOKEN)."
)


@dataclass(frozen=True, slots=True)
class Base:
    """A base model and how it is opened.

    Attributes:
        id: Its public id; LoRAs are checked against it.
        folder: Where diffusers saved it; the Hub is asked for the id when `None`.
        precision: One of `lorry.settings.PRECISIONS`.
        quantise: One of `lorry.settings.QUANTISATIONS`.
        compile: Whether its repeated blocks are compiled: the first pictures take minutes, the rest less.
        token: For the Hub.
    """

    id: str
    folder: Path | None = None
    precision: str = "auto"
    quantise: str = "none"
    compile: bool = False
    token: str | None = None


def open_pipeline(base: Base) -> Any:
    """Open a pipeline: on the accelerator where there is one.

    Args:
        base: Which one, and how.

    Raises:
        ExtraMissing: diffusers, or what quantises, is not installed.
        OptionInvalid: Nothing that can be opened is there.
    """
    require_base(base)
    quiet_libraries()
    import torch
    from diffusers import DiffusionPipeline

    device = "cuda" if torch.cuda.is_available() else "cpu"
    source = base.folder or base.id
    try:
        with quiet():
            pipeline = DiffusionPipeline.from_pretrained(
                source,
                torch_dtype=_dtype(base.precision, device),
                quantization_config=_quantisation(base.quantise),
                local_files_only=base.folder is not None,
                token=base.token,
            ).to(device)
    except Exception as error:
        raise _not_opened(base, error) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def compile_blocks(model: Any) -> None:
    """Have a denoiser's repeated blocks compiled when they are first used.

    Args:
        model: The denoiser.
    """
    model.compile_repeated_blocks(dynamic=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' warnings to themselves inside the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def require_base(base: Base) -> None:
    """Make sure that a base can be opened, without importing anything heavy.

    Args:
        base: Which one, and how.

    Raises:
        ExtraMissing: diffusers, or what quantises, is not installed.
        OptionInvalid: There are no such numbers.
    """
    needed = {"diffusers": "diffusers", "torch": "diffusers"}
    if base.quantise != "none":
        needed["torchao"] = "quantise"
    missing = {package: extra for package, extra in needed.items() if find_spec(package) is None}
    if missing:
        extras = ",".join(sorted(set(missing.values())))
        raise ExtraMissing(
            f"The base {base.id} is drawn with {', '.join(sorted(needed))}, of which this installation lacks "
            f"{', '.join(sorted(missing))}.",
            fix=f"Run `pip install 'lorry[{extras}]'`; in a container, install it in the image.",
            evidence={"missing": sorted(missing)},
        )
    problems = [
        f"{label} is {value!r}; it can be {', '.join(known)}."
        for label, value, known in (
            ("The precision", base.precision, PRECISIONS),
            ("The quantisation", base.quantise, QUANTISATIONS),
        )
        if value not in known
    ]
    if base.folder is not None and not (base.folder / "model_index.json").is_file():
        problems.append(f"{base.folder} holds no pipeline that diffusers opens: it has no model_index.json.")
    if problems:
        raise OptionInvalid(" ".join(problems), fix=_FIX, evidence={"problems": problems})


def _dtype(precision: str, device: str) -> Any:
    import torch

    named = ("bfloat16" if device == "cuda" else "float32") if precision == "auto" else precision
    return getattr(torch, named)


def _quantisation(name: str) -> Any:
    if name == "none":
        return None
    from diffusers import PipelineQuantizationConfig, TorchAoConfig
    from torchao.quantization import Int8WeightOnlyConfig

    kind = TorchAoConfig(Int8WeightOnlyConfig())
    return PipelineQuantizationConfig(
        quant_mapping=dict.fromkeys(("transformer", "transformer_2", "unet"), kind)
    )


def _not_opened(base: Base, error: Exception) -> OptionInvalid:
    first = " ".join(str(error).split())[:300]
    where = f"{base.folder} holds" if base.folder else f"The Hub has at {base.id}"
    return OptionInvalid(
        f"{where} no pipeline that diffusers opens: {type(error).__name__}: {first}",
        fix=_FIX,
        evidence={"base": base.id, "folder": str(base.folder) if base.folder else None},
    )
