"""Make the matrices of each layer, one layer at a time: what is only renamed is never decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from lorry.errors import ConversionRefused
from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Module
from lorry.weights.convert.factors import exact_rank, from_hadamard, from_kronecker, from_tucker, kronecker
from lorry.weights.convert.layouts import States
from lorry.weights.convert.mapping import Piece
from lorry.weights.convert.matrices import Matrix, Pair, folded, fused, overflows, read_matrix, swapped
from lorry.weights.convert.numbers import ROUNDING
from lorry.weights.convert.planning import LARGEST_EXACT, Output, Plan
from lorry.weights.convert.reading import Given
from lorry.weights.convert.reduction import reduced

_EIGHT_BITS = frozenset({"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0"})
#: Types whose every number another type holds as it is.
_HELD = {"BF16": _EIGHT_BITS, "F16": frozenset({"F8_E4M3", "F8_E5M2"}), "F32": _EIGHT_BITS | {"BF16", "F16"}}


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """A layer that is ready to be written.

    Attributes:
        output: What was planned.
        pair: Its matrices, in the data type in which they are written; `scale` is what the layout states.
        folding: The scale that was multiplied into the weights; 1 where none was.
        rounding: The largest share by which a number of either matrix was rounded; 0 where all bits are kept.
        cut: Whether its rank was reduced.
    """

    output: Output
    pair: Pair
    folding: float
    rounding: float
    cut: bool


def built(given: Given, plan: Plan, rank: int | None) -> Iterator[Built]:
    """Make each layer of a plan.

    Args:
        given: The source.
        plan: The plan.
        rank: The rank that no layer may exceed.

    Yields:
        The layers in the plan's order. Modules of the source are kept only until their last piece is used.

    Raises:
        ConversionRefused: A strength can't be multiplied in without numbers becoming infinite.
    """
    uses = Counter(id(piece.module) for output in plan.outputs for piece in output.pieces)
    known: dict[int, Made] = {}
    for output in plan.outputs:
        parts, computed, cut = [], False, False
        for piece in output.pieces:
            place = id(piece.module)
            if place not in known:
                known[place] = _made(given, piece.module, rank)
            made = known[place]
            computed, cut = computed or made.computed, cut or made.cut
            parts.append((piece.at, _part(made.pair, piece)))
            uses[place] -= 1
            if not uses[place]:
                del known[place]
        pair = fused(parts, output.rows)
        if rank is not None and pair.rank > rank:
            pair, computed, cut = reduced(pair, rank), True, True
        exact = not computed and _holds(output.dtype, pair)
        yield _finished(output, pair, plan.spelling.states, 0.0 if exact else ROUNDING[output.dtype], cut)


def _finished(output: Output, pair: Pair, states: States, rounding: float, cut: bool) -> Built:
    """State the strength, or multiply it into the weights."""
    scale = pair.scale
    if scale == 1.0 or states in (States.ALPHA, States.CONFIG):
        plain = Pair(pair.down.cast(output.dtype), pair.up.cast(output.dtype), scale)
        if rounding and (overflows(pair.up, plain.up) or overflows(pair.down, plain.down)):
            raise _too_large(output)
        return Built(output, plain, 1.0, rounding, cut)
    result = folded(pair, output.dtype)
    if states is States.NEEDED and not result.exact:
        return _finished(output, pair, States.ALPHA, rounding, cut)
    if result.overflow:
        raise _too_large(output)
    rounding = max(rounding, 0.0 if result.exact else ROUNDING[output.dtype])
    return Built(output, result.pair, scale, rounding, cut)


def _too_large(output: Output) -> ConversionRefused:
    message = f"Numbers of {output.layer} are too large for {output.dtype}."
    return ConversionRefused(message, fix="Store them as bfloat16 with `--dtype bf16`.")


def _holds(dtype: str, pair: Pair) -> bool:
    """Tell whether a data type holds every number of both matrices as it is."""
    return {pair.up.dtype, pair.down.dtype} <= {dtype, *_HELD[dtype]}


def _part(pair: Pair, piece: Piece) -> Pair:
    if piece.rows != pair.up.shape[0]:
        pair = Pair(pair.down, pair.up.rows(piece.first, piece.last), pair.scale)
    return swapped(pair) if piece.swap else pair


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A module's LoRA, whether its numbers had to be computed, and whether its rank was cut by that."""

    pair: Pair
    computed: bool
    cut: bool


def _made(given: Given, module: Module, rank: int | None) -> Made:
    scale = given.stated.of(module).scale
    if Role.LOKR in module.tensors:
        product = kronecker(named_matrices(given, module, Role.LOKR, ".lokr_"), scale)
        most = LARGEST_EXACT if rank is None else rank
        return Made(from_kronecker(product, most), True, exact_rank(product) > most)
    if Role.LOHA in module.tensors:
        pair = from_hadamard(named_matrices(given, module, Role.LOHA, ".hada_"), scale)
        cut = rank is not None and pair.rank > rank
        return Made(reduced(pair, rank) if cut and rank is not None else pair, True, cut)
    down, up = (_one(given, module, role) for role in (Role.DOWN, Role.UP))
    if Role.MID in module.tensors:
        return Made(from_tucker(down, _one(given, module, Role.MID), up, scale), True, False)
    return Made(Pair(down, up, scale), False, False)


def _one(given: Given, module: Module, role: Role) -> Matrix:
    return read_matrix(given.source, given.header, module.tensors[role][0])


def named_matrices(given: Given, module: Module, role: Role, word: str) -> dict[str, Matrix]:
    """Read the factors of a LoKr or LoHa module.

    Args:
        given: The source.
        module: The module.
        role: Which factors.
        word: What stands before their own names.
    """
    return {
        tensor.name.rpartition(word)[2]: read_matrix(given.source, given.header, tensor)
        for tensor in module.tensors[role]
    }
