"""The user's files on disk: are they still those that the delivery began with, and which of them go up."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from lorry.delivery.ports import UploadFile
from lorry.errors import SourceChanged, SourceNotFound
from lorry.model.placement import TrainedModel

#: What may stand beside the weights and belongs to them: PEFT's configuration (Together API dossier 2.2).
_COMPANIONS = ("adapter_config.json",)


async def verify_source(model: TrainedModel) -> None:
    """Make sure that a model's file is the one that its delivery began with.

    Args:
        model: What is remembered of it.

    Raises:
        SourceNotFound: The file is gone.
        SourceChanged: Its digest is another one.
    """
    file = Path(model.source)
    try:
        digest = await asyncio.to_thread(_digest, file)
    except OSError as error:
        raise SourceNotFound(
            f"{file}, the file of {model.name}, can't be read: {error.strerror}.",
            fix=f"Put it back and run `lorry resume {model.name}`.",
            evidence={"file": str(file)},
        ) from error
    if digest != model.digest:
        raise SourceChanged(
            f"{file} is not the file that the delivery of {model.name} began with: "
            f"its SHA-256 was {model.digest[:12]}… and is {digest[:12]}… now.",
            fix=f"Put the original back and run `lorry resume {model.name}`, or run "
            f"`lorry retire {model.name}` and ship the new one.",
            evidence={"file": str(file), "expected": model.digest, "found": digest},
        )


def files_of(model: TrainedModel) -> tuple[UploadFile, ...]:
    """List the files that make a model: its weights, and its adapter configuration when there is one."""
    weights = Path(model.source)
    companions = (weights.parent / name for name in _COMPANIONS)
    return (
        UploadFile(weights.name, weights),
        *(UploadFile(file.name, file) for file in companions if file.is_file()),
    )


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
