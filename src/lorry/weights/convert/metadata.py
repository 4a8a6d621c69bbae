"""The metadata of a converted file: what was there, less what is no longer true or nobody's business."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from lorry.weights.adapter.strength import CONFIG
from lorry.weights.catalogue import some
from lorry.weights.trainers.privacy import private_fields, without_private

#: Checksums of the weights as they were, which loaders would compare with the weights as they are.
_CHECKSUMS = ("sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256")


def new_metadata(
    old: Mapping[str, str], steps: Sequence[str], *, strip_private: bool
) -> tuple[dict[str, str], list[str]]:
    """Give the metadata of the converted file, and what was done to it in words.

    Args:
        old: The metadata of the source.
        steps: What was done to the weights.
        strip_private: Whether captions, paths and user names leave it.
    """
    said = []
    kept = dict(old)
    if strip_private:
        fields = private_fields(old)
        kept = without_private(old)
        said.append(
            f"private fields cleaned: {some(list(fields))}" if fields else "nothing private in the header"
        )
    if kept.pop(CONFIG, None) is not None:
        said.append(f"{CONFIG} removed: the strength is stated elsewhere now")
    stale = [name for name in _CHECKSUMS if kept.pop(name, None) is not None]
    if stale:
        said.append(f"checksums of the old weights removed: {some(stale)}")
    kept.setdefault("format", "pt")
    kept["converted_by"] = f"lorry {version('lorry')}"
    kept["conversion"] = "; ".join([*steps, *said])
    return kept, said


def without_private_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the fields of adapter_config.json without machine paths; of a model's path its last name stays.

    Args:
        config: The fields.
    """
    texts = {name: value for name, value in config.items() if isinstance(value, str)}
    clean = without_private(texts)
    return {name: clean.get(name) if name in texts else value for name, value in config.items()}
