"""Model cards: the YAML at the head of a README.md."""

from __future__ import annotations

from typing import Any

import yaml

_FENCE = "---"


def front_matter(text: str) -> dict[str, Any] | None:
    """Read a card's metadata; `None` when it has none.

    Args:
        text: The whole README.md.

    Raises:
        ValueError: It is no YAML, or no mapping.
    """
    lines = text.lstrip("\ufeff").splitlines()
    if not lines or lines[0].strip() != _FENCE:
        return None
    ends = [number for number, line in enumerate(lines[1:], 1) if line.strip() == _FENCE]
    if not ends:
        raise ValueError("the metadata has no closing ---")
    try:
        metadata = yaml.safe_load("\n".join(lines[1 : ends[0]]))
    except yaml.YAMLError as error:
        raise ValueError(f"the metadata is no YAML: {' '.join(str(error).split())}") from error
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise ValueError("the metadata is no mapping of names to values")
    return metadata
