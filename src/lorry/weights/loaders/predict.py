"""Foretell what a loader will do with a file: how many layers it changes, and what happens to the rest.

How it works: the file's modules are grouped by layout; the loader's table says what it does with each; then
come the layers that it leaves out or refuses, and the conditions that the file meets. The worst decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lorry.model.verdict import Outcome, Prediction
from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Adapter, Module
from lorry.weights.bases.families import OWN_BASE, Family
from lorry.weights.bases.fit import Fit
from lorry.weights.bases.names import Row
from lorry.weights.catalogue import counted, some
from lorry.weights.loaders.conditions import Condition, Effect, Met, changes, conditions
from lorry.weights.loaders.layouts import FLAT, Layout, suffix_of
from lorry.weights.loaders.tables import Entry, FamilyTable, loaders, patterns, table

_MODALITIES = {
    "image": ("diffusers", "comfyui"),
    "video": ("diffusers", "comfyui"),
    "text": ("peft", "vllm"),
}
_SPOILT = {
    Effect.RANDOM: Outcome.RANDOM,
    Effect.IGNORED: Outcome.IGNORED,
    Effect.TWICE: Outcome.ALPHA_TWICE,
    Effect.DROPPED: Outcome.ALPHA_DROPPED,
    Effect.BREAKS: Outcome.REFUSED,
    Effect.REFUSED: Outcome.REFUSED,
}
_WHOLE = {
    Outcome.ALPHA_DROPPED: "drops their alpha: the strength is not the trained one",
    Outcome.ALPHA_TWICE: "applies their strength twice",
    Outcome.MAGNITUDE_DROPPED: "drops their DoRA magnitudes",
}


@dataclass(frozen=True, slots=True)
class _Form:
    """The modules of a file in one layout, what the loader does with it, and whether it does so here."""

    layout: Layout
    modules: frozenset[int]
    entry: Entry
    acts: bool


@dataclass(slots=True)
class _Tally:
    """What was found so far: the outcome, why, and the layers that are changed."""

    outcome: Outcome
    layers: int
    why: list[str] = field(default_factory=list)


def predict(
    adapter: Adapter, fit: Fit | None, loader: str, metadata: Mapping[str, str] | None = None
) -> Prediction:
    """Foretell what a loader does with a file.

    Args:
        adapter: The file's modules.
        fit: How they lie on the family that they are for; `None` when none is known.
        loader: `diffusers`, `comfyui`, `peft`, `vllm`, or `engine`.
        metadata: The file's metadata.

    Returns:
        The prediction; its outcome is `unknown` where nobody has tried.
    """
    expected = _expected(adapter, fit)
    found = table(loader)
    if fit is None:
        return _unknown(loader, expected, f"no family is known, so what {loader} does can't be told")
    known = found.families.get(fit.family.key) if found else None
    if known is None:
        return _unknown(loader, expected, f"nobody has tried {loader} with adapters for {fit.family.name}")
    forms = _forms(adapter, fit, known)
    if isinstance(forms, str):
        return _unknown(loader, expected, f"nobody has tried {loader} with {forms}")
    met = tuple(conditions(adapter, fit, metadata or {}))
    tally = _judged(adapter, fit, forms, met)
    tensors = sum(len(tensor) for module in adapter.modules for tensor in module.tensors.values())
    sentence = _sentence(loader, tally, expected, tensors)
    return Prediction(loader, tally.outcome, tally.layers, expected, sentence)


def predictions(
    adapter: Adapter, fit: Fit | None, metadata: Mapping[str, str] | None = None
) -> tuple[Prediction, ...]:
    """Foretell what each loader does that there is a table for and that a family of this kind runs in.

    Args:
        adapter: The file's modules.
        fit: How they lie on the family that they are for; `None` when none is known.
        metadata: The file's metadata.
    """
    names = loaders_for(fit.family) if fit else _MODALITIES["image"]
    return tuple(predict(adapter, fit, loader, metadata) for loader in names if loader in loaders())


def loaders_for(family: Family) -> tuple[str, ...]:
    """List the loaders that run adapters of a family, the usual one first.

    Args:
        family: The family.
    """
    usual = ("engine",) if family.key == OWN_BASE else ()
    return (*usual, *_MODALITIES[family.modality])


def _forms(adapter: Adapter, fit: Fit, known: FamilyTable) -> tuple[_Form, ...] | str:
    """Group the modules by layout; a sentence's end where a layout or a mix of them was never tried."""
    found: dict[tuple[str, str], list[Module]] = {}
    for module in adapter.denoiser:
        if changes(module):
            found.setdefault((module.layout, suffix_of(module)), []).append(module)
    layouts: dict[Layout, list[Module]] = {}
    for (prefix, suffix), modules in _joined(found).items():
        naming = "native" if prefix == "xlabs" else _naming(fit, {id(module) for module in modules})
        alpha = any(Role.ALPHA in module.tensors for module in modules)
        layout = Layout(prefix, naming, suffix, alpha)
        layouts.setdefault(layout, []).extend(modules)
    entries = {layout: known.entry(layout) for layout in layouts}
    for layout, entry in entries.items():
        if entry is None or entry.outcome is Outcome.UNKNOWN or not layout.suffix:
            return f"the {layout.words}"
    effects = _together(known, tuple(layouts))
    if effects is None:
        return f"a mix of the {' and the '.join(layout.words for layout in layouts)}"
    return tuple(
        _Form(layout, frozenset(map(id, modules)), entry, effect is Effect.LOADED)
        for (layout, modules), effect in zip(layouts.items(), effects, strict=True)
        if (entry := _as_mixed(entries[layout], effect)) is not None
    )


