"""The layouts that one file is in, and what a loader does with each: one, or two mixed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lorry.model.verdict import Outcome
from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Adapter, Module
from lorry.weights.bases.fit import Fit
from lorry.weights.bases.names import Row, rows, to_native
from lorry.weights.catalogue import counted, some
from lorry.weights.loaders.conditions import Effect, changes
from lorry.weights.loaders.layouts import FLAT, Layout, suffix_of
from lorry.weights.loaders.tables import Entry, FamilyTable, patterns

_MIXED = {
    Effect.REFUSED: Outcome.REFUSED,
    Effect.RANDOM: Outcome.RANDOM,
    Effect.SKIPPED: Outcome.IGNORED,
}
_Placed = tuple[Module, Row, tuple[int, ...]]


#: How the trained norms of FLUX.1's Control LoRAs end, which diffusers tells them by. No table was measured
#: for them: they widen the model itself, which is more than a LoRA does.
_CONTROL = ("query_norm.scale", "key_norm.scale")


@dataclass(frozen=True, slots=True)
class Form:
    """The modules of a file in one layout, by `id`, and what the loader does with them in this file."""

    layout: Layout
    modules: frozenset[int]
    entry: Entry

    @property
    def flat(self) -> bool:
        """Whether the dots of names are underscores."""
        return self.layout.prefix in FLAT


def forms(adapter: Adapter, fit: Fit, known: FamilyTable) -> tuple[Form, ...] | str:
    """Group a file's modules by layout.

    Args:
        adapter: The file's modules.
        fit: How they lie on the family.
        known: What the loader does with the family's layouts.

    Returns:
        The forms; or, where nobody has tried the loader with one or with the mix, what that is in words.
    """
    if any(tensor.name.endswith(_CONTROL) for tensor in adapter.strangers):
        return "Control LoRAs, which bring norms"
    layouts = _layouts(adapter, fit)
    if not layouts:
        return "a file that changes no layer of the model itself"
    entries = {layout: known.entry(layout) for layout in layouts}
    for layout, entry in entries.items():
        if entry is None or entry.outcome is Outcome.UNKNOWN or not layout.suffix:
            return f"the {layout.words}" if layout.suffix else "this kind of adapter"
    told = {layout: entry for layout, entry in entries.items() if entry is not None}
    found = told if len(told) < 2 else _mixed(known, told)
    if found is None:
        return f"a mix of the {' and the '.join(layout.words for layout in layouts)}"
    return tuple(Form(layout, layouts[layout], entry) for layout, entry in found.items())


def objection(fit: Fit, form: Form) -> str | None:
    """Say which layers make the loader raise in a layout, or `None`.

    Args:
        fit: How the file's modules lie on the family.
        form: Those in one layout.
    """
    entry = form.entry
    if not (entry.refuses or entry.beside or entry.exactly or entry.together):
        return None
    mine = [placed for placed in fit.matched if id(placed[0]) in form.modules]
    if not mine:
        return "a file without a sound layer" if entry.exactly else None
    refuses, beside = patterns(entry.refuses, form.flat), patterns(entry.beside, form.flat)
    bad = [module.name for module, row, _ in mine if row.pattern in refuses]
    if bad:
        return f"{counted(len(bad), 'module')} such as {some(bad, 1)}"
    if beside and all(row.pattern in beside for _, row, _ in mine):
        return "a file without any of the layers that it looks for first"
    together = patterns(entry.together, form.flat)
    found = together & {row.pattern for _, row, _ in mine}
    if found and found < together:
        return f"layers such as {some(sorted(found), 1)} without {some(sorted(together - found), 1)}"
    return _not_exactly(fit, form, mine) if entry.exactly else None


def placed_in(fit: Fit, form: Form, names: tuple[str, ...]) -> set[int]:
    """Find the modules of a layout, by `id`, that are certain layers in name, whatever their size.

    Args:
        fit: How the file's modules lie on the family.
        form: Those in one layout.
        names: The layers, as tables name them.
    """
    wanted = patterns(names, form.flat)
    if not wanted:
        return set()
    found = [members for row, members in (*fit.fitting, *fit.other_size) if row.pattern in wanted]
    return {id(module) for members in found for _, module in members} & form.modules


def _layouts(adapter: Adapter, fit: Fit) -> dict[Layout, frozenset[int]]:
    found: dict[tuple[str, str], list[Module]] = {}
    for module in adapter.denoiser:
        if changes(module):
            found.setdefault((module.layout, suffix_of(module)), []).append(module)
    native, renamed = _named(fit)
    layouts: dict[Layout, frozenset[int]] = {}
    for (prefix, suffix), modules in _joined(found).items():
        ids = frozenset(map(id, modules))
        groups = {"native": ids - renamed, "diffusers": ids & renamed}
        if prefix != "xlabs" and native.isdisjoint(ids):
            groups = {"diffusers": ids}
        for naming, group in groups.items():
            alpha = any(Role.ALPHA in module.tensors for module in modules if id(module) in group)
            if group:
                layouts[Layout(prefix, naming, suffix, alpha)] = group
    return layouts


def _named(fit: Fit) -> tuple[frozenset[int], frozenset[int]]:
    """Find the modules with names of the original model only, and those with names of diffusers only."""
    native: set[int] = set()
    renamed: set[int] = set()
    for row, members in (*fit.fitting, *fit.other_size):
        numbers, _ = members[0]
        name = row.targets(numbers)[0].name
        there = to_native(fit.family, name)
        if row.native:
            native.update(id(module) for _, module in members)
        elif there is not None and there.name != name:
            renamed.update(id(module) for _, module in members)
    return frozenset(native), frozenset(renamed)


def _joined(found: dict[tuple[str, str], list[Module]]) -> dict[tuple[str, str], list[Module]]:
    """Count modules without a magnitude to those with one; that they lack it is a condition."""
    joined = dict(found)
    for prefix, suffix in found:
        plain = {"dora_A": "lora_A", "dora_down": "lora_down"}.get(suffix)
        if plain and (prefix, plain) in joined:
            joined[prefix, suffix] = [*joined[prefix, suffix], *joined.pop((prefix, plain))]
    return joined


def _mixed(known: FamilyTable, told: dict[Layout, Entry]) -> dict[Layout, Entry] | None:
    """Say what the loader does with each layout's modules when all are in one file."""
    if "* * * *" in known.layouts:  # a loader that finds modules by their names and doesn't see the others
        return told
    effects = known.pair(*told) if len(told) == 2 else None
    if effects is None:
        return None
    # One layout may make the loader read the other one too, which it would ignore alone.
    read = next((entry.effects for entry in told.values() if entry.acts), {})
    found = {}
    for (layout, entry), effect in zip(told.items(), effects, strict=True):
        if effect in _MIXED:
            found[layout] = Entry(_MIXED[effect], entry.says)
        else:
            found[layout] = entry if entry.acts else Entry(Outcome.OK, effects=read)
    return found


