"""Give every layer of the result its name: through the family's table, or as it was where there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from lorry.weights.adapter.keys import Part
from lorry.weights.adapter.modules import Module
from lorry.weights.catalogue import counted, some
from lorry.weights.convert.layouts import SPELLINGS, Encoder, encoder_key, encoder_of, key_name
from lorry.weights.convert.mapping import Piece, mapped, native_rows
from lorry.weights.convert.options import Layout, Options
from lorry.weights.convert.reading import Given
from lorry.weights.convert.selecting import Notes, leave

#: A layer of the result: its key, its own name, its outputs, and where they come from.
Named = tuple[str, str, int, tuple[Piece, ...]]

_ONE_ENCODER = frozenset({"sd1", "sd2"})
_UNET = ("down_blocks.", "mid_block.", "up_blocks.")
_BASE = "Name the base model that the file was trained for with `--base`."


def named(
    given: Given, layout: Layout, modules: Sequence[Module], options: Options, notes: Notes
) -> Iterator[Named]:
    """Name the layers of the result.

    Args:
        given: The source.
        layout: The layout to write.
        modules: The modules to convert.
        options: What is asked for.
        notes: Takes what happens, and what forbids it.
    """
    denoiser = [module for module in modules if module.part is Part.DENOISER]
    encoders = [module for module in modules if module.part is not Part.DENOISER]
    if given.text is not None:
        yield from _text(given, layout, denoiser, notes)
    elif given.fit is None:
        yield from _unknown(given, layout, denoiser, notes)
    else:
        yield from _known(given, layout, denoiser, notes)
    if options.drop_text_encoders:
        if encoders:
            notes.steps.append(f"{counted(len(encoders), 'module')} of text encoders left out")
    else:
        yield from _encoders(given, layout, encoders, notes)


def _known(given: Given, layout: Layout, modules: Sequence[Module], notes: Notes) -> Iterator[Named]:
    assert given.fit is not None  # noqa: S101 - told by the caller; for the type checker
    family = given.fit.family
    misfits = [misfit.module.name for misfit in given.fit.misfits]
    outside = [module.name for module in given.fit.outside]
    for bad, words in ((misfits, "have other sizes than the layers"), (outside, "are beyond the blocks")):
        if bad:
            sentence = f"{counted(len(bad), 'module')} {words} of {family.name}: {some(bad)}."
            notes.refuse(sentence, _BASE)
    layers, strangers = mapped(family, modules)
    leave("module", f"that {family.name} has no layer for", [module.name for module in strangers], notes)
    twice = [name for name, pieces in layers.items() if len(pieces) > 1]
    if twice:
        notes.refuse(f"{some(twice)} would be written twice.", "Save the weights again from the trainer.")
    notes.steps += _renamed(layout, modules, layers)
    if SPELLINGS[layout].native:
        for name, rows, pieces in native_rows(family, layers):
            yield key_name(layout, family.component, name), name, rows, pieces
    else:
        for name, pieces in layers.items():
            yield key_name(layout, family.component, name), name, pieces[0].rows, pieces[:1]


def _text(given: Given, layout: Layout, modules: Sequence[Module], notes: Notes) -> Iterator[Named]:
    if layout is not Layout.PEFT:
        message = f"{given.source.name} is for a language model; {layout} is a layout for pictures."
        notes.refuse(message, "Leave `--to` out, or use `--to peft`.")
    notes.steps += _renamed(layout, modules, {})
    for module in modules:
        yield key_name(Layout.PEFT, "", module.name), module.name, *_whole(module)


def _unknown(given: Given, layout: Layout, modules: Sequence[Module], notes: Notes) -> Iterator[Named]:
    """Change nothing but prefixes and the matrices' words where the base model is in no table."""
    if SPELLINGS[layout].native or any(module.flat or module.layout == "xlabs" for module in modules):
        message = f"The layers of {given.source.name} fit no family in the table, so nothing translates them."
        notes.refuse(message, _BASE)
    if not modules:
        return
    notes.steps.append("the base model is in no table: layers keep their names")
    notes.steps += _renamed(layout, modules, {})
    component = "unet" if any(module.name.startswith(_UNET) for module in modules) else "transformer"
    for module in modules:
        yield key_name(layout, component, module.name), module.name, *_whole(module)


def _encoders(given: Given, layout: Layout, modules: Sequence[Module], notes: Notes) -> Iterator[Named]:
    numbered = given.fit is None or given.fit.family.key not in _ONE_ENCODER
    lost: Counter[Encoder] = Counter()
    unnamed = []
    for module in modules:
        found = encoder_of(module)
        name = encoder_key(layout, *found, numbered=numbered) if found else None
        if name is not None and found is not None:
            yield name, found[1], *_whole(module)
        elif found is None:
            unnamed.append(module.name)
        else:
            lost[found[0]] += 1
    for encoder, count in lost.items():
        if encoder is Encoder.T5 and layout is Layout.DIFFUSERS:
            notes.steps.append(f"{counted(count, 'module')} of T5 left out: diffusers never loads them")
        else:
            message = f"The {layout} layout has no place for {counted(count, 'module')} of {encoder}."
            notes.refuse(message, "Leave the text encoders out with `--drop-text-encoders`.")
    leave("module", "of text encoders with unknown names", unnamed, notes)


def _whole(module: Module) -> tuple[int, tuple[Piece, ...]]:
    rows = module.size[1] or 0
    return rows, (Piece(module, 0, rows, False, 0),)


def _renamed(
    layout: Layout, modules: Sequence[Module], layers: Mapping[str, tuple[Piece, ...]]
) -> Iterator[str]:
    origins = {module.layout for module in modules}
    if origins and origins != {str(layout)}:
        origin = " and ".join(sorted(origins))
        yield f"{counted(len(modules), 'module')} renamed from {origin} to {layout}"
    split = Counter(id(pieces[0].module) for pieces in layers.values())
    fused = [module for module in modules if split[id(module)] > 1]
    if fused and not SPELLINGS[layout].native:
        parts = sum(split[id(module)] for module in fused)
        yield f"{counted(len(fused), 'fused module')} split into {parts}, which share the matrix at the input"
    if any(pieces[0].swap for pieces in layers.values()) and not SPELLINGS[layout].native:
        yield "the halves of the output norm's modulation changed places"
    names = sorted({module.adapter for module in modules if module.adapter is not None})
    if names:
        yield f"the adapter name {some(names)} taken out of the names"
