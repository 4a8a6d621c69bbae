"""Which rows of which module become which layer: through the family's table, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lorry.weights.adapter.modules import Module
from lorry.weights.bases.families import Family
from lorry.weights.bases.names import Target, to_diffusers, to_native


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a source module that become rows of a layer.

    Attributes:
        module: The module.
        first: The first of its rows.
        last: The row behind its last one.
        swap: Whether the two halves of the rows change places.
        at: The first row in the layer.
    """

    module: Module
    first: int
    last: int
    swap: bool
    at: int

    @property
    def rows(self) -> int:
        """How many rows it is."""
        return self.last - self.first


def mapped(family: Family, modules: Sequence[Module]) -> tuple[dict[str, tuple[Piece, ...]], list[Module]]:
    """Find the diffusers layers behind modules.

    Args:
        family: The family of base models.
        modules: Modules of its denoiser.

    Returns:
        For each layer the pieces that claim to be it, and the modules that are none.
    """
    layers: dict[str, tuple[Piece, ...]] = {}
    strangers = []
    for module in modules:
        targets = to_diffusers(family, module.name, module.flat) or _part(family, module)
        if not targets:
            strangers.append(module)
        first = targets[0].first if targets else 0
        for target in targets:
            piece = Piece(module, target.first - first, target.last - first, target.swap, 0)
            layers[target.name] = (*layers.get(target.name, ()), piece)
    return layers, strangers


def native_rows(
    family: Family, layers: Mapping[str, tuple[Piece, ...]]
) -> Iterator[tuple[str, int, tuple[Piece, ...]]]:
    """Put diffusers layers together to the original ones.

    Args:
        family: The family of base models.
        layers: Pieces by diffusers layer, as `mapped` gives them.

    Yields:
        The original layer's name, its outputs, and where they come from. A layer whose original name is not
        known keeps its own.
    """
    groups: dict[str, list[Piece]] = {}
    rows: dict[str, int] = {}
    for name, pieces in layers.items():
        piece = pieces[0]
        place = to_native(family, name)
        original = place.name if place else name
        at, swap = (place.first, place.swap) if place else (0, False)
        groups.setdefault(original, []).append(
            Piece(piece.module, piece.first, piece.last, piece.swap != swap, at)
        )
        targets = to_diffusers(family, original, False)
        rows[original] = targets[-1].last if targets else piece.rows
    for original, found in groups.items():
        yield original, rows[original], tuple(_joined(sorted(found, key=lambda piece: piece.at)))


def _joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Make one piece of neighbours that were neighbours in the source as well."""
    last = pieces[0]
    for piece in pieces[1:]:
        follows = piece.module is last.module and piece.first == last.last and piece.at == last.at + last.rows
        if follows and not (piece.swap or last.swap):
            last = Piece(last.module, last.first, piece.last, False, last.at)
        else:
            yield last
            last = piece
    yield last


def _part(family: Family, module: Module) -> tuple[Target, ...]:
    """Read OneTrainer's names of the parts of a fused layer: `double_blocks.0.img_attn.qkv.1`."""
    stem, _, number = module.name.rpartition("_" if module.flat else ".")
    targets = to_diffusers(family, stem, module.flat) if number.isdecimal() and len(number) == 1 else ()
    place = int(number) if len(targets) > 1 else len(targets)
    return targets[place : place + 1]
