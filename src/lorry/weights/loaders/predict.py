"""Foretell what a loader will do with a file: how many layers it changes, and what happens to the rest.

How it works: the file's modules are grouped by layout; the loader's table says what it does with each; then
come the layers that it leaves out or refuses, and the conditions that the file meets. The worst decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lorry.model.verdict import Outcome, Prediction
from lorry.weights.adapter.modules import Adapter
from lorry.weights.bases.families import OWN_BASE, Family
from lorry.weights.bases.fit import Fit
from lorry.weights.catalogue import counted
from lorry.weights.loaders.conditions import Condition, Effect, Met, changes, conditions
from lorry.weights.loaders.forms import Form, forms, objection, placed_in
from lorry.weights.loaders.tables import Entry, loaders, table

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
#: Conditions whose modules are none of the denoiser's that a layout counts.
_BESIDES = frozenset({Condition.CLIP, Condition.T5, Condition.DIFF})
#: Conditions that nobody notices in layers which are left out.
_SIZES = frozenset({Condition.RANKS, Condition.NARROW, Condition.WIDE, Condition.OUTPUTS})
#: Conditions that nobody notices when every layer is left out.
_CONFIGS = frozenset({Condition.CONFIG_RANK, Condition.CONFIG_UNKNOWN})
_ENDS = (Outcome.REFUSED, Outcome.IGNORED)
#: Which of two things that a file suffers is told.
_WORST = (Outcome.REFUSED, Outcome.IGNORED, Outcome.RANDOM, Outcome.ALPHA_TWICE, Outcome.ALPHA_DROPPED)


@dataclass(slots=True)
class _Tally:
    """What was found so far: the outcome, why, the modules that are left out, and the layers changed."""

    outcome: Outcome = Outcome.OK
    why: str = ""
    lost: set[int] = field(default_factory=set)
    layers: int = 0

    def suffer(self, outcome: Outcome, why: str) -> None:
        """Take in something bad: the worst counts, and of equals the first."""
        if self.outcome is Outcome.OK or _WORST.index(outcome) < _WORST.index(self.outcome):
            self.outcome, self.why = outcome, why


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
    inside = forms(adapter, fit, known)
    if isinstance(inside, str):
        return _unknown(loader, expected, f"nobody has tried {loader} with {inside}")
    tally = _judged(fit, inside, conditions(adapter, fit, metadata or {}))
    return _predicted(adapter, fit, loader, inside, tally, expected)


def predict_layout(adapter: Adapter, fit: Fit, loader: str) -> Prediction:
    """Foretell what a loader does with the way a file is spelled, as if nothing else were wrong with it.

    Args:
        adapter: The file's modules.
        fit: How they lie on the family that they are for.
        loader: As for `predict`.
    """
    found = table(loader)
    known = found.families.get(fit.family.key) if found else None
    inside = forms(adapter, fit, known) if known else "adapters"
    expected = sum(row.covers * len(members) for row, members in fit.fitting)
    if isinstance(inside, str):
        return _unknown(loader, expected, f"nobody has tried {loader} with {inside} for {fit.family.name}")
    return _predicted(adapter, fit, loader, inside, _judged(fit, inside), expected)


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


def _predicted(
    adapter: Adapter, fit: Fit, loader: str, inside: tuple[Form, ...], tally: _Tally, expected: int
) -> Prediction:
    _settle(fit, [form for form in inside if form.entry.acts], tally, expected)
    tensors = sum(len(tensor) for module in adapter.modules for tensor in module.tensors.values())
    return Prediction(
        loader, tally.outcome, tally.layers, expected, _sentence(loader, tally, expected, tensors)
    )


def _judged(fit: Fit, inside: tuple[Form, ...], met: Iterable[Met] = ()) -> _Tally:
    """Put together what the layouts, the layers and the conditions lead to."""
    tally = _Tally()
    acting = [form for form in inside if form.entry.acts]
    for form in inside:
        if form.entry.outcome is Outcome.REFUSED:
            layouts = " beside the ".join(each.layout.words for each in inside)
            tally.suffer(Outcome.REFUSED, _raises(form.entry, f"the {layouts}"))
    if not acting and tally.outcome is Outcome.OK:
        tally.suffer(Outcome.IGNORED, "")
    for form in inside:
        refused = objection(fit, form) if tally.outcome is not Outcome.REFUSED else None
        if refused:
            tally.suffer(Outcome.REFUSED, _raises(form.entry, refused))
    if tally.outcome in _ENDS:
        return tally
    for form in acting:
        tally.lost |= placed_in(fit, form, form.entry.skips)
    left = frozenset(tally.lost)
    for each in met:
        for form in acting:
            _apply(fit, each, form, tally, left)
    return tally


def _apply(fit: Fit, met: Met, form: Form, tally: _Tally, left: frozenset[int]) -> None:
    """Let a condition have its effect: on the modules concerned, or on the whole file."""
    if met.modules and met.condition not in _BESIDES and met.modules.isdisjoint(form.modules):
        return
    effect = form.entry.effects.get(met.condition, Effect.LOADED)
    if met.modules and met.modules <= left and (effect is Effect.RANDOM or met.condition in _SIZES):
        return
    if met.condition in _CONFIGS and form.modules <= left:
        return
    # Half an image attention is always replaced by zeros, whatever becomes of the rest.
    if effect is Effect.SKIPPED or (met.condition is Condition.IMAGE_HALF and effect is Effect.RANDOM):
        tally.lost |= met.modules
    if effect in _SPOILT:
        tally.suffer(_SPOILT[effect], met.words)
    if form.entry.beside_effects and not met.modules.isdisjoint(placed_in(fit, form, form.entry.beside)):
        harder = form.entry.beside_effects.get(met.condition, Effect.LOADED)
        if harder in _SPOILT:
            tally.suffer(_SPOILT[harder], met.words)


def _settle(fit: Fit, acting: list[Form], tally: _Tally, expected: int) -> None:
    """Count the changed layers, and choose the outcome of a file that suffers from nothing."""
    if tally.outcome in _ENDS:
        return
    tally.layers = _changed(fit, acting, tally.lost)
    lasting = [
        form.entry.outcome for form in acting if form.entry.outcome not in (Outcome.OK, Outcome.PARTIAL)
    ]
    if not tally.layers:
        none = {form.entry.effects.get(Condition.NOTHING, Effect.IGNORED) for form in acting}
        refused = Effect.REFUSED in none
        tally.outcome = Outcome.REFUSED if refused else Outcome.IGNORED
        tally.why = "none of its modules is a layer that it takes" if refused else ""
    elif Outcome.RANDOM in lasting:
        tally.outcome = Outcome.RANDOM
    elif tally.outcome is Outcome.OK and tally.layers < expected:
        tally.outcome = Outcome.PARTIAL
    elif tally.outcome is Outcome.OK and lasting:
        tally.outcome = lasting[0]


def _changed(fit: Fit, acting: list[Form], lost: set[int]) -> int:
    """Count the layers of the model that are changed, each once, though two spellings may name it."""
    there = {module for form in acting for module in form.modules} - lost
    layers: set[str] | None = set() if len(acting) > 1 or _overlap(fit) else None
    count = 0
    for row, members in fit.fitting:
        for numbers, module in members:
            if id(module) in there:
                count += row.covers
                if layers is not None:
                    layers.update(target.name for target in row.targets(numbers))
    # What has another size than its layer is left out, or raises, unless the loader never looks at it.
    odd = sum(misfit.row.covers for misfit in fit.misfits if id(misfit.module) in there)
    return odd + (count if layers is None else len(layers))


def _overlap(fit: Fit) -> bool:
    """Tell whether fused layers of the original model lie beside layers of diffusers."""
    kinds = {row.native for row, _ in fit.fitting}
    return len(kinds) > 1


def _expected(adapter: Adapter, fit: Fit | None) -> int:
    """Count the layers that a file means to change: those of the base, and those that no base has."""
    if fit is None:
        return sum(changes(module) for module in adapter.denoiser)
    covers = sum(row.covers * sum(changes(module) for _, module in members) for row, members in fit.fitting)
    covers += sum(misfit.row.covers for misfit in fit.misfits)
    return covers + sum(changes(module) for module in (*fit.outside, *fit.strangers))


def _raises(entry: Entry, because: str) -> str:
    return f"{entry.says or 'an error'}, because of {because}"


def _unknown(loader: str, expected: int, why: str) -> Prediction:
    return Prediction(loader, Outcome.UNKNOWN, 0, expected, f"{why[0].upper()}{why[1:]}.")


def _sentence(loader: str, tally: _Tally, expected: int, tensors: int) -> str:
    why = f" ({tally.why})" if tally.why else ""
    layers = counted(tally.layers, "layer")
    match tally.outcome:
        case Outcome.REFUSED:
            said = f"refuses the file{why}"
        case Outcome.IGNORED:
            said = f"ignores all {counted(tensors, 'tensor')}{why} and draws plain base-model pictures"
        case Outcome.RANDOM:
            said = f"fills {layers} with memory that nobody wrote{why}"
        case Outcome.PARTIAL:
            of = counted(expected, "layer")
            said = f"changes {tally.layers} of {of} and leaves the rest out without an error"
        case Outcome.OK:
            said = f"changes all {layers}"
        case _:
            said = f"changes {layers} and {_WHOLE[tally.outcome]}{why}"
    return f"{loader} {said}."
