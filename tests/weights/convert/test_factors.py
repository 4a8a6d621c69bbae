"""LoKr, LoHa and Tucker convolutions become the LoRA that they are; a cut rank is the best of its size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.weights.convert.factors import exact_rank, from_hadamard, from_kronecker, from_tucker, kronecker
from lorry.weights.convert.matrices import Matrix, Pair
from lorry.weights.convert.reduction import reduced

Doubles = npt.NDArray[np.float64]
sizes = st.integers(1, 5)
seeds = st.integers(0, 1000)


def stored(rng: np.random.Generator, *shape: int) -> Matrix:
    """Store random numbers."""
    return Matrix("F32", rng.normal(size=shape).astype("<f4"))


def whole(pair: Pair) -> Doubles:
    """Multiply a LoRA out to [outputs, inputs · kernel]."""
    up, down = pair.up.values.astype(np.float64), pair.down.values.astype(np.float64)
    return pair.scale * (up.reshape(up.shape[0], -1) @ down.reshape(down.shape[0], -1))


@given(sizes, sizes, sizes, sizes, seeds)
def test_lokr_of_full_factors(o1: int, i1: int, o2: int, i2: int, seed: int) -> None:
    """kron(w1, w2) is written out exactly when the rank suffices."""
    rng = np.random.default_rng(seed)
    tensors = {"w1": stored(rng, o1, i1), "w2": stored(rng, o2, i2)}
    pair = from_kronecker(kronecker(tensors, 1.5), 100)
    wanted = 1.5 * np.kron(tensors["w1"].values, tensors["w2"].values)
    assert pair.rank == exact_rank(kronecker(tensors, 1.5)) == min(o1, i1) * min(o2, i2)
    assert np.allclose(whole(pair), wanted, atol=1e-5)


@given(seeds, st.integers(1, 3), st.integers(1, 3))
def test_lokr_of_factors_of_factors(seed: int, r1: int, r2: int) -> None:
    """Factors that are products themselves have their ranks multiplied, and no more."""
    rng = np.random.default_rng(seed)
    tensors = {
        "w1_a": stored(rng, 4, r1),
        "w1_b": stored(rng, r1, 4),
        "w2_a": stored(rng, 6, r2),
        "w2_b": stored(rng, r2, 5),
    }
    pair = from_kronecker(kronecker(tensors, 0.5), 100)
    one, two = (tensors[f"{w}_a"].values @ tensors[f"{w}_b"].values for w in ("w1", "w2"))
    assert pair.rank == r1 * r2
    assert np.allclose(whole(pair), 0.5 * np.kron(one, two), atol=1e-4)


@given(seeds, st.integers(1, 9))
def test_a_cut_lokr_is_the_best_of_its_rank(seed: int, rank: int) -> None:
    """Its distance is that of the truncated singular value decomposition of the full matrix."""
    rng = np.random.default_rng(seed)
    tensors = {"w1": stored(rng, 3, 3), "w2": stored(rng, 4, 5)}
    full = np.kron(tensors["w1"].values, tensors["w2"].values).astype(np.float64)
    pair = from_kronecker(kronecker(tensors, 1.0), rank)
    lost = np.linalg.svd(full, compute_uv=False)[rank:]
    assert np.linalg.norm(full - whole(pair)) == pytest.approx(np.linalg.norm(lost), abs=1e-4)


def test_lokr_of_convolutions() -> None:
    """A kernel belongs to the second factor, full or with a Tucker core, and to the rows of the result."""
    rng = np.random.default_rng(3)
    first, second = stored(rng, 2, 3), stored(rng, 4, 5, 3, 3)
    pair = from_kronecker(kronecker({"w1": first, "w2": second}, 1.0), 100)
    assert pair.down.shape[1:] == (15, 3, 3)
    assert pair.up.shape == (8, pair.rank, 1, 1)
    wanted = np.einsum("ab,cdhw->acbdhw", first.values, second.values).reshape(8, -1)
    assert np.allclose(whole(pair), wanted, atol=1e-5)
    core, left, right = stored(rng, 2, 2, 3, 3), stored(rng, 2, 4), stored(rng, 2, 5)
    pair = from_kronecker(kronecker({"w1": first, "t2": core, "w2_a": left, "w2_b": right}, 1.0), 100)
    rebuilt = np.einsum("ijhw,ip,jq->pqhw", core.values, left.values, right.values)
    wanted = np.einsum("ab,cdhw->acbdhw", first.values, rebuilt).reshape(8, -1)
    assert np.allclose(whole(pair), wanted, atol=1e-4)


@given(sizes, sizes, st.integers(1, 3), seeds)
def test_loha(outputs: int, inputs: int, rank: int, seed: int) -> None:
    """(w1_a w1_b) ∘ (w2_a w2_b) is a LoRA of the squared rank."""
    rng = np.random.default_rng(seed)
    tensors = {
        "w1_a": stored(rng, outputs, rank),
        "w1_b": stored(rng, rank, inputs),
        "w2_a": stored(rng, outputs, rank),
        "w2_b": stored(rng, rank, inputs),
    }
    pair = from_hadamard(tensors, 2.0)
    one, two = (tensors[f"{w}_a"].values @ tensors[f"{w}_b"].values for w in ("w1", "w2"))
    assert pair.rank == rank**2
    assert np.allclose(whole(pair), 2.0 * one * two, atol=1e-4)


def test_loha_of_convolutions() -> None:
    """With Tucker cores each side is t · w_a · w_b."""
    rng = np.random.default_rng(4)
    tensors = {f"t{n}": stored(rng, 2, 2, 3, 3) for n in (1, 2)}
    tensors |= {f"w{n}_a": stored(rng, 2, 4) for n in (1, 2)} | {f"w{n}_b": stored(rng, 2, 5) for n in (1, 2)}
    one, two = (
        np.einsum(
            "ijhw,ip,jq->pqhw", tensors[f"t{n}"].values, tensors[f"w{n}_a"].values, tensors[f"w{n}_b"].values
        )
        for n in (1, 2)
    )
    pair = from_hadamard(tensors, 0.5)
    assert pair.down.shape[1:] == (5, 3, 3)
    assert np.allclose(whole(pair), 0.5 * (one * two).reshape(4, -1), atol=1e-4)


def test_tucker() -> None:
    """Multiplied out, up · mid · down of a convolution keeps its rank."""
    rng = np.random.default_rng(5)
    down, mid, up = stored(rng, 2, 5, 1, 1), stored(rng, 2, 2, 3, 3), stored(rng, 4, 2, 1, 1)
    pair = from_tucker(down, mid, up, 0.5)
    wanted = 0.5 * np.einsum("op,prhw,ri->oihw", up.values[..., 0, 0], mid.values, down.values[..., 0, 0])
    assert pair.rank == 2
    assert np.allclose(whole(pair), wanted.reshape(4, -1), atol=1e-5)


@given(seeds, st.integers(1, 6), st.integers(1, 8))
def test_a_cut_rank_is_the_best_of_its_size(seed: int, rank: int, kept: int) -> None:
    """Its distance is that of the truncated singular value decomposition of the full matrix."""
    rng = np.random.default_rng(seed)
    pair = Pair(stored(rng, rank, 7), stored(rng, 9, rank), 0.25)
    less = reduced(pair, kept)
    lost = np.linalg.svd(whole(pair), compute_uv=False)[kept:]
    assert less.rank <= kept
    assert np.linalg.norm(whole(pair) - whole(less)) == pytest.approx(np.linalg.norm(lost), abs=1e-5)


def test_a_convolution_keeps_its_kernel_when_cut() -> None:
    """A rank is cut without touching the kernel's shape."""
    rng = np.random.default_rng(6)
    less = reduced(Pair(stored(rng, 4, 5, 3, 3), stored(rng, 6, 4, 1, 1)), 2)
    assert less.down.shape == (2, 5, 3, 3)
    assert less.up.shape == (6, 2, 1, 1)
