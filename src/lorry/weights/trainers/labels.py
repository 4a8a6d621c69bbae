"""What the header's metadata and the files beside the weights say: trigger word, base model, private things.

Sources and their order: LoRA formats dossier, section 4 (trainers' outputs, trigger priority).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lorry.model.report import Finding
from lorry.weights.catalogue import finding, printable
from lorry.weights.trainers.concepts import concept_folder, read_object
from lorry.weights.trainers.documents import read_scalars
from lorry.weights.trainers.privacy import privacy_finding

_READ_AT_MOST = 65_536  # bytes of a neighbour; the front matter comes first


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The scalars of the small text files beside the weights."""

    readme: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    adapter_config: Mapping[str, Any] = field(default_factory=dict)
    sidecar: Mapping[str, Any] = field(default_factory=dict)


def read_neighbours(file: Path) -> Neighbours:
    """Read what lies beside a weights file; what is missing or broken is empty.

    Args:
        file: The weights file.
    """
    folder = file.parent
    front = _text(folder / "README.md").removeprefix("\ufeff")
    matter = front.split("\n---", 1)[0] if front.startswith("---") and "\n---" in front else ""
    return Neighbours(
        read_scalars(matter),
        read_scalars(_text(folder / "config.yaml")),
        read_object(_text(folder / "adapter_config.json")),
        read_object(_text(file.with_suffix(".json"))),
    )


def trigger_word(metadata: Mapping[str, str], beside: Neighbours) -> str | None:
    """Find the trigger word.

    Args:
        metadata: The header's metadata.
        beside: The files beside the weights.
    """
    choices = (
        beside.config.get("trigger_word"),
        (metadata.get("trained_words") or "").split(",")[0],
        metadata.get("modelspec.trigger_phrase"),
        beside.readme.get("instance_prompt"),
        concept_folder(metadata),
        beside.sidecar.get("activation text"),
    )
    return next((printable(word.strip()) for word in choices if isinstance(word, str) and word.strip()), None)


def base_labels(metadata: Mapping[str, str], beside: Neighbours) -> list[str]:
    """List what the base model is called, most trusted first.

    Args:
        metadata: The header's metadata.
        beside: The files beside the weights.
    """
    choices = (
        beside.readme.get("base_model"),
        beside.adapter_config.get("base_model_name_or_path"),
        beside.config.get("name_or_path"),
        (metadata.get("modelspec.architecture") or "").partition("/")[0],
        metadata.get("ss_base_model_version"),
        metadata.get("ss_sd_model_name"),
    )
    return [label.strip() for label in choices if isinstance(label, str) and label.strip()]


def label_findings(metadata: Mapping[str, str], trigger: str | None) -> Iterator[Finding]:
    """Report private things in the header, and a trigger word that nothing names.

    Args:
        metadata: The header's metadata.
        trigger: The trigger word, where one was found.
    """
    found = privacy_finding(metadata)
    if found is not None:
        yield found
    if trigger is None:
        yield finding("TRIGGER_MISSING", "No trigger word is named, so prompts are sent as they are.")


def _text(path: Path) -> str:
    try:
        if not path.is_file():  # a pipe would block whoever opens it
            return ""
        with path.open("rb") as file:
            return file.read(_READ_AT_MOST).decode("utf-8", "replace")
    except OSError:
        return ""  # a neighbour that is not there, or not for us, says nothing
