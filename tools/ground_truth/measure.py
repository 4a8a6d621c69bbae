"""Measure what diffusers does with each layout of a family, and write it down as the tables have it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from lorry.model.verdict import Outcome
from lorry.weights.bases.families import Family
from lorry.weights.loaders.conditions import Condition, Effect
from lorry.weights.loaders.layouts import Layout, matrix
from tools.ground_truth.adapters import Layer, can_have, layers, spell
from tools.ground_truth.real import STRENGTH, Loaded, RealLoader
from tools.ground_truth.trials import trial

_SAMPLE = 8  # layers of a file that tries a condition, at most
#: Converters that name every layer they want: the rows, and whether the blocks are counted from the file.
_DOUBLE = (
    "img_attn.qkv", "img_attn.proj", "img_mlp.0", "img_mlp.2", "img_mod.lin",
    "txt_attn.qkv", "txt_attn.proj", "txt_mlp.0", "txt_mlp.2", "txt_mod.lin",
)  # fmt: skip
_SINGLE = ("linear1", "linear2", "modulation.lin")
_WAN = (
    *(f"{attention}.{word}" for attention in ("self_attn", "cross_attn") for word in "qkvo"),
    "cross_attn.k_img", "cross_attn.v_img", "ffn.0", "ffn.2",
)  # fmt: skip


def layouts_of(known: Family) -> list[Layout]:
    """List the layouts that a family is tried with.

    Args:
        known: The family.
    """
    native = any(".processor." not in name for name in known.native)
    xlabs = any(".processor." in name for name in known.native)
    return list(matrix(native=native, unet=known.component == "unet", xlabs=xlabs))


def exactly(known: Family, layout: Layout) -> tuple[tuple[str, ...], bool]:
    """Name the layers that a converter wants all of, and whether of the blocks in the file only.

    `_convert_fal_kontext_lora_to_diffusers` and `_convert_musubi_wan_lora_to_diffusers` of diffusers 0.42.1.
    """
    if layout.naming == "native" and not layout.prefix.startswith("lycoris"):
        if known.model["class"] == "FluxTransformer2DModel" and layout.prefix == "peft":
            wanted = {f"double_blocks.*.{word}" for word in _DOUBLE} | {
                f"single_blocks.*.{word}" for word in _SINGLE
            }
            return _templates(known, wanted | {"final_layer.linear"}), False
        if known.model["class"] == "WanTransformer3DModel" and layout.prefix == "kohya":
            return _templates(known, {f"blocks.*.{word}" for word in _WAN}), True
    return (), False


def _templates(known: Family, wanted: set[str]) -> tuple[str, ...]:
    return tuple(name for name in known.native if re.sub(r"\[\d+-\d+\]", "*", name) in wanted)


class Measurement:
    """A family's layouts, tried one after the other."""

    def __init__(self, known: Family) -> None:
        self._known = known
        self._real = RealLoader(known)
        self._working: dict[Layout, list[Layer]] = {}

    def family(self) -> dict[str, Any]:
        """Measure all layouts of the family; the result is its part of the table."""
        found = {layout.key: self._entry(layout) for layout in layouts_of(self._known)}
        return {"layers": len(self._real.model), "layouts": found, "mixed": dict(self._mixed())}

    def _entry(self, layout: Layout) -> dict[str, Any]:
        rows, first = exactly(self._known, layout)
        chosen = self._layers(layout)
        if rows:
            chosen = [layer for layer in chosen if layer.row in rows]
        loaded = self._load(layout, chosen)
        refuses: list[str] = []
        beside: list[str] = []
        if loaded.error is not None and not rows:
            works, beside, refuses = self._rows(layout, chosen)
            if not works:
                return {"outcome": str(Outcome.REFUSED), "says": short(loaded.error)}
            says = short(loaded.error)
            chosen = [layer for layer in chosen if layer.row in {*works, *beside}]
            loaded = self._load(layout, chosen)
            if loaded.error is not None:
                raise RuntimeError(f"{self._known.key}, {layout.key}: {loaded.error} with {works}")
        elif loaded.error is not None:
            return {"outcome": str(Outcome.REFUSED), "says": short(loaded.error)}
        skips = self._skips(layout, chosen, loaded)
        entry: dict[str, Any] = {"outcome": str(self._outcome(layout, loaded, bool(skips)))}
        if refuses:
            entry |= {"says": says, "refuses": refuses}
        if skips and loaded.layers:
            entry["skips"] = skips
        if beside:
            entry["beside"] = beside
        if rows and loaded.layers:
            entry |= {"exactly": list(rows), "from_first": first}
        if loaded.layers:
            self._working[layout] = [layer for layer in chosen if layer.row not in skips]
            entry["effects"] = dict(self._effects(layout, entry, refuses))
        return entry

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
        works = [row for row, layer in firsts.items() if self._load(layout, [layer]).error is None]
        good = [firsts[row] for row in works]
        rest = [row for row in firsts if row not in works]
        beside = [row for row in rest if good and self._load(layout, [*good, firsts[row]]).error is None]
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

    def _effects(
        self, layout: Layout, entry: dict[str, Any], refuses: list[str]
    ) -> Iterator[tuple[str, str]]:
        working = self._working[layout]
        base = working
        if "exactly" not in entry:
            firsts = list({layer.row: layer for layer in reversed(working)}.values())
            base = firsts[:: max(1, len(firsts) // _SAMPLE)]
        for condition in Condition:
            tried = trial(self._known, layout, base, condition)
            if tried is not None:
                shapes, metadata, victim = tried
                loaded = self._real.load(shapes, metadata)
                yield str(condition), str(self._effect(layout, base, victim, condition, loaded))

    def _effect(
        self, layout: Layout, base: list[Layer], victim: Layer | None, condition: Condition, loaded: Loaded
    ) -> Effect:
        if loaded.error is not None:
            return Effect.REFUSED
        if loaded.widened:
            return Effect.BREAKS
        concerned = set(victim.to) if victim else set()
        rest = {target for layer in base for target in layer.to} - concerned
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
        """Try files of two layouts, one of which the loader takes when it is alone."""
        usual = [
            layout
            for layout in layouts_of(self._known)
            if (layout.prefix, layout.suffix, layout.alpha) in _USUAL
        ]
        for one, other in combinations(usual, 2):
            if one not in self._working and other not in self._working:
                continue
            mine, theirs = _halves(self._layers(one), self._layers(other))
            loaded = self._real.load({**spell(self._known, one, mine), **spell(self._known, other, theirs)})
            if loaded.error is not None:
                yield f"{one.key} + {other.key}", str(Effect.REFUSED)
                continue
            effects = [self._share(chosen, loaded) for chosen in (mine, theirs)]
            yield f"{one.key} + {other.key}", " ".join(effects)

    @staticmethod
    def _share(chosen: list[Layer], loaded: Loaded) -> str:
        meant = {target for layer in chosen for target in layer.to}
        if meant & loaded.random:
            return str(Effect.RANDOM)
        return str(Effect.LOADED if meant & loaded.layers else Effect.SKIPPED)


#: The layouts that files are mixed from.
_USUAL = {
    *((prefix, "lora_A", False) for prefix in ("diffusers", "bare", "comfyui", "peft")),
    *((prefix, "lora_down", True) for prefix in ("diffusers", "bare", "comfyui", "kohya")),
}
#: Conditions of the whole file, which concern no module of the denoiser.
_WHOLE = frozenset({
    Condition.CONFIG, Condition.CONFIG_JSON, Condition.CONFIG_RANK, Condition.CONFIG_UNKNOWN, Condition.BIAS,
    Condition.BIASES,
})  # fmt: skip


def _halves(mine: list[Layer], theirs: list[Layer]) -> tuple[list[Layer], list[Layer]]:
    """Take layers that two files of different spelling would share between them, without a target twice."""
    taken = mine[: len(mine) // 2 : max(1, len(mine) // 16)]
    used = {target for layer in taken for target in layer.to}
    rest = [layer for layer in theirs if not used & set(layer.to)]
    return taken, rest[len(rest) // 2 :: max(1, len(rest) // 16)]


def short(error: str) -> str:
    """Keep of an exception what does not depend on the file: its kind, and its first words.

    Args:
        error: The exception in one line.
    """
    kind, _, text = error.partition(": ")
    said = re.split(r"[{\[:(]|\. | but ", text.replace("`", ""))[0].strip().strip("'\"")
    return kind if kind == "KeyError" or not said else f"{kind}: {said}"
