"""`lorry convert`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from lorry.cli.options import Output

if TYPE_CHECKING:
    from lorry.weights.origins.access import Access

_FLAG = Parameter(negative="", show_default=False)


def convert(
    source: str,
    /,
    *,
    out: Annotated[Path, Parameter(name=("--out", "-o"))],
    to: Literal["diffusers", "comfyui", "kohya", "peft"] | None = None,
    base: str | None = None,
    dtype: Literal["bf16", "f16", "f32"] | None = None,
    rank: int | None = None,
    alpha: float | None = None,
    lossy: Annotated[bool, _FLAG] = False,
    strip_private: Annotated[bool, _FLAG] = False,
    drop_text_encoders: Annotated[bool, _FLAG] = False,
    force: Annotated[bool, _FLAG] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Write a LoRA in another layout, with the same strength, and prove it.

    Every module is compared before and after; a changed strength is an error, and nothing is written then.
    Exit status: 0 written, 1 not written, 2 wrong usage.

    Args:
        source: A .safetensors file, a folder or archive that holds it, a Hub repository
            (`owner/name[@revision][:file]`) or an https address.
        out: The .safetensors file to write, or the folder to put it in.
        to: The layout (default: diffusers for pictures, peft for text).
        base: The base model that it was trained for, where that can't be told.
        dtype: Store the weights like this (default: as they are; bf16 for types that loaders fail on).
        rank: Reduce every rank above this one; needs --lossy.
        alpha: What alpha was in training, where nothing states it.
        lossy: Allow what loses something, and say how much.
        strip_private: Take captions, paths and user names out of the header.
        drop_text_encoders: Leave out what changes text encoders.
        force: Replace what is there.
    """
    # Several threads gain nothing on matrices this thin, and on a busy machine they wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from lorry.cli.converting import conversion_lines
    from lorry.weights.convert.conversion import convert as convert_weights
    from lorry.weights.convert.options import Layout, Options
    from lorry.weights.origins.fetching import fetched

    options = Options(
        to=None if to is None else Layout(to),
        base=base,
        dtype=dtype,
        rank=rank,
        alpha=alpha,
        lossy=lossy,
        strip_private=strip_private,
        drop_text_encoders=drop_text_encoders,
        force=force,
    )
    with fetched(source, _access()) as here:
        done = convert_weights(here, out, options)
    if done.before.path != source:  # a private folder that is gone by now
        done = replace(done, before=replace(done.before, path=source, file=here.name))
    output.out(done.as_dict(), conversion_lines(done))
    return 0


def _access() -> Access:
    """Say what may be asked for a source that is not on this machine."""
    from lorry.settings import read_settings
    from lorry.wiring import House

    return House(read_settings()).access()
