"""Write docs/reference/loaders.md: what each loader does with each layout of each family, from the tables."""

from __future__ import annotations

from collections.abc import Iterator

from lorry.model.verdict import Outcome
from lorry.weights.bases.families import Family, families
from lorry.weights.loaders.conditions import WORDS
from lorry.weights.loaders.layouts import PREFIXES, SUFFIXES, Layout, matrix
from lorry.weights.loaders.tables import Entry, FamilyTable, LoaderTable, loaders, table

_WORDS = {
    Outcome.OK: "**{}**",
    Outcome.PARTIAL: "{} of {}",
    Outcome.ALPHA_DROPPED: "{}, no alpha",
    Outcome.MAGNITUDE_DROPPED: "{}, no magnitudes",
    Outcome.RANDOM: "random",
    Outcome.IGNORED: "nothing",
    Outcome.REFUSED: "error",
    Outcome.UNKNOWN: "?",
}
_COLUMNS = [suffix for suffix in SUFFIXES if suffix != "_lora.down"]
_INTRODUCTION = """\
# Loaders and layouts

What a loader does with the way an adapter is spelled: the same weights run, half run, or do nothing at all,
depending on the names of their tensors. `lorry check` foretells it from these tables, and `lorry convert`
writes the layout that runs.

A layout is a prefix, the names of the modules (`diffusers`, or `native`: those of the original model), the
words for the matrices, and whether there are alpha tensors. Cells say how many layers of the model an adapter
on all layers changes: **bold** when all that the adapter has are changed with the trained strength; `494 of
504` when the loader leaves some out without an error; *nothing* when it returns normally and draws base-model
pictures; *error* when it raises; *random* when it fills the layers with memory that nobody wrote. A number
with an asterisk means that some layers make the loader raise, and the others run. Two entries with a stroke
between them are the layout without and with alpha tensors.
"""


def page() -> str:
    """Write the page."""
    parts = [_INTRODUCTION, *_axes()]
    for name in loaders():
        found = table(name)
        if found is not None and name in ("diffusers", "comfyui"):
            parts += _loader(found)
    return "\n".join(parts)


def _axes() -> Iterator[str]:
    yield "| prefix | keys begin with | written by |\n|---|---|---|"
    for prefix, (start, writers) in PREFIXES.items():
        yield f"| {prefix} | `{start.format('transformer') or 'nothing'}` | {writers} |"
    yield "\n| words for the matrices | keys end with | what it is |\n|---|---|---|"
    for suffix, (ends, meaning) in SUFFIXES.items():
        yield f"| {suffix} | {', '.join(f'`{end}`' for end in ends)} | {meaning} |"
    yield ""


def _loader(found: LoaderTable) -> Iterator[str]:
    yield f"## {found.loader}\n"
    yield f"Version: {found.version}. Checked: {found.checked}. How: {found.source}.\n"
    for known in families():
        if known.key in found.families:
            yield from _family(known, found.families[known.key])
    yield "\n### Conditions\n"
    yield "Where nothing else is said in the table's data, a file with one of these is treated so:\n"
    yield f"| the file has modules or tensors … | {found.loader} |\n|---|---|"
    for condition, effect in found.effects.items():
        yield f"| {WORDS[condition]} | {effect} |"
    yield ""


def _family(known: Family, found: FamilyTable) -> Iterator[str]:
    yield f"### {known.name}\n\n{known.structure}; {found.layers} layers.\n"
    yield "| prefix | names | " + " | ".join(_COLUMNS) + " |\n|---|---|" + "---|" * len(_COLUMNS)
    cells: dict[tuple[str, str], dict[str, list[Entry | None]]] = {}
    for layout in matrix(known):
        row = cells.setdefault((layout.prefix, layout.naming), {})
        row.setdefault(layout.suffix, []).append(found.entry(layout))
    for (prefix, naming), row in cells.items():
        if prefix != "xlabs":
            said = [_cell(row.get(suffix, [])) for suffix in _COLUMNS]
            yield f"| {prefix} | {naming} | {' | '.join(said)} |"
    odd = [layout for layout in matrix(known) if layout.suffix == "_lora.down"]
    acting = [(layout, entry) for layout in odd if (entry := found.entry(layout)) is not None and entry.acts]
    if acting:
        said = [f"{_words(layout)}: {_outcome(entry)}" for layout, entry in acting]
        yield f"\nIn attention processors: {'; '.join(said)}."
    yield ""


def _words(layout: Layout) -> str:
    return f"{layout.prefix} prefix with {layout.naming} names"


def _cell(entries: list[Entry | None]) -> str:
    said = ["?" if entry is None else _outcome(entry) for entry in entries]
    return said[0] if len(set(said)) == 1 else " / ".join(said)


def _outcome(entry: Entry) -> str:
    if entry.acts and not entry.modules:  # read, not counted
        return {Outcome.OK: "**all**", Outcome.PARTIAL: "some"}.get(entry.outcome, str(entry.outcome))
    said = _WORDS[entry.outcome].format(entry.modules, entry.of)
    return f"{said}\\*" if entry.acts and entry.refuses else said
