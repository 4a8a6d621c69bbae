"""Matrices as they are stored: cut, stacked and compared by their bits, decoded only where numbers change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lorry.weights.catalogue import fault
from lorry.weights.convert.numbers import decode, encode, is_power_of_two, storage
from lorry.weights.files.header import Header, Tensor
from lorry.weights.files.source import ByteSource

if TYPE_CHECKING:
    from lorry.weights.convert.numbers import Floats, Raw


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Stored numbers: the bits as `numbers.storage` lays them out, and the data type that they have."""

    dtype: str
    raw: Raw

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, columns, and the kernel of a convolution."""
        return self.raw.shape

    @property
    def values(self) -> Floats:
        """The numbers as 32-bit floats."""
        return decode(self.raw, self.dtype)

    def rows(self, first: int, last: int) -> Matrix:
        """Give the rows from `first` up to, not including, `last`."""
        return Matrix(self.dtype, self.raw[first:last])

    def cast(self, dtype: str) -> Matrix:
        """Give the same numbers rounded to another data type."""
        return self if dtype == self.dtype else Matrix(dtype, encode(self.values, dtype))

    def same(self, other: Matrix) -> bool:
        """Tell whether another matrix has the same bits."""
        return self is other or (
            self.dtype == other.dtype
            and self.shape == other.shape
            and self.raw.tobytes() == other.raw.tobytes()
        )


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A LoRA of one layer: its difference is `scale · up · down`.

    Attributes:
        down: [rank, inputs], with the kernel behind for a convolution.
        up: [outputs, rank], with two ones behind for a convolution.
        scale: What the product is multiplied by.
    """

    down: Matrix
    up: Matrix
    scale: float = 1.0

    @property
    def rank(self) -> int:
        """The rank."""
        return self.down.shape[0]


def read_matrix(source: ByteSource, header: Header, tensor: Tensor) -> Matrix:
    """Read a tensor.

    Args:
        source: The file.
        header: Its header, judged sound.
        tensor: One of its tensors, of a data type that can be decoded.

    Raises:
        StructureFault: The file became shorter while it was read.
    """
    import numpy as np

    buffer = np.empty(tensor.end - tensor.begin, np.uint8)
    if buffer.size and source.read_into(header.data_start + tensor.begin, buffer.data) < buffer.size:
        message = f"{source.name} ended inside {tensor.name} while it was read."
        raise fault("FILE_CHANGED", message, subject=tensor.name)
    return Matrix(tensor.dtype, buffer.view(storage(tensor.dtype)).reshape(tensor.shape))


def computed(values: Floats) -> Matrix:
    """Wrap computed numbers."""
    return Matrix("F32", values)


def multiplied(matrix: Matrix, scale: float, dtype: str) -> tuple[Matrix, bool]:
    """Multiply in 32 bits and round to a data type.

    Args:
        matrix: The numbers.
        scale: The factor.
        dtype: The data type of the result.

    Returns:
        The product, and whether the factor rounded no number (a cast of the numbers aside). A product that
        would be infinite is not exact.
    """
    import numpy as np

    if scale == 1.0:
        return matrix.cast(dtype), True
    values = matrix.values
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        product = Matrix(dtype, encode(values * np.float32(scale), dtype))
        if not is_power_of_two(scale):
            return product, False
        back = product.values * np.float32(1 / scale)
    plain = values if dtype == matrix.dtype else matrix.cast(dtype).values
    return product, bool((back == plain).all())


def overflows(before: Matrix, after: Matrix) -> bool:
    """Tell whether finite numbers became infinite.

    Args:
        before: The numbers.
        after: The same, multiplied or cast.
    """
    import numpy as np

    return bool((~np.isfinite(after.values) & np.isfinite(before.values)).any())


def fused(parts: Sequence[tuple[int, Pair]], outputs: int) -> Pair:
    """Put LoRAs of layers that lie below each other in one fused layer into one LoRA of that.

    A down matrix that all share stays as it is, and the rank with it; else the ranks add up and the up
    matrices lie on the diagonal. Rows that no part covers are zero.

    Args:
        parts: First row in the fused layer, and the LoRA of the layer there.
        outputs: Rows of the fused layer.
    """
    import numpy as np

    first = parts[0][1]
    if len(parts) == 1 and first.up.shape[0] == outputs:
        return first
    if any(pair.scale != first.scale for _, pair in parts):
        parts = [(at, Pair(pair.down, multiplied(pair.up, pair.scale, "F32")[0])) for at, pair in parts]
    if len({matrix.dtype for _, pair in parts for matrix in (pair.up, pair.down)}) > 1:
        parts = [(at, Pair(pair.down.cast("F32"), pair.up.cast("F32"), pair.scale)) for at, pair in parts]
    first = parts[0][1]
    shared = all(first.down.same(pair.down) for _, pair in parts)
    rank = first.rank if shared else sum(pair.rank for _, pair in parts)
    up = np.zeros((outputs, rank, *first.up.shape[2:]), first.up.raw.dtype)
    column = 0
    for at, pair in parts:
        up[at : at + pair.up.shape[0], column : column + pair.rank] = pair.up.raw
        column += 0 if shared else pair.rank
    down = first.down.raw if shared else np.concatenate([pair.down.raw for _, pair in parts])
    return Pair(Matrix(first.down.dtype, down), Matrix(first.up.dtype, up), first.scale)


def swapped(pair: Pair) -> Pair:
    """Exchange the upper and the lower half of a layer's outputs (scale and shift of an output norm)."""
    import numpy as np

    half = pair.up.shape[0] // 2
    raw = np.concatenate([pair.up.raw[half:], pair.up.raw[:half]])
    return Pair(pair.down, Matrix(pair.up.dtype, raw), pair.scale)


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """A LoRA whose scale is 1, and whether getting there rounded any number."""

    pair: Pair
    exact: bool
    overflow: bool


def folded(pair: Pair, dtype: str) -> Folded:
    """Multiply the scale into a matrix: into up, or into down where only that is exact or finite.

    Args:
        pair: The LoRA.
        dtype: The data type to store both matrices in.
    """
    up, exact = multiplied(pair.up, pair.scale, dtype)
    down = pair.down.cast(dtype)
    if exact and pair.up.dtype == dtype == pair.down.dtype:
        return Folded(Pair(down, up), True, False)
    if exact:
        return Folded(Pair(down, up), True, _bursts((pair.up, up), (pair.down, down)))
    other, exact = multiplied(pair.down, pair.scale, dtype)
    plain = pair.up.cast(dtype)
    if exact and not _bursts((pair.up, plain), (pair.down, other)):
        return Folded(Pair(other, plain), True, False)
    if not _bursts((pair.up, up), (pair.down, down)):
        return Folded(Pair(down, up), False, False)
    return Folded(Pair(other, plain), False, _bursts((pair.up, plain), (pair.down, other)))


def _bursts(*changes: tuple[Matrix, Matrix]) -> bool:
    """Tell whether a cast or a product left the range of its type."""
    return any(before is not after and overflows(before, after) for before, after in changes)
