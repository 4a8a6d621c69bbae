"""The user's files on disk: are they still those that the delivery began with, and which of them go up.

An adapter is a file (with PEFT's configuration beside it, where there is one). A whole model is a folder: its
digest is taken over the digests of all files that make it.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from lorry.delivery.ports import UploadFile
from lorry.errors import SourceChanged, SourceNotFound
from lorry.model.placement import TrainedModel

#: What may stand beside the weights and belongs to them: PEFT's configuration (Together API dossier 2.2).
_COMPANIONS = ("adapter_config.json",)
#: What makes a whole model: a folder as `from_pretrained` takes it. Pickles fail validation (dossier 2.2).
_MODEL_ENDINGS = (".safetensors", ".json", ".model", ".txt", ".jinja")
#: What lies in many such folders and is no part of the model: other formats, and what trainers keep.
_NOT_OF_A_MODEL = ("adapter_", "optimizer", "scheduler", "trainer_state", "training_args", "rng_state")


async def verify_source(model: TrainedModel) -> None:
    """Make sure that a model's files are those that its delivery began with.

    Args:
        model: What is remembered of it.

    Raises:
        SourceNotFound: They are gone.
        SourceChanged: Their digest is another one.
    """
    source = Path(model.source)
    what = "the folder" if model.kind == "checkpoint" else "the file"
    try:
        digest = await asyncio.to_thread(digest_of, source)
    except OSError as error:
        raise SourceNotFound(
            f"{source}, {what} of {model.name}, can't be read: {error.strerror}.",
            fix=f"Put it back and run `lorry resume {model.name}`.",
            evidence={"file": str(source)},
        ) from error
    if digest != model.digest:
        raise SourceChanged(
            f"{source} is not {what} that the delivery of {model.name} began with: "
            f"its SHA-256 was {model.digest[:12]}… and is {digest[:12]}… now.",
            fix=f"Put the original back and run `lorry resume {model.name}`, or run "
            f"`lorry retire {model.name}` and ship the new one.",
            evidence={"file": str(source), "expected": model.digest, "found": digest},
        )


def files_of(model: TrainedModel) -> tuple[UploadFile, ...]:
    """List the files that make a model: its weights, and what belongs to them.

    Args:
        model: What is remembered of it.
    """
    source = Path(model.source)
    if source.is_dir():
        return tuple(UploadFile(file.name, file) for file in model_files(source))
    companions = (source.parent / name for name in _COMPANIONS)
    return (
        UploadFile(source.name, source),
        *(UploadFile(file.name, file) for file in companions if file.is_file()),
    )


def model_files(folder: Path) -> tuple[Path, ...]:
    """List the files of a folder that make a whole model, by name.

    Args:
        folder: As `from_pretrained` takes it.
    """
    return tuple(
        file
        for file in sorted(folder.iterdir())
        if file.is_file()
        and file.suffix in _MODEL_ENDINGS
        and not file.name.startswith((".", *_NOT_OF_A_MODEL))
        and file.stat().st_size
    )


def digest_of(source: Path) -> str:
    """Give the SHA-256 of a file, or of a folder's model: over the names and digests of its files.

    Args:
        source: A file or a folder.

    Raises:
        OSError: It can't be read.
    """
    if not source.is_dir():
        return _digest(source)
    whole = hashlib.sha256()
    for file in model_files(source):
        whole.update(f"{file.name}\0{_digest(file)}\n".encode())
    return whole.hexdigest()


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
