"""What captions and training folders say about the concept: kohya's `<repeats>_<concept>` and its tags.

Source: LoRA formats dossier, section 4 (kohya sd-scripts, musubi-tuner, ai-toolkit).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

_REPEATS = re.compile(r"^\d{1,6}_(.+)$", re.DOTALL)
_UNSET = frozenset({"", "none", "null", "~", "{}", "[]"})
_NEARLY_ALL = 0.9  # share of the captions that a trigger's tag is in
_FEW = 3  # captions below which a common tag says nothing


def said(value: Any) -> str | None:
    """Give a text as it is said, without the ways in which trainers write that nothing is said.

    Args:
        value: Any value of a document or a header; kohya writes `None`, cards write `null`.
    """
    text = value.strip() if isinstance(value, str) else ""
    return None if text.lower() in _UNSET else text


def read_object(text: str) -> dict[str, Any]:
    """Read a JSON object; empty for everything else.

    Args:
        text: A document, or the value of a field.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def folders_of(metadata: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """List the training folders and the number of each caption tag in them (`ss_tag_frequency`).

    Args:
        metadata: The header's metadata.
    """
    folders = read_object(metadata.get("ss_tag_frequency", ""))
    return {name: tags for name, tags in folders.items() if isinstance(tags, dict)}


def concept_folder(metadata: Mapping[str, str]) -> str | None:
    """Give the concept of the only training folder that is called `<repeats>_<concept>`.

    Args:
        metadata: The header's metadata.
    """
    for field in ("ss_tag_frequency", "ss_dataset_dirs"):
        folders = read_object(metadata.get(field, ""))
        names = {found[1] for name in folders if (found := _REPEATS.match(name))}
        if len(names) == 1:
            return said(names.pop())
        if names:
            return None
    return None


def captioned_concept(metadata: Mapping[str, str]) -> str | None:
    """Give the concept folder's name where it is a caption too: then it is what the pictures are called.

    Args:
        metadata: The header's metadata.
    """
    concept = concept_folder(metadata)
    return concept if concept and any(concept in tags for tags in folders_of(metadata).values()) else None


def common_tag(metadata: Mapping[str, str], captions: list[str]) -> str | None:
    """Give the one tag that nearly all captions have, from the header or from the captions themselves.

    Args:
        metadata: The header's metadata; `ss_dataset_dirs` says how many pictures a folder has.
        captions: Captions beside the weights, their tags parted by commas.
    """
    pictures = 0
    for folder in read_object(metadata.get("ss_dataset_dirs", "")).values():
        number = folder.get("img_count") if isinstance(folder, dict) else None
        pictures += number if isinstance(number, int) and not isinstance(number, bool) else 0
    tags: Counter[str] = Counter()
    for found in folders_of(metadata).values():
        tags.update({tag.strip(): number for tag, number in found.items() if isinstance(number, int)})
    if pictures < _FEW or not tags:
        pictures = len(captions)
        tags = Counter(tag for text in captions for tag in {part.strip() for part in text.split(",")} if tag)
    often = [tag for tag, number in tags.items() if pictures >= _FEW and number >= _NEARLY_ALL * pictures]
    return said(often[0]) if len(often) == 1 else None
