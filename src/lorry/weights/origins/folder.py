"""Find the weights in what the user named, and what belongs beside them."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from lorry.errors import SourceNotFound, WeightsRejected
from lorry.model.report import Finding, WeightsReport, WeightsSummary
from lorry.weights.catalogue import finding, some

#: The names that diffusers and PEFT save under.
PREFERRED = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors")
_SKIPPED = ("optimizer", "scheduler")  # diffusers leaves such names out (LoRA formats dossier, section 1.4)
_STEP = re.compile(r"[-_](?:step)?\d{6,}$")  # kohya `-000004` and `-step00000500`, ai-toolkit `_000000500`
_DOCUMENTS = ("README.md", "adapter_config.json", "config.yaml")
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_PICTURES_AT_MOST, _PICTURE_BYTES = 8, 10_000_000


def choose(source: Path) -> Path | Finding:
    """Choose the weights file, or say why none can be chosen.

    Args:
        source: A file or a folder.

    Raises:
        SourceNotFound: It does not exist or can't be read.
    """
    try:
        if not source.is_dir():
            if not stat.S_ISREG(source.stat().st_mode):
                raise SourceNotFound(f"{source} is no regular file.", evidence={"path": str(source)})
            return source
        names = sorted(path for path in source.iterdir() if not path.name.startswith("."))
        files = [path for path in names if path.is_file()]
    except OSError as error:
        raise SourceNotFound(
            f"{source} can't be read: {error.strerror}.", evidence={"path": str(source)}
        ) from error
    found = [path for path in files if path.suffix.lower() == ".safetensors"]
    found = [path for path in found if not any(word in path.name.lower() for word in _SKIPPED)]
    for name in PREFERRED:
        if source / name in found:
            return source / name
    if not found:
        there = some([path.name for path in files]) or "nothing"
        message = f"{source} holds no .safetensors file; it has {there}."
        return finding("FILE_MISSING", message, files=[path.name for path in files][:50])
    return found[0] if len(found) == 1 else _final(found)


def locate(source: Path) -> Path:
    """Find the weights file: the file itself, or the one in a folder that is meant.

    A folder's `pytorch_lora_weights.safetensors` comes first, then `adapter_model.safetensors`, then a single
    .safetensors file, then the final one of a series of training steps. Folders inside are not searched.

    Args:
        source: A file or a folder.

    Raises:
        SourceNotFound: The path does not exist or can't be read.
        WeightsRejected: The folder holds no weights file, or several without a choice.
    """
    chosen = choose(source)
    if isinstance(chosen, Finding):
        raise WeightsRejected(WeightsReport(WeightsSummary(str(source), str(source), 0), (chosen,)))
    return chosen


def companions(file: Path) -> tuple[Path, ...]:
    """List the files to ship along: README.md, adapter_config.json, config.yaml and up to 8 sample pictures.

    Args:
        file: The weights file.
    """
    folder = file.parent
    documents = [folder / name for name in _DOCUMENTS if (folder / name).is_file()]
    pictures = [path for place in (folder, folder / "samples") for path in _pictures(place)]
    return (*documents, *pictures[:_PICTURES_AT_MOST])


def name_finding(file: Path) -> Finding | None:
    """Report a file name that diffusers skips in a folder.

    Args:
        file: The weights file.
    """
    words = [word for word in ("checkpoint", *_SKIPPED) if word in file.name.lower()]
    if not words or file.suffix.lower() != ".safetensors":
        return None
    return finding("NAME_CHECKPOINT", f"The name {file.name} contains `{words[0]}`.", subject=file.name)


def _final(found: list[Path]) -> Path | Finding:
    """Choose the file without a step number when all the others are its steps."""
    final = [path for path in found if not _STEP.search(path.stem)]
    if len(final) == 1 and all(_STEP.sub("", path.stem) == final[0].stem for path in found):
        return final[0]
    names = [path.name for path in found]
    message = f"{found[0].parent} holds {len(found)} .safetensors files: {some(names)}."
    return finding("NAME_MULTIPLE", message, files=names[:50])


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in _PICTURES and path.is_file() and path.stat().st_size <= _PICTURE_BYTES
    ]
