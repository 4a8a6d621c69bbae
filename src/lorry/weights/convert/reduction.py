"""The nearest LoRA of a smaller rank, without ever forming the layer's full matrix.

The singular values of `up · down` are those of the small core `R_up · R_downᵀ`, where `up = Q R` and `downᵀ
= Q R` (thin QR). Cutting the smallest ones gives the best approximation of that rank in the Frobenius norm
(Eckart and Young, 1936).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lorry.weights.convert.matrices import Pair, computed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Doubles = npt.NDArray[np.float64]


def reduced(pair: Pair, rank: int) -> Pair:
    """Give the best LoRA of a rank at most `rank`; the scale is multiplied in.

    Args:
        pair: The LoRA.
        rank: The rank that it may have at most.
    """
    import numpy as np

    kernel, tail = pair.down.shape[1:], pair.up.shape[2:]
    down = pair.down.values.reshape(pair.rank, -1).astype(np.float64)
    up = pair.up.values.reshape(-1, pair.rank).astype(np.float64) * pair.scale
    left, left_core = np.linalg.qr(up)
    right, right_core = np.linalg.qr(down.T)
    u, values, v = np.linalg.svd(left_core @ right_core.T, full_matrices=False)
    kept = min(rank, len(values))
    return balanced(left @ u[:, :kept], values[:kept], v[:kept] @ right.T, kernel, tail)


def balanced(
    left: Doubles, values: Doubles, right: Doubles, kernel: tuple[int, ...], tail: tuple[int, ...]
) -> Pair:
    """Make a LoRA of a singular value decomposition, the values shared between both matrices.

    Args:
        left: Left singular vectors, [outputs, rank].
        values: Singular values, [rank].
        right: Right singular vectors, [rank, inputs].
        kernel: Shape of a row of the down matrix.
        tail: What follows [outputs, rank] in the up matrix: two ones for a convolution.
    """
    import numpy as np

    root = np.sqrt(values)
    up, down = left * root, root[:, None] * right
    rank = len(values)
    return Pair(
        computed(np.ascontiguousarray(down.reshape(rank, *kernel), "<f4")),
        computed(np.ascontiguousarray(up.reshape(-1, rank, *tail), "<f4")),
    )