def _joined(found: dict[tuple[str, str], list[Module]]) -> dict[tuple[str, str], list[Module]]:
    """Count modules without a magnitude to those with one; that they lack it is a condition."""
    joined = dict(found)
    for prefix, suffix in found:
        plain = {"dora_A": "lora_A", "dora_down": "lora_down"}.get(suffix)
        if plain and (prefix, plain) in joined:
            joined[prefix, suffix] = [*joined[prefix, suffix], *joined.pop((prefix, plain))]
    return joined


def _naming(fit: Fit, modules: set[int]) -> str:
    native = any(row.native for module, row, _ in fit.matched if id(module) in modules)
    return "native" if native else "diffusers"


def _together(known: FamilyTable, layouts: tuple[Layout, ...]) -> tuple[Effect, ...] | None:
    """Say what the loader does with the modules of each layout when all are in one file."""
    if len(layouts) == 1:
        entry = known.entry(layouts[0])
        return (Effect.LOADED if entry is not None and entry.acts else Effect.SKIPPED,)
    wild = known.layouts.get("* * * *")
    if wild is not None:  # a loader that reads one layout and doesn't see the others
        entries = [known.entry(layout) for layout in layouts]
        return tuple(Effect.LOADED if entry and entry.acts else Effect.SKIPPED for entry in entries)
    return known.pair(*layouts) if len(layouts) == 2 else None


def _as_mixed(entry: Entry | None, effect: Effect) -> Entry | None:
    """Give a layout's entry, or that of a file which the loader refuses because two layouts are mixed."""
    if effect in (Effect.REFUSED, Effect.RANDOM) and entry is not None:
        return Entry(_SPOILT[effect], entry.says or "two layouts in one file")
    return entry


def _judged(adapter: Adapter, fit: Fit, forms: tuple[_Form, ...], met: tuple[Met, ...]) -> _Tally:
    """Put together what the layouts, the layers and the conditions lead to."""
    refusals = [form for form in forms if form.entry.outcome is Outcome.REFUSED]
    if refusals:
        return _Tally(Outcome.REFUSED, 0, [_raises(refusals[0].entry, f"the {refusals[0].layout.words}")])
    acting = [form for form in forms if form.acts]
    if not acting:
        return _Tally(Outcome.IGNORED, 0)
    tally = _Tally(Outcome.OK, 0)
    for form in acting:
        refused = _refused(fit, form)
        if refused:
            return _Tally(Outcome.REFUSED, 0, [_raises(form.entry, refused)])
    lost: set[int] = {id(m) for form in forms if not form.acts for m in adapter.denoiser if id(m) in form.modules}
    for each in met:
        _apply(each, acting, tally, lost)
        if tally.outcome in (Outcome.REFUSED, Outcome.IGNORED):
            tally.layers = 0
            return tally
    tally.layers = _changed(fit, acting, lost)
    _settle(adapter, fit, acting, tally)
    return tally


def _apply(each: Met, acting: list[_Form], tally: _Tally, lost: set[int]) -> None:
    """Let a condition have its effect: on the modules concerned, or on the whole file."""
    for form in acting:
        if each.modules and each.modules.isdisjoint(form.modules) and each.condition not in _ENCODERS:
            continue
        effect = form.entry.effects.get(each.condition, Effect.LOADED)
        if effect is Effect.SKIPPED:
            lost |= each.modules
        elif effect in _SPOILT and tally.outcome is not Outcome.REFUSED:
            tally.outcome = _SPOILT[effect]
            tally.why.insert(0, each.words)


_ENCODERS = frozenset({Condition.CLIP, Condition.T5, Condition.DIFF})


