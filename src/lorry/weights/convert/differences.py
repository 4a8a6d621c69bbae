"""What a module adds to its layer's weights, in the shape that it is stored in, and how two of them compare.

‖s·B·A‖² is the sum of the entries of BᵀB ∘ AAᵀ, two matrices of rank × rank; the inner product of two such
differences is as cheap. A Kronecker product's norm is the product of its factors' norms. So no layer is
ever formed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Module
from lorry.weights.convert.building import named_matrices
from lorry.weights.convert.factors import Kronecker, from_hadamard, from_tucker, kronecker
from lorry.weights.convert.matrices import Pair, read_matrix
from lorry.weights.convert.reading import Given

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lorry.weights.convert.numbers import Floats

    Doubles = npt.NDArray[np.float64]

_ONE_THREAD = 1 << 18  # multiplications in one call that OpenBLAS does with one thread (interface/gemm.c)


class Difference(Protocol):
    """What a module adds to its layer's weights."""

    def square(self) -> float:
        """Give the squared Frobenius norm."""

    def inner(self, up: Floats, down: Floats, first: int) -> float:
        """Give the inner product with `up · down`, whose rows lie from `first` on."""


class LowRank:
    """The difference of a LoRA.

    Args:
        pair: Its matrices and scale.
    """

    def __init__(self, pair: Pair) -> None:
        self.up, self.down = flat(pair)
        self.scale = pair.scale

    def square(self) -> float:
        """Give the squared Frobenius norm."""
        turned = self.up.T
        return self.scale**2 * float((gram(turned, turned) * gram(self.down, self.down)).sum())

    def inner(self, up: Floats, down: Floats, first: int) -> float:
        """Give the inner product with `up · down`, whose rows lie from `first` on."""
        mine = self.up[first : first + len(up)]
        return self.scale * float((gram(mine.T, up.T) * gram(self.down, down)).sum())


class Factored:
    """The difference of a LoKr, by its factors.

    Args:
        product: The factors and the scale.
    """

    def __init__(self, product: Kronecker) -> None:
        self.product = product

    def square(self) -> float:
        """Give the squared Frobenius norm."""
        first, second = self.product.first, self.product.second
        return self.product.scale**2 * float((first**2).sum() * (second**2).sum())

    def inner(self, up: Floats, down: Floats, first: int) -> float:
        """Give the inner product with `up · down`, whose rows lie from `first` on."""
        import numpy as np

        one, two = self.product.first, self.product.second
        whole = np.zeros((one.shape[0] * two.shape[0], up.shape[1]))
        whole[first : first + len(up)] = up
        cubes = whole.T.reshape(-1, one.shape[0], two.shape[0])
        rows = down.astype(np.float64).reshape(-1, one.shape[1], two.shape[1])
        return self.product.scale * float(np.einsum("kai,ai->", (cubes @ two) @ rows.transpose(0, 2, 1), one))


def difference(given: Given, module: Module) -> Difference:
    """Read what a module adds to its layer.

    Args:
        given: The source.
        module: One of its modules.
    """
    scale = given.stated.of(module).scale
    if Role.LOKR in module.tensors:
        return Factored(kronecker(named_matrices(given, module, Role.LOKR, ".lokr_"), scale))
    if Role.LOHA in module.tensors:
        return LowRank(from_hadamard(named_matrices(given, module, Role.LOHA, ".hada_"), scale))
    matrices = [
        read_matrix(given.source, given.header, module.tensors[role][0])
        for role in (Role.DOWN, Role.UP, Role.MID)
        if role in module.tensors
    ]
    if Role.MID in module.tensors:
        return LowRank(from_tucker(matrices[0], matrices[2], matrices[1], scale))
    return LowRank(Pair(matrices[0], matrices[1], scale))


def flat(pair: Pair) -> tuple[Floats, Floats]:
    """Give both matrices with two dimensions: [outputs, rank] and [rank, inputs · kernel].

    Args:
        pair: A LoRA.
    """
    up, down = pair.up.values, pair.down.values
    return up.reshape(up.shape[0], -1), down.reshape(down.shape[0], -1)


def gram(one: Floats, two: Floats) -> Doubles:
    """Multiply a wide matrix by the transpose of another, in 64 bits: columns may nearly cancel out.

    Pieces that are small enough keep OpenBLAS to one thread: several gain nothing here, and wait for each
    other many times as long on a machine that is busy.

    Args:
        one: [rows, length].
        two: [other rows, length].
    """
    import numpy as np

    step = max(_ONE_THREAD // (len(one) * len(two)), 16)
    total = np.zeros((len(one), len(two)))
    for start in range(0, one.shape[1], step):
        with np.errstate(invalid="ignore"):  # a NaN of the file's stays one, and is told as what it is
            left = one[:, start : start + step].astype(np.float64)
            right = left if two is one else two[:, start : start + step].astype(np.float64)
            total += left @ right.T
    return total
