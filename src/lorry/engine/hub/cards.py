"""The metadata of a repository's card: YAML between two lines of dashes at the top of its README."""

from __future__ import annotations

import json
from typing import Any

import yaml

#: A card is text for people; metadata beyond this is none.
_LIMIT = 64 * 1024
#: The time that PyYAML takes grows with the square of the depth; brackets bound it.
_BRACKETS = 200


def front_matter(text: str) -> dict[str, Any]:
    """Read the metadata of a card as values that JSON has.

    Args:
        text: The README.

    Returns:
        The metadata; nothing when the README has none.

    Raises:
        ValueError: It has some that can't be read; the text says why.
    """
    lines = text.split("\n")
    if not lines or lines[0].strip() != "---":
        return {}
    end = next((number for number, line in enumerate(lines[1:], 1) if line.strip() == "---"), None)
    if end is None:
        return {}
    front = "\n".join(lines[1:end])
    if len(front) > _LIMIT:
        raise ValueError(f"The metadata has {len(front)} characters; {_LIMIT} are the limit.")
    if front.count("[") + front.count("{") > _BRACKETS:
        raise ValueError(f"The metadata has more than {_BRACKETS} brackets.")
    try:
        # A few nested aliases stand for gigabytes, and one that names itself has no end.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(front)):
            raise ValueError("The metadata has a YAML alias; write the value out.")
        data = yaml.safe_load(front)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"The metadata is no YAML: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ValueError("The metadata is not a list of names with values.")  # noqa: TRY004  # it is text
    # YAML has dates, bytes, sets and NaN; JSON has none of them.
    written = json.dumps(data, default=str, skipkeys=True)
    read: dict[str, Any] = json.loads(written, parse_constant=str)
    return read


def tags(card: dict[str, Any]) -> list[str]:
    """Give the tags that the Hub shows: the card's own, its library, its base model."""
    own = card.get("tags")
    shown = [str(tag) for tag in own] if isinstance(own, list) else []
    for key, prefix in (("library_name", ""), ("base_model", "base_model:")):
        if isinstance(card.get(key), str):
            shown.append(prefix + card[key])
    return list(dict.fromkeys(shown))
