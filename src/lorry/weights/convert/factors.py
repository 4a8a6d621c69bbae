"""The LoRA that each algorithm's tensors are: exact, as long as the rank that comes out is bearable.

LoKr is `kron(w1, w2)`, LoHa `(w1_a w1_b) ∘ (w2_a w2_b)`, a Tucker convolution `up · mid · down` (LyCORIS,
`lycoris/functional`). The singular values of a Kronecker product are the products of those of its factors,
and its singular vectors their Kronecker products; a Hadamard product of ranks r and s is a face-splitting
product of rank r·s. So neither is ever formed as a full matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lorry.weights.convert.matrices import Matrix, Pair, computed
from lorry.weights.convert.reduction import balanced

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Doubles = npt.NDArray[np.float64]

_NOTHING = 1e-7  # of the largest singular value: what 32-bit factors can't tell from zero


@dataclass(frozen=True, slots=True)
class Kronecker:
    """A LoKr module: the two factors as matrices, the kernel of a convolution, and the scale.

    Attributes:
        first: [outputs 1, inputs 1].
        second: [outputs 2, inputs 2 · kernel].
        kernel: The kernel's shape; empty for a linear layer.
        scale: What the product is multiplied by.
    """

    first: Doubles
    second: Doubles
    kernel: tuple[int, ...]
    scale: float

    @property
    def inputs(self) -> int:
        """The layer's inputs."""
        size = 1
        for length in self.kernel:
            size *= length
        return int(self.first.shape[1]) * int(self.second.shape[1]) // size


def kronecker(tensors: Mapping[str, Matrix], scale: float) -> Kronecker:
    """Put a LoKr module's tensors together to its two factors.

    Args:
        tensors: By the last word of their names: `w1` or `w1_a` and `w1_b`, `w2` or `w2_a` and `w2_b`, `t2`.
        scale: Alpha over rank.
    """
    import numpy as np

    found = {name: matrix.values.astype(np.float64) for name, matrix in tensors.items()}
    first = found["w1"] if "w1" in found else found["w1_a"] @ found["w1_b"]
    if "w2" in found:
        second = found["w2"]
    elif "t2" in found:
        second = np.einsum("ij...,ip,jq->pq...", found["t2"], found["w2_a"], found["w2_b"], optimize=True)
    else:
        second = found["w2_a"] @ found["w2_b"].reshape(found["w2_b"].shape[0], -1)
    first = first.reshape(first.shape[0], first.shape[1])
    return Kronecker(first, second.reshape(second.shape[0], -1), second.shape[2:], scale)


def exact_rank(product: Kronecker) -> int:
    """Give the rank of a Kronecker product.

    Args:
        product: The product.
    """
    return len(_spectrum(product.first)[1]) * len(_spectrum(product.second)[1])


def from_kronecker(product: Kronecker, rank: int) -> Pair:
    """Give the best LoRA of a rank at most `rank` for a Kronecker product; exact when that suffices.

    Args:
        product: The product.
        rank: The rank that it may have at most.
    """
    import numpy as np

    u1, s1, v1 = _spectrum(product.first)
    u2, s2, v2 = _spectrum(product.second)
    values = np.outer(s1, s2).reshape(-1)
    order = np.argsort(-values, kind="stable")[:rank]
    one, two = order // len(s2), order % len(s2)
    kept = len(order)
    left = np.einsum("ak,bk->abk", u1[:, one], u2[:, two]).reshape(-1, kept)
    right = np.einsum("ka,kb->kab", v1[one], v2[two]).reshape(kept, -1)
    sign = -1.0 if product.scale < 0 else 1.0
    tail = (1,) * len(product.kernel)
    shape = (product.inputs, *product.kernel)
    return balanced(sign * left, abs(product.scale) * values[order], right, shape, tail)


def from_hadamard(tensors: Mapping[str, Matrix], scale: float) -> Pair:
    """Give the exact LoRA of a LoHa module.

    Args:
        tensors: By the last word of their names: `w1_a`, `w1_b`, `w2_a`, `w2_b`; `t1`, `t2` of convolutions.
        scale: Alpha over rank.
    """
    import numpy as np

    found = {name: matrix.values.astype(np.float64) for name, matrix in tensors.items()}
    if "t1" in found:
        one, two = (
            np.einsum("ij...,ip,jq->pq...", found[f"t{n}"], found[f"w{n}_a"], found[f"w{n}_b"], optimize=True)
            for n in (1, 2)
        )
        whole = one * two
        flat = whole.reshape(whole.shape[0], -1)
        left, values, right = _spectrum(flat)
        return _pair(left * values, right, whole.shape[1:], scale)
    up = np.einsum("oa,ob->oab", found["w1_a"], found["w2_a"]).reshape(len(found["w1_a"]), -1)
    down = np.einsum("ai,bi->abi", found["w1_b"], found["w2_b"]).reshape(up.shape[1], -1)
    return _pair(up, down, down.shape[1:], scale)


def from_tucker(down: Matrix, mid: Matrix, up: Matrix, scale: float) -> Pair:
    """Multiply the core of a Tucker convolution into its down matrix.

    Args:
        down: [rank, inputs, 1, 1].
        mid: [rank, rank, height, width].
        up: [outputs, rank, 1, 1].
        scale: Alpha over rank.
    """
    import numpy as np

    inner = down.values.reshape(down.shape[0], -1)
    core = mid.values
    joined = np.ascontiguousarray(np.einsum("pr...,ri->pi...", core, inner, optimize=True), "<f4")
    return Pair(computed(joined), up, scale)


def _pair(up: Doubles, down: Doubles, kernel: tuple[int, ...], scale: float) -> Pair:
    import numpy as np

    tail = (1,) * (len(kernel) - 1)
    return Pair(
        computed(np.ascontiguousarray(down.reshape(len(down), *kernel), "<f4")),
        computed(np.ascontiguousarray(up.reshape(*up.shape, *tail), "<f4")),
        scale,
    )


def _spectrum(matrix: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Decompose a factor and leave out the singular values that are zero but for rounding."""
    import numpy as np

    u, values, v = np.linalg.svd(matrix, full_matrices=False)
    kept = max(int((values > _NOTHING * values[0]).sum()), 1)
    return u[:, :kept], values[:kept], v[:kept]