def _refused(fit: Fit, form: _Form) -> str | None:
    """Say which layers make the loader raise in this layout, if any."""
    entry, flat = form.entry, form.layout.prefix in FLAT
    mine = [(module, row, numbers) for module, row, numbers in fit.matched if id(module) in form.modules]
    refuses, beside = patterns(entry.refuses, flat), patterns(entry.beside, flat)
    bad = [module.name for module, row, _ in mine if row.pattern in refuses]
    if bad:
        return f"{counted(len(bad), 'module')} such as {some(bad, 1)}"
    if beside and all(row.pattern in beside for _, row, _ in mine):
        return "a file without any layer of a block"
    return _not_exactly(entry, flat, mine) if entry.exactly else None


def _not_exactly(entry: Entry, flat: bool, mine: list[tuple[Module, Row, tuple[int, ...]]]) -> str | None:
    wanted = patterns(entry.exactly, flat)
    extra = [module.name for module, row, _ in mine if row.pattern not in wanted]
    if extra:
        return f"{counted(len(extra), 'module')} too many, such as {some(extra, 1)}"
    there: dict[str, set[tuple[int, ...]]] = {}
    spans: dict[str, set[tuple[int, ...]]] = {}
    blocks = {numbers[0] for _, _, numbers in mine if numbers}
    for _, row, numbers in mine:
        there.setdefault(row.pattern, set()).add(numbers[:1])
        low, high = row.ranges[0] if row.ranges else (0, -1)
        spans[row.pattern] = {(n,) for n in range(len(blocks) if entry.from_first else high - low + 1)} or {()}
    optional = frozenset(name for name in wanted if "_img" in name) if entry.from_first else frozenset()
    absent = sum(len(spans.get(name, {()}) - there.get(name, set())) for name in wanted - optional)
    absent += sum(len(spans[name] - there[name]) for name in optional & there.keys())
    return f"a file without {counted(absent, 'layer')} that it wants" if absent else None


def _changed(fit: Fit, acting: list[_Form], lost: set[int]) -> int:
    """Count the layers of the model that are changed, each once."""
    skipped = {id: patterns(form.entry.skips, form.layout.prefix in FLAT) for form in acting for id in form.modules}
    reached = [
        (row, numbers)
        for module, row, numbers in fit.matched
        if id(module) in skipped and id(module) not in lost and row.pattern not in skipped[id(module)]
    ]
    if all(row.covers == 1 and row.native == reached[0][0].native for row, _ in reached):
        return len(set(reached)) if len(acting) > 1 else len(reached)
    return len({target.name for row, numbers in reached for target in row.targets(numbers)})


def _settle(adapter: Adapter, fit: Fit, acting: list[_Form], tally: _Tally) -> None:
    """Choose the outcome of a file that loads."""
    if tally.outcome is not Outcome.OK:
        return
    outcomes = [form.entry.outcome for form in acting]
    lasting = [outcome for outcome in outcomes if outcome not in (Outcome.OK, Outcome.PARTIAL)]
    if not tally.layers:
        tally.outcome = Outcome.IGNORED
    elif Outcome.RANDOM in lasting:
        tally.outcome = Outcome.RANDOM
    elif tally.layers < _expected(adapter, fit):
        tally.outcome = Outcome.PARTIAL
    elif lasting:
        tally.outcome = lasting[0]


def _expected(adapter: Adapter, fit: Fit | None) -> int:
    """Count the layers that a file means to change: those of the base, and those that no base has."""
    if fit is None:
        return sum(changes(module) for module in adapter.denoiser)
    covers = [row.covers for module, row, _ in fit.matched if changes(module)]
    covers += [misfit.row.covers for misfit in fit.misfits]
    return sum(covers) + sum(changes(module) for module in (*fit.outside, *fit.strangers))


def _raises(entry: Entry, because: str) -> str:
    return f"{entry.says or 'an error'}, because of {because}"


def _unknown(loader: str, expected: int, why: str) -> Prediction:
    return Prediction(loader, Outcome.UNKNOWN, 0, expected, f"{why[0].upper()}{why[1:]}.")


def _sentence(loader: str, tally: _Tally, expected: int, tensors: int) -> str:
    why = f" ({tally.why[0]})" if tally.why else ""
    layers = counted(tally.layers, "layer")
    match tally.outcome:
        case Outcome.REFUSED:
            said = f"refuses the file{why}"
        case Outcome.IGNORED:
            said = f"ignores all {counted(tensors, 'tensor')}{why} and draws plain base-model pictures"
        case Outcome.RANDOM:
            said = f"fills {layers} with memory that nobody wrote{why}"
        case Outcome.PARTIAL:
            said = f"changes {tally.layers} of {counted(expected, 'layer')} and leaves the rest out without an error"
        case Outcome.OK:
            said = f"changes all {layers}"
        case _:
            said = f"changes {layers} and {_WHOLE[tally.outcome]}{why}"
    return f"{loader} {said}."

