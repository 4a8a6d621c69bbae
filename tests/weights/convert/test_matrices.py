"""Strengths are multiplied in exactly where that can be, fused layers put together exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lorry.weights.convert.matrices import Matrix, Pair, folded, fused, swapped
from lorry.weights.convert.numbers import encode

Doubles = npt.NDArray[np.float64]


def matrix(values: npt.ArrayLike, dtype: str = "F32") -> Matrix:
    """Store numbers."""
    return Matrix(dtype, encode(np.asarray(values, "<f4"), dtype))


def delta(pair: Pair) -> Doubles:
    """Multiply a LoRA out."""
    return pair.scale * (pair.up.values.astype(np.float64) @ pair.down.values.astype(np.float64))


small = st.floats(-4, 4, width=16).filter(lambda number: number == 0 or abs(number) > 2**-6)
two_by_three = arrays.arrays("<f4", (2, 3), elements=small)
three_by_two = arrays.arrays("<f4", (3, 2), elements=small)


@given(two_by_three, three_by_two, st.integers(-8, 8), st.sampled_from(["BF16", "F16", "F32"]))
def test_a_power_of_two_is_folded_exactly(down: Doubles, up: Doubles, exponent: int, dtype: str) -> None:
    """Multiplying a power of two in changes no number but by it, and says so."""
    pair = Pair(matrix(down, dtype), matrix(up, dtype), 2.0**exponent)
    result = folded(pair, dtype)
    assert result.exact
    assert not result.overflow
    assert result.pair.scale == 1.0
    assert np.array_equal(delta(result.pair), delta(pair))


@given(
    two_by_three,
    three_by_two,
    st.floats(0.1, 8),
    st.sampled_from([("BF16", 2**-8), ("F16", 2**-10), ("F32", 2**-23)]),
)
def test_any_other_strength_is_folded_within_the_last_bit(
    down: Doubles, up: Doubles, scale: float, kind: tuple[str, float]
) -> None:
    """Each number of the matrix that takes a strength moves by half of its last bit at most."""
    dtype, step = kind
    pair = Pair(matrix(down, dtype), matrix(up, dtype), scale)
    result = folded(pair, dtype)
    wanted = scale * pair.up.values.astype(np.float64)
    assert (abs(result.pair.up.values - wanted) <= step * abs(wanted) + 1e-12).all()
    assert result.pair.down.same(pair.down)


def test_a_strength_that_bursts_one_matrix_goes_into_the_other() -> None:
    """Where the product is too large for float16 in up, down takes the strength, and it is exact."""
    pair = Pair(matrix([[0.5, 0.25]], "F16"), matrix([[40000.0]], "F16"), 4.0)
    result = folded(pair, "F16")
    assert result.exact
    assert not result.overflow
    assert np.array_equal(delta(result.pair), delta(pair))


def test_a_strength_that_bursts_both_is_told() -> None:
    """A product that no matrix can take is told, not written."""
    assert folded(Pair(matrix([[40000.0]], "F16"), matrix([[40000.0]], "F16"), 4.0), "F16").overflow


def test_small_numbers_that_would_be_rounded_off_are_told() -> None:
    """A power of two that pushes numbers below the range of float16 is not exact."""
    tiny = 2.0**-24
    assert not folded(Pair(matrix([[tiny]], "F16"), matrix([[tiny]], "F16"), 0.5), "F16").exact


@given(two_by_three, three_by_two, three_by_two)
def test_layers_with_one_input_matrix_keep_their_rank(down: Doubles, one: Doubles, two: Doubles) -> None:
    """Fused layers that share the matrix at the input share it still."""
    shared = matrix(down)
    pair = fused([(0, Pair(shared, matrix(one))), (3, Pair(matrix(down), matrix(two)))], 6)
    assert pair.rank == 2
    assert np.allclose(delta(pair), np.concatenate([one @ down, two @ down]), atol=1e-5)


@pytest.mark.parametrize("scales", [(2.0, 2.0), (2.0, 0.5)])
def test_layers_of_their_own_add_their_ranks_up(scales: tuple[float, float]) -> None:
    """Fused layers with own input matrices lie on the diagonal; rows of none stay zero."""
    rng = np.random.default_rng(1)
    pairs = [
        Pair(matrix(rng.normal(size=(rank, 4))), matrix(rng.normal(size=(3, rank))), scale)
        for rank, scale in zip((1, 2), scales, strict=True)
    ]
    pair = fused([(0, pairs[0]), (5, pairs[1])], 8)
    assert pair.rank == 3
    wanted = np.zeros((8, 4))
    wanted[0:3], wanted[5:8] = delta(pairs[0]), delta(pairs[1])
    assert np.allclose(delta(pair), wanted, rtol=1e-6)


def test_halves_change_places_and_back() -> None:
    """Scale and shift change places, and twice is nothing."""
    pair = Pair(matrix([[1.0]]), matrix([[1.0], [2.0], [3.0], [4.0]]))
    assert swapped(pair).up.values.ravel().tolist() == [3.0, 4.0, 1.0, 2.0]
    assert swapped(swapped(pair)).up.same(pair.up)
