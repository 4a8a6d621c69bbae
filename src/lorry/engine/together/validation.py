"""What uploaded files must be to be served: the check that `lorry check` runs, and what the platform adds.

Together validates after the upload and names rule, severity and sentence of each problem; its own vocabulary
of rules is not published (Together API dossier 10). Here the rules are the codes of our check.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lorry.engine.together.bases import Base
from lorry.errors import LorryError
from lorry.model.report import WeightsReport

#: Reads the files in a folder and says what is wrong with them for the base model of that name.
Check = Callable[[Path, str], WeightsReport]

Problem = dict[str, str]

#: The kinds of weights that a record of each type holds.
KINDS = {"adapter": ("image-lora", "text-lora"), "model": ("checkpoint",)}

#: Findings about an adapter that serves merged, and is refused where adapters are attached.
MERGED_ONLY = frozenset({"PEFT_DORA", "PEFT_MODULES_TO_SAVE"})

_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model")
_CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What validation found.

    Attributes:
        outcome: `SUCCESS`, `FAILED`, or `ERROR` where the check itself broke.
        problems: `{rule, severity, message}` of each finding that forbids serving.
        weights: Path of the weights inside the folder.
        modules: Layers that an adapter is expected to change.
        summary: What is worth remembering of the check.
    """

    outcome: str
    problems: list[Problem]
    weights: str | None = None
    modules: int = 0
    summary: dict[str, Any] = field(default_factory=dict)


def validate(check: Check, folder: Path, base: Base, kind: str) -> Verdict:
    """Validate the files of a revision.

    Args:
        check: The check of weights.
        folder: Where the files lie.
        base: The base model that the record names.
        kind: The record's type, `adapter` or `model`.
    """
    try:
        report = check(folder, base.name)
        problems = [_problem(found.code, str(found.severity), found.message) for found in report.errors]
        problems += _kind(report, base, kind) or _files(folder, base, kind)
    except LorryError as error:
        return Verdict("FAILED", [_problem(error.code, "error", error.message)])
    except Exception as error:  # noqa: BLE001  # a fault of the check is an outcome (ERROR), not ours
        return Verdict("ERROR", [_problem("internal_error", "error", f"The check failed: {error}.")])
    summary = report.summary
    return Verdict(
        "FAILED" if problems else "SUCCESS",
        problems,
        weights=_weights(folder, summary.file),
        modules=summary.modules,
        summary={
            "parameters": summary.parameters,
            "dtype": summary.dtype,
            "rank": summary.rank.max if summary.rank else 0,
            "merged_only": [found.message for found in report.findings if found.code in MERGED_ONLY],
        },
    )


def _kind(report: WeightsReport, base: Base, kind: str) -> list[Problem]:
    wanted = [each for each in KINDS[kind] if each in base.uploads]
    found = report.summary.kind
    if found is None or found in wanted:
        return []  # what can't be told has errors of its own
    message = f"A record of type {kind} of {base.name} holds a {wanted[0]}; this is a {found}."
    return [_problem("KIND_LIMIT", "error", message)]


def _files(folder: Path, base: Base, kind: str) -> list[Problem]:
    if base.draws:
        return []
    if kind == "adapter":
        return list(_missing(folder, _ADAPTER_FILES))
    problems = list(_missing(folder, (_CONFIG,)))
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        problems.append(_absent(" or ".join(_TOKENIZERS)))
    return [*problems, *_shape(folder, base)]


def _missing(folder: Path, names: tuple[str, ...]) -> Iterator[Problem]:
    for name in names:
        if not (folder / name).is_file():
            yield _absent(name)


def _absent(name: str) -> Problem:
    return _problem("FILES_MISSING", "error", f"{name} is not among the files at the top of the upload.")


def _shape(folder: Path, base: Base) -> Iterator[Problem]:
    """Compare a checkpoint's config.json with what a variant of the base has to say."""
    try:
        said = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return  # absent or broken: told already
    if not isinstance(said, dict):
        yield _problem("CHECKPOINT_CONFIG", "error", f"{_CONFIG} is JSON, but no object.")
        return
    names = said.get("architectures")
    if not isinstance(names, list) or base.architecture not in names:
        yield _mismatch(base, "architectures", names, [base.architecture])
    for key, wanted in base.shape.items():
        if said.get(key) != wanted:
            yield _mismatch(base, key, said.get(key), wanted)


def _mismatch(base: Base, key: str, found: object, wanted: object) -> Problem:
    shown = json.dumps(found)[:100]
    return _problem(
        "BASE_MISMATCH",
        "error",
        f"{_CONFIG} says {key} {shown}; a variant of {base.name} has {json.dumps(wanted)}.",
    )


def _weights(folder: Path, file: str) -> str:
    path = Path(file)
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _problem(rule: str, severity: str, message: str) -> Problem:
    return {"rule": rule, "severity": severity.upper(), "message": message}
