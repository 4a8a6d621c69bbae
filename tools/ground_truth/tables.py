"""Write the table of diffusers: what was measured, without what goes without saying."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from lorry.weights.loaders.conditions import Condition

SOURCE = (
    "full-shape models on torch's meta device, the real load_lora_weights of each pipeline, the layers that PEFT "
    "wrapped counted one by one; written by tools/loader_matrix.py, compared by tests/ground_truth"
)


def versions() -> str:
    """Say what was measured: the versions of the libraries that take part in loading."""
    return ", ".join(f"{name} {version(name)}" for name in ("diffusers", "peft"))


def document(families: Mapping[str, dict[str, Any]], checked: str) -> str:
    """Write the table.

    Args:
        families: What was measured, by family.
        checked: The date.
    """
    usual = _usual(families)
    lines = [
        "{",
        f'  "loader": "diffusers",\n  "version": {json.dumps(versions())},',
        f'  "checked": {json.dumps(checked)},\n  "source": {json.dumps(SOURCE)},',
        f'  "effects": {json.dumps(usual)},',
        '  "families": {',
    ]
    parts = [_family(key, families[key], usual) for key in sorted(families)]
    return "\n".join([*lines, ",\n".join(parts), "  }", "}", ""])


def _usual(families: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Find the most frequent effect of each condition: what the others need not repeat."""
    counts: dict[str, Counter[str]] = {str(condition): Counter() for condition in Condition}
    for family in families.values():
        for entry in family["layouts"].values():
            for condition, effect in entry.get("effects", {}).items():
                counts[condition][effect] += 1
    return {condition: counted.most_common(1)[0][0] for condition, counted in counts.items() if counted}


def _family(key: str, family: dict[str, Any], usual: Mapping[str, str]) -> str:
    layouts = _folded({name: _entry(entry, usual) for name, entry in family["layouts"].items()})
    lines = [f"        {json.dumps(name)}: {entry}" for name, entry in layouts.items()]
    mixed: dict[str, list[str]] = {}
    for pair, effects in family["mixed"].items():
        mixed.setdefault(effects, []).append(pair)
    pairs = [
        f"        {json.dumps(effects)}: {json.dumps(sorted(names))}"
        for effects, names in sorted(mixed.items())
    ]
    return (
        f'    {json.dumps(key)}: {{\n      "layers": {family["layers"]},\n      "layouts": {{\n'
        + ",\n".join(lines)
        + '\n      },\n      "mixed": {\n'
        + ",\n".join(pairs)
        + "\n      }\n    }"
    )


def _entry(entry: dict[str, Any], usual: Mapping[str, str]) -> str:
    row = {name: value for name, value in entry.items() if value not in ([], False, "")}
    if "effects" in row:
        row["effects"] = {name: effect for name, effect in row["effects"].items() if usual[name] != effect}
        if not row["effects"]:
            del row["effects"]
    if set(row) <= {"outcome", "says"}:  # the short form
        return json.dumps(": ".join(row.values()))
    return json.dumps(row)


def _folded(rows: dict[str, str]) -> dict[str, str]:
    """Write one row for all layouts of a prefix that are treated alike."""
    for places in (1, 2, 3):
        groups: dict[tuple[str, ...], set[str]] = {}
        members: dict[tuple[str, ...], list[str]] = {}
        for name, row in rows.items():
            if "*" not in name:
                start = tuple(name.split()[:places])
                groups.setdefault(start, set()).add(row)
                members.setdefault(start, []).append(name)
        for start, kinds in groups.items():
            if len(kinds) == 1 and len(members[start]) > 1 and "{" not in next(iter(kinds)):
                rows = {name: row for name, row in rows.items() if name not in members[start]}
                rows[" ".join([*start, *"*" * (4 - places)])] = kinds.pop()
    return dict(sorted(rows.items()))
