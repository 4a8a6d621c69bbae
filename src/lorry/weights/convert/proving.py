"""Prove that a converted file acts as the original: read both again, and compare every module.

How it works: for each module the squared norms before and after and the inner product of both are taken,
which give their distance as well, and so tell rows in the wrong place. What is read from the result is what
its header, tensors and adapter_config.json say, through the same reading that any file goes through;
nothing of what the writer believed is used, but which rows belong to which module.

The tolerance: where all bits were kept, 1e-6 of ‖B‖·‖A‖, as an alpha is stored in 32 bits. Where numbers
were rounded, what rounding each number by half of its last bit can do at most: u·(‖B‖_F‖A‖₂ + ‖A‖_F‖B‖₂),
with u = 2⁻⁸ for bfloat16, 2⁻¹¹ for float16 and 2⁻²⁴ for 32 bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lorry.errors import ConversionFailed, StrengthChanged
from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Module
from lorry.weights.convert.differences import difference, flat, gram
from lorry.weights.convert.mapping import Piece
from lorry.weights.convert.matrices import Matrix, Pair, read_matrix
from lorry.weights.convert.options import Loss, Losses
from lorry.weights.convert.planning import Output, Plan
from lorry.weights.convert.reading import Given

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lorry.weights.convert.numbers import Floats

    Doubles = npt.NDArray[np.float64]

SLACK = 1e-6  # of ‖B‖·‖A‖: an alpha is stored in 32 bits
_BLUR = 1e-6  # of ‖B‖·‖A‖: the distance is the root of a difference of sums in 64 bits
_HALF_TINY = 2.0**-25  # half of float16's smallest step: what a number below its range may move


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may differ in a layer: how far numbers were rounded, and whether its rank was cut."""

    rounding: float
    cut: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """One module before and after.

    Attributes:
        module: Its name in the source.
        before: Its norm in the source.
        after: Its norm in the result.
        distance: Norm of what differs.
        tolerance: How far the norms may differ.
        blur: How exactly the distance could be told.
        projected: Inner product of before and after over the norm after; that norm for the best lower rank.
        cut: Whether its rank was cut.
    """

    module: str
    before: float
    after: float
    distance: float
    tolerance: float
    blur: float
    projected: float
    cut: bool

    @property
    def faithful(self) -> bool:
        """Whether the module acts as before, but for what was cut on purpose."""
        if not all(map(math.isfinite, (self.before, self.after, self.distance))):
            return False
        if self.cut:
            return abs(self.projected - self.after) <= self.tolerance + self.blur
        return abs(self.after - self.before) <= self.tolerance and self.distance <= self.tolerance + self.blur


class Result:
    """A converted file, read as any file is.

    Args:
        given: The file.
        plan: What was planned; only which tensors belong together is taken from it.
    """

    def __init__(self, given: Given, plan: Plan) -> None:
        self.given = given
        self._tensors = {tensor.name: tensor for tensor in given.header.tensors}
        modules = {
            tensor.name: module for module in given.modules for tensor in module.tensors.get(Role.DOWN, ())
        }
        self._modules = modules
        self._words = plan.spelling.down, plan.spelling.up
        self._last: tuple[str, Pair] | None = None

    def pair(self, name: str) -> Pair:
        """Read a layer with the strength that the file states for it.

        Args:
            name: The layer's key, without what names the matrix.
        """
        if self._last is not None and self._last[0] == name:
            return self._last[1]
        down, up = (self._matrix(name + word) for word in self._words)
        module = self._modules.get(name + self._words[0])
        scale = self.given.stated.of(module).scale if module is not None else math.nan
        pair = Pair(down, up, scale)
        self._last = name, pair
        return pair

    def _matrix(self, name: str) -> Matrix:
        if name not in self._tensors:
            raise ConversionFailed(f"The converted file lacks {name}.", evidence={"tensor": name})
        return read_matrix(self.given.source, self.given.header, self._tensors[name])


def compared(
    given: Given, plan: Plan, result: Result, allowances: Mapping[str, Allowance]
) -> Iterator[Compared]:
    """Compare every module of a source with what became of it.

    Args:
        given: The source.
        plan: Which rows of which layer belong to which module.
        result: The converted file.
        allowances: By layer, what may differ there.
    """
    places: dict[int, list[tuple[Output, Piece]]] = {}
    for output in plan.outputs:
        for piece in output.pieces:
            places.setdefault(id(piece.module), []).append((output, piece))
    for module in plan.sources:
        yield _compared(given, module, places[id(module)], result, allowances)


