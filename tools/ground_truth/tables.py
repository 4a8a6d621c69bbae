"""Write the table of diffusers: what was measured, without what goes without saying."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from lorry.weights.loaders.conditions import Condition

SOURCE = (
    "full-shape models on torch's meta device, the real load_lora_weights of each pipeline, the layers that "
    "PEFT wrapped counted one by one; written by tools/loader_matrix.py, compared by tests/ground_truth"
)


def versions() -> str:
    """Say what was measured: the versions of the libraries that take part in loading."""
    return ", ".join(f"{name} {version(name)}" for name in ("diffusers", "peft"))


def documents(families: Mapping[str, dict[str, Any]], checked: str) -> dict[str, str]:
    """Write the table: one document about the loader, and one for each family.

    Args:
        families: What was measured, by family.
        checked: The date.

    Returns:
        The text by family; that about the loader by the empty name.
    """
    usual = _usual(families)
    about = {
        "loader": "diffusers",
        "version": versions(),
        "checked": checked,
        "source": SOURCE,
        "effects": usual,
    }
    texts = {"": json.dumps(about, indent=2) + "\n"}
    return texts | {key: _family(family, usual) for key, family in families.items()}


def _usual(families: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Find the most frequent effect of each condition: what the others need not repeat."""
    counts: dict[str, Counter[str]] = {str(condition): Counter() for condition in Condition}
    for family in families.values():
        for entry in family["layouts"].values():
            for condition, effect in entry.get("effects", {}).items():
                counts[condition][effect] += 1
    return {
        condition: counted.most_common(1)[0][0]
        for condition, counted in counts.items()
        if counted and not condition.startswith("image")  # few models have image attention: always said
    }


def _family(family: dict[str, Any], usual: Mapping[str, str]) -> str:
    layouts = _folded({name: _entry(entry, usual) for name, entry in family["layouts"].items()})
    lines = [f"    {json.dumps(name)}: {entry}" for name, entry in layouts.items()]
    mixed: dict[str, list[str]] = {}
    for pair, effects in family["mixed"].items():
        mixed.setdefault(effects, []).append(pair)
    pairs = [
        f"    {json.dumps(effects)}: {json.dumps(sorted(names))}" for effects, names in sorted(mixed.items())
    ]
    return (
        f'{{\n  "layers": {family["layers"]},\n  "layouts": {{\n'
        + ",\n".join(lines)
        + '\n  },\n  "mixed": {\n'
        + ",\n".join(pairs)
        + "\n  }\n}\n"
    )


def _entry(entry: dict[str, Any], usual: Mapping[str, str]) -> str:
    row = {name: value for name, value in entry.items() if value not in ([], {}, False, "")}
    if "effects" in row:
        row["effects"] = {
            name: effect for name, effect in row["effects"].items() if usual.get(name) != effect
        }
        if not row["effects"]:
            del row["effects"]
    if set(row) <= {"outcome", "says"}:  # the short form
        return json.dumps(": ".join(row.values()))
    return json.dumps(row)


def _folded(rows: dict[str, str]) -> dict[str, str]:
    """Write what most layouts of a group share once, with `*`, and only the others besides."""
    kept: dict[str, str] = {}
    for places in (3, 2, 1):
        groups: dict[tuple[str, ...], dict[str, str]] = {}
        for name, row in rows.items():
            groups.setdefault(tuple(name.split()[:places]), {})[name] = row
        rows = {}
        for start, members in groups.items():
            wild = " ".join([*start, *"*" * (4 - places)])
            most, count = Counter(members.values()).most_common(1)[0]
            if count < 2:
                rows |= members
                continue
            rows[wild] = most
            kept |= {name: row for name, row in members.items() if row != most}
    return dict(sorted({**kept, **rows}.items()))
