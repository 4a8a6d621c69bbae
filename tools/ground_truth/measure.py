"""Measure what diffusers does with each layout of a family, and write it down as the tables have it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from lorry.model.verdict import Outcome
from lorry.weights.bases.families import Family
from lorry.weights.loaders.conditions import Condition, Effect
from lorry.weights.loaders.layouts import Layout, matrix
from tools.ground_truth.adapters import Layer, can_have, layers, spell
from tools.ground_truth.converters import exactly, together
from tools.ground_truth.real import STRENGTH, Loaded, RealLoader
from tools.ground_truth.trials import trial

#: Wan's image attention, and the layer that diffusers copies zeros from where it is missing.
_IMAGE = ("attn2.add_k_proj", "attn2.add_v_proj", "attn2.to_k")
_IN_PART = "in-part"  # of a mix: some layers of one layout are changed and some are not
_TURNS = 3  # files that try each mix of two layouts
_SAMPLE = 8  # layers of a file that tries a condition, at most


@dataclass(slots=True)
class _Tried:
    """What came of loading an adapter on all layers, or on all that the loader takes."""

    loaded: Loaded
    chosen: list[Layer]
    works: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    refuses: list[str] = field(default_factory=list)
    says: str = ""


class Measurement:
    """A family's layouts, tried one after the other."""

    def __init__(self, known: Family) -> None:
        self._known = known
        self._real = RealLoader(known)
        self._working: dict[Layout, list[Layer]] = {}
        self._taken: dict[Layout, list[Layer]] = {}
        self._parted: set[Layout] = set()

    def family(self) -> dict[str, Any]:
        """Measure all layouts of the family; the result is its part of the table."""
        spelled = [layout for layout in matrix(self._known) if self._layers(layout)]
        found = {layout.key: self._entry(layout) for layout in spelled}
        return {"layers": len(self._real.model), "layouts": found, "mixed": dict(self._mixed())}

    def _entry(self, layout: Layout) -> dict[str, Any]:
        rows, first = exactly(self._known, layout)
        wanted = [layer for layer in self._layers(layout) if not rows or layer.row in rows]
        tried = self._tried(layout, wanted, whole=bool(rows))
        if tried.loaded.error is not None:
            return {"outcome": str(Outcome.REFUSED), "says": tried.says}
        skips = self._skips(layout, tried.chosen, tried.loaded)
        taken = [layer.row for layer in tried.chosen]
        entry: dict[str, Any] = {"outcome": str(self._outcome(layout, tried.loaded, bool(skips)))}
        entry |= {"says": tried.says, "refuses": _starred(tried.refuses, taken)}
        entry["beside"] = _starred(tried.beside, tried.works)
        if tried.refuses or rows or (skips and tried.loaded.layers):
            self._parted.add(layout)
        if not tried.loaded.layers:
            return _without_nothing(entry)
        entry["modules"] = len(tried.loaded.layers)
        entry["of"] = len({target for layer in wanted for target in layer.to})
        entry["skips"] = _starred(skips, [row for row in taken if row not in skips])
        entry |= {"exactly": _starred(rows, ()), "from_first": first}
        bound = [row for row in together(self._known, layout) if row not in tried.refuses]
        entry["together"] = _starred(bound, ())
        self._taken[layout] = tried.chosen
        self._working[layout] = [layer for layer in tried.chosen if layer.row not in skips]
        base = self._sample(layout, tried.beside, whole=bool(rows))
        entry["effects"] = dict(self._effects(layout, base))
        entry["beside_effects"] = self._beside_effects(layout, base, tried.beside, entry["effects"])
        return _without_nothing(entry)

    def _tried(self, layout: Layout, wanted: list[Layer], *, whole: bool) -> _Tried:
        """Load all layers; where that raises, those that don't make it raise."""
        loaded = self._load(layout, wanted)
        if loaded.error is None:
            return _Tried(loaded, wanted)
        says = short(loaded.error)
        works, beside, refuses = ([], [], []) if whole else self._rows(layout, wanted)
        if not works:
            return _Tried(loaded, wanted, says=says)
        chosen = [layer for layer in wanted if layer.row in {*works, *beside}]
        loaded = self._load(layout, chosen)
        if loaded.error is not None:
            raise RuntimeError(f"{self._known.key}, {layout.key}: {loaded.error} with {works}")
        return _Tried(loaded, chosen, works, beside, refuses, says)

    def _layers(self, layout: Layout) -> list[Layer]:
        named = layers(self._known, self._real.model, layout.naming, xlabs=layout.prefix == "xlabs")
        return [layer for layer in named if can_have(layout, layer)]

    def _load(self, layout: Layout, chosen: list[Layer]) -> Loaded:
        return self._real.load(spell(self._known, layout, chosen))

    def _rows(self, layout: Layout, chosen: list[Layer]) -> tuple[list[str], list[str], list[str]]:
        """Tell which rows load alone, which beside others, and which never."""
        firsts = {layer.row: layer for layer in reversed(chosen)}
        sample = list(firsts)[:: max(1, len(firsts) // _SAMPLE)]
        if all(self._load(layout, [firsts[row]]).error is not None for row in sample):
            return [], [], list(firsts)
        bound = together(self._known, layout)
        units = {row: [firsts[each] for each in (bound if row in bound else (row,))] for row in firsts}
        works = [row for row, unit in units.items() if self._load(layout, unit).error is None]
        good = list({id(layer): layer for row in works for layer in units[row]}.values())
        rest = [row for row in firsts if row not in works]
        beside = [row for row in rest if good and self._load(layout, [*good, *units[row]]).error is None]
        return works, beside, [row for row in rest if row not in beside]

    def _skips(self, layout: Layout, chosen: list[Layer], loaded: Loaded) -> list[str]:
        found: dict[str, set[bool]] = {}
        for layer in chosen:
            found.setdefault(layer.row, set()).update(target in loaded.layers for target in layer.to)
        torn = [row for row, kinds in found.items() if len(kinds) > 1]
        meant = {target for layer in chosen for target in layer.to}
        if torn or loaded.layers - meant:
            raise RuntimeError(
                f"{self._known.key}, {layout.key}: {torn}, {sorted(loaded.layers - meant)[:3]}"
            )
        return [row for row, kinds in found.items() if kinds == {False}]

    def _outcome(self, layout: Layout, loaded: Loaded, skips: bool) -> Outcome:
        if not loaded.layers:
            return Outcome.IGNORED
        if loaded.random:
            return Outcome.RANDOM
        meant = STRENGTH if layout.alpha else 1.0
        if loaded.strengths == {1.0} != {meant}:
            return Outcome.ALPHA_DROPPED
        if loaded.strengths != {meant}:
            raise RuntimeError(f"{self._known.key}, {layout.key}: strengths {loaded.strengths}")
        if layout.suffix.startswith("dora") and loaded.plain:
            return Outcome.MAGNITUDE_DROPPED
        return Outcome.PARTIAL if skips else Outcome.OK

    def _sample(self, layout: Layout, beside: list[str], *, whole: bool) -> list[Layer]:
        """Choose the layers of a file that tries a condition."""
        working = self._working[layout]
        if whole:
            return working
        firsts = list({layer.row: layer for layer in reversed(working)}.values())
        apart = {*together(self._known, layout), *beside}
        base = [layer for layer in firsts if layer.row not in apart][:: max(1, len(firsts) // _SAMPLE)]
        return base + [layer for layer in firsts if layer.to[0].endswith(_IMAGE) and layer not in base]

    def _effects(self, layout: Layout, base: list[Layer]) -> Iterator[tuple[str, str]]:
        for condition in Condition:
            tried = trial(self._known, layout, base, condition)
            if condition is Condition.NOTHING:
                yield str(condition), str(self._nothing(layout))
            elif condition is Condition.BIAS and len(base) == 1:
                yield str(condition), str(self._bias(layout, base))
            elif tried is not None:
                shapes, metadata, victim = tried
                loaded = self._real.load(shapes, metadata)
                yield str(condition), str(self._effect(layout, base, victim, condition, loaded))

    def _beside_effects(
        self, layout: Layout, base: list[Layer], beside: list[str], usual: dict[str, str]
    ) -> dict[str, str]:
        """Try conditions of modules on layers that the loader takes beside others only; the worst counts."""
        firsts = {layer.row: layer for layer in reversed(self._working[layout])}
        found: dict[str, str] = {}
        for row in beside:
            pair = [base[0], firsts[row]]
            for condition in _HALVES:
                tried = trial(self._known, layout, pair, condition)
                if tried is not None:
                    loaded = self._real.load(tried[0])
                    effect = str(self._effect(layout, pair, tried[2], condition, loaded))
                    if effect != usual.get(condition) and found.get(condition) != Effect.REFUSED:
                        found[str(condition)] = effect
        return found

    def _bias(self, layout: Layout, base: list[Layer]) -> Effect:
        """Try a bias where the loader takes one kind of layers only: on another one, which it leaves out."""
        left = [layer for layer in self._taken[layout] if layer not in self._working[layout]][:1]
        tried = trial(self._known, layout, [*left, *base], Condition.BIAS)
        if tried is None:
            return Effect.LOADED
        loaded = self._real.load(tried[0])
        if loaded.error is not None:
            return Effect.REFUSED
        return Effect.RANDOM if loaded.random else Effect.LOADED

    def _nothing(self, layout: Layout) -> Effect:
        """Tell what the loader does with a file that has nothing which it takes."""
        left = [layer for layer in self._taken[layout] if layer not in self._working[layout]]
        strange = replace(self._working[layout][0], name="made.up.to_q")
        loaded = self._load(layout, left[:1] or [strange])
        return Effect.IGNORED if loaded.error is None else Effect.REFUSED

    def _effect(
        self, layout: Layout, base: list[Layer], victim: Layer | None, condition: Condition, loaded: Loaded
    ) -> Effect:
        if loaded.error is not None:
            return Effect.REFUSED
        if loaded.widened:
            return Effect.BREAKS
        concerned = set(victim.to) if victim else set()
        rest = {target for layer in base for target in layer.to} - concerned
        if condition in (Condition.IMAGE_NONE, Condition.IMAGE_HALF):
            rest = {target for target in rest if not target.endswith(_IMAGE[:2])}
        if not rest <= loaded.layers:
            return Effect.IGNORED
        if loaded.random and self._sound(layout):
            return Effect.RANDOM
        if condition is Condition.CONFIG and layout.alpha and max(loaded.strengths, default=0) > STRENGTH:
            return Effect.TWICE
        if concerned and not concerned & loaded.layers:
            return Effect.SKIPPED
        return Effect.LOADED if concerned or condition in _WHOLE else Effect.SKIPPED

    @staticmethod
    def _sound(layout: Layout) -> bool:
        return layout.suffix != "lora_A.name"

    def _mixed(self) -> Iterator[tuple[str, str]]:
        """Try files of two layouts, one of which the loader takes when it is alone.

        Of layouts that it takes in part, the parts may differ when another one stands beside; such mixes are
        left out, as are those whose outcome depends on the layers, and nothing is foretold of them.
        """
        usual = [
            layout
            for layout in matrix(self._known)
            if (layout.prefix, layout.suffix, layout.alpha) in _USUAL and layout not in self._parted
        ]
        for one, other in combinations(usual, 2):
            if one not in self._working and other not in self._working:
                continue
            found = {self._together(one, other, turn) for turn in range(_TURNS)}
            if len(found) == 1 and _IN_PART not in (said := found.pop()).split():
                yield f"{one.key} + {other.key}", said

    def _together(self, one: Layout, other: Layout, turn: int) -> str:
        """Load some layers in one layout and others in another one, and say what becomes of both."""
        mine, theirs = (self._taken.get(each) or self._layers(each) for each in (one, other))
        mine, theirs = _halves(mine, theirs, turn)
        loaded = self._real.load({**spell(self._known, one, mine), **spell(self._known, other, theirs)})
        if loaded.error is not None:
            return str(Effect.REFUSED)
        return " ".join(self._share(chosen, loaded) for chosen in (mine, theirs))

    @staticmethod
    def _share(chosen: list[Layer], loaded: Loaded) -> str:
        meant = {target for layer in chosen for target in layer.to}
        if meant & loaded.random:
            return str(Effect.RANDOM)
        if meant & loaded.layers and not meant <= loaded.layers:
            return _IN_PART
        return str(Effect.LOADED if meant & loaded.layers else Effect.SKIPPED)


#: The layouts that files are mixed from.
_USUAL = {
    *((prefix, "lora_A", False) for prefix in ("diffusers", "bare", "comfyui", "peft")),
    *((prefix, "lora_down", True) for prefix in ("diffusers", "bare", "comfyui", "kohya")),
}
#: Conditions of single modules, and of all.
_HALVES = (
    Condition.UP_MISSING,
    Condition.UPS_MISSING,
    Condition.DOWN_MISSING,
    Condition.DOWNS_MISSING,
    Condition.ALPHA_MISSING,
    Condition.RANKS,
    Condition.NARROW,
    Condition.WIDE,
    Condition.OUTPUTS,
)
#: Conditions of the whole file, which concern no module of the denoiser.
_WHOLE = frozenset({
    Condition.CONFIG, Condition.CONFIG_JSON, Condition.CONFIG_RANK, Condition.CONFIG_UNKNOWN, Condition.BIAS,
    Condition.BIASES,
    Condition.IMAGE_NONE,
})  # fmt: skip


def _halves(mine: list[Layer], theirs: list[Layer], turn: int) -> tuple[list[Layer], list[Layer]]:
    """Take layers that two files of different spelling would share between them, without a target twice."""
    step = max(1, len(mine) // 16)
    taken = (mine[: len(mine) // 2 : step], mine[len(mine) // 2 :: step], mine[:: max(1, len(mine) // 3)])[
        turn
    ]
    used = {target for layer in taken for target in layer.to}
    rest = [layer for layer in theirs if not used & set(layer.to)]
    step = max(1, len(rest) // 16)
    return taken, (rest[len(rest) // 2 :: step], rest[: len(rest) // 2 : step], rest[turn::step])[turn]


def _starred(rows: Iterable[str], others: Iterable[str]) -> list[str]:
    """Write rows without the numbers of their blocks, which others must not share."""
    found, rest = (dict.fromkeys(re.sub(r"\[\d+-\d+\]", "*", row) for row in each) for each in (rows, others))
    if found.keys() & rest.keys():
        raise RuntimeError(
            f"Layers of one name are treated differently: {sorted(found.keys() & rest.keys())}"
        )
    return list(found)


def _without_nothing(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value not in ([], {}, "", False)}


def short(error: str) -> str:
    """Keep of an exception what does not depend on the file: its kind, and its first words.

    Args:
        error: The exception in one line.
    """
    kind, _, text = error.partition(": ")
    said = re.split(r"[{\[:(]|\. | but ", text.replace("`", ""))[0].strip().strip("'\"")
    return kind if kind == "KeyError" or not said else f"{kind}: {said}"