def _not_exactly(fit: Fit, form: Form, mine: Iterable[_Placed]) -> str | None:
    """Say what is too much or missing for a loader that wants certain layers, all of them."""
    wanted = patterns(form.entry.exactly, form.flat)
    there: dict[str, set[tuple[int, ...]]] = {name: set() for name in wanted}
    for module, row, numbers in mine:
        if row.pattern not in wanted:
            return f"modules that it doesn't want, such as {module.name}"
        there[row.pattern].add(numbers)
    needed = {
        name for name in wanted if there[name] or not form.entry.from_first or name not in _optional(wanted)
    }
    blocks = {numbers[0] for found in there.values() for numbers in found if numbers}
    if form.entry.from_first and blocks and max(blocks) >= len(blocks):
        said = some([str(number) for number in sorted(blocks)])
        return f"blocks that don't follow each other from the first on: {said}"
    table = rows(fit.family.key, form.flat)
    count = len(blocks) if form.entry.from_first else None
    absent = sum(sum(_length(row, count) for row in table[name]) - len(there[name]) for name in needed)
    return f"{counted(absent, 'layer')} that it wants and the file lacks" if absent else None


def _length(row: Row, blocks: int | None) -> int:
    """Count the layers of a row, or those in so many blocks."""
    low, high = row.ranges[0] if row.ranges else (0, 0)
    return high - low + 1 if blocks is None else blocks


def _optional(wanted: frozenset[str]) -> frozenset[str]:
    """Find the layers of image attention, which Wan's converter wants only where there are some."""
    return frozenset(name for name in wanted if name.endswith(("k_img", "v_img")))