def judged(found: Sequence[Compared]) -> tuple[Losses | None, float]:
    """Refuse a changed strength; else tell what was lost on purpose, and the largest change of a norm.

    Args:
        found: Every module.

    Raises:
        StrengthChanged: A module acts otherwise than before.
    """
    changed = [each for each in found if not each.faithful]
    if changed:
        worst = max(changed, key=lambda each: abs(each.after - each.before))
        message = (
            f"{len(changed)} of {len(found)} modules would act otherwise than before: {worst.module} has the "
            f"norm {worst.after:.6g} instead of {worst.before:.6g}."
        )
        raise StrengthChanged(
            message,
            evidence={
                "modules": [
                    {
                        "module": each.module,
                        "before": each.before,
                        "after": each.after,
                        "distance": each.distance,
                    }
                    for each in changed[:50]
                ]
            },
        )
    kept = [abs(each.after - each.before) / each.before for each in found if not each.cut and each.before]
    cut = [each for each in found if each.cut]
    if not cut:
        return None, max(kept, default=0.0)
    whole = math.fsum(each.before**2 for each in found)
    missing = math.fsum(each.distance**2 for each in cut)
    losses = [Loss(each.module, each.distance / each.before if each.before else 0.0) for each in cut]
    losses.sort(key=lambda loss: -loss.distance)
    return Losses(tuple(losses), math.sqrt(missing / whole) if whole else 0.0), max(kept, default=0.0)


def _compared(
    given: Given,
    module: Module,
    places: Sequence[tuple[Output, Piece]],
    result: Result,
    allowances: Mapping[str, Allowance],
) -> Compared:
    before = difference(given, module)
    after = inner = tolerance = blur = 0.0
    cut = False
    for output, piece in places:
        pair = result.pair(output.name)
        up, down = flat(pair)
        up = up[piece.at : piece.at + piece.rows]
        for rows, first in _in_source(up, piece):
            inner += pair.scale * before.inner(rows, down, first)
        turned = up.T
        grams = gram(turned, turned), gram(down, down)
        after += pair.scale**2 * float((grams[0] * grams[1]).sum())
        size, reach = _reach(*grams)
        allowance = allowances[output.name]
        cut = cut or allowance.cut
        rounded = allowance.rounding * reach + _below_range(output.dtype, allowance, up, down, grams)
        tolerance += abs(pair.scale) * (rounded * (1 + allowance.rounding) + SLACK * size)
        blur += abs(pair.scale) * _BLUR * size
    square = before.square()
    distance = math.sqrt(max(square + after - 2 * inner, 0.0))
    root = math.sqrt(max(after, 0.0))
    return Compared(
        module.name,
        math.sqrt(max(square, 0.0)),
        root,
        distance,
        tolerance,
        blur,
        inner / root if root else 0.0,
        cut,
    )


def _in_source(up: Floats, piece: Piece) -> Iterator[tuple[Floats, int]]:
    """Say where the rows of a piece lie in the source: halves that changed places lie crosswise."""
    if not piece.swap:
        yield up, piece.first
        return
    half = len(up) // 2
    yield up[:half], piece.first + len(up) - half
    yield up[half:], piece.first


def _reach(up: Doubles, down: Doubles) -> tuple[float, float]:
    """Give ‖B‖_F‖A‖_F and ‖B‖_F‖A‖₂ + ‖A‖_F‖B‖₂ of Gram matrices."""
    import numpy as np

    if not (np.isfinite(up).all() and np.isfinite(down).all()):
        return math.nan, math.nan
    frobenius = [math.sqrt(max(float(np.trace(gram)), 0.0)) for gram in (up, down)]
    spectral = [math.sqrt(max(float(np.linalg.eigvalsh(gram)[-1]), 0.0)) for gram in (up, down)]
    return frobenius[0] * frobenius[1], frobenius[0] * spectral[1] + frobenius[1] * spectral[0]


def _below_range(
    dtype: str, allowance: Allowance, up: Floats, down: Floats, grams: tuple[Doubles, Doubles]
) -> float:
    """Allow for numbers that float16 can only store in steps, as they are below its range."""
    if dtype != "F16" or not allowance.rounding:
        return 0.0
    sizes = [math.sqrt(max(float(gram.trace()), 0.0)) for gram in grams]
    return _HALF_TINY * (math.sqrt(up.size) * sizes[1] + math.sqrt(down.size) * sizes[0])
