"""Numbers are decoded and rounded by their bits exactly as the formats say."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.weights.convert.numbers import DECODED, decode, encode, is_power_of_two, storage


def bf16_value(bits: int) -> float:
    """Decode one bfloat16 with the standard library."""
    return float(struct.unpack("<f", struct.pack("<I", bits << 16))[0])


def slowly_to_bf16(value: float) -> int:
    """Round to the nearest bfloat16, ties to even, by comparing exact distances to both neighbours."""
    sign = 0x8000 if math.copysign(1, value) < 0 else 0
    size = abs(value)
    if math.isnan(size):
        return 0x7FC0
    if math.isinf(size):
        return sign | 0x7F80
    low, high = 0, 0x7F80
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bf16_value(middle) <= size else (low, middle)
    below = Fraction(bf16_value(low))
    # The step above the largest number is as wide as the one below it.
    above = Fraction(bf16_value(high)) if high < 0x7F80 else Fraction(2) ** 128
    down, up = Fraction(size) - below, above - Fraction(size)
    if down < up or (down == up and low % 2 == 0):
        return sign | low
    return sign | high


floats32 = st.floats(width=32, allow_nan=True, allow_infinity=True)
bits32 = st.integers(0, 2**32 - 1).map(lambda bits: struct.unpack("<f", struct.pack("<I", bits))[0])


@given(floats32 | bits32)
def test_bfloat16_is_rounded_to_nearest_even(value: float) -> None:
    """Any 32-bit float becomes the bfloat16 that is nearest, ties to even; NaN stays NaN."""
    bits = int(encode(np.array([value], "<f4"), "BF16")[0])
    if math.isnan(value):
        assert math.isnan(bf16_value(bits))
    else:
        assert bits == slowly_to_bf16(value)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-3e38, max_value=3e38))
def test_64_bits_are_rounded_once(value: float) -> None:
    """A 64-bit float becomes the nearest bfloat16, as if there were no 32 bits on the way."""
    bits = int(encode(decode(np.array([value], "<f8"), "F64"), "BF16")[0])
    assert bits == slowly_to_bf16(value)


def test_64_bits_that_two_roundings_get_wrong() -> None:
    """Just above the middle between two bfloat16s the upper one is nearest, not so in 32 bits."""
    value = 1 + 2**-8 + 2**-40
    assert int(encode(np.array([value], "<f4"), "BF16")[0]) == 0x3F80  # what rounding twice gives
    assert int(encode(decode(np.array([value], "<f8"), "F64"), "BF16")[0]) == 0x3F81


def test_every_bfloat16_survives() -> None:
    """Decoding and rounding again gives every one of the 65,536 patterns back, NaN as NaN."""
    bits = np.arange(1 << 16, dtype="<u2")
    again = encode(decode(bits, "BF16"), "BF16")
    nan = (bits & 0x7FFF) > 0x7F80
    assert (again[~nan] == bits[~nan]).all()
    assert np.isnan(decode(again[nan], "BF16")).all()


@given(st.floats(width=16, allow_nan=False))
def test_float16_survives(value: float) -> None:
    """Decoding and rounding again gives a float16 back."""
    raw = np.array([value], "<f2")
    assert encode(decode(raw, "F16"), "F16").tobytes() == raw.tobytes()


#: A few values of each 8-bit type, from their specifications.
EIGHT_BITS = {
    "F8_E4M3": {0x00: 0.0, 0x01: 2**-9, 0x08: 2**-6, 0x38: 1.0, 0x7E: 448.0, 0xB8: -1.0, 0x7F: math.nan},
    "F8_E5M2": {
        0x01: 2**-16,
        0x04: 2**-14,
        0x3C: 1.0,
        0x7B: 57344.0,
        0x7C: math.inf,
        0xFC: -math.inf,
        0x7E: math.nan,
    },
    "F8_E4M3FNUZ": {0x01: 2**-10, 0x40: 1.0, 0x7F: 240.0, 0x80: math.nan},
    "F8_E5M2FNUZ": {0x01: 2**-17, 0x40: 1.0, 0x7F: 57344.0, 0x80: math.nan},
    "F8_E8M0": {0x00: 2.0**-127, 0x7F: 1.0, 0xFE: 2.0**127, 0xFF: math.nan},
}


@pytest.mark.parametrize("dtype", EIGHT_BITS)
def test_eight_bits_are_decoded_by_table(dtype: str) -> None:
    """Each 8-bit type has the values of its specification."""
    codes = EIGHT_BITS[dtype]
    found = decode(np.array(list(codes), storage(dtype)), dtype)
    assert np.array_equal(found, np.array(list(codes.values()), "<f4"), equal_nan=True)


@pytest.mark.reference
@pytest.mark.parametrize("dtype", EIGHT_BITS)
def test_eight_bits_are_those_of_torch(dtype: str) -> None:
    """All 256 patterns of each 8-bit type are decoded as torch decodes them."""
    import torch

    name = {"F8_E4M3": "float8_e4m3fn", "F8_E8M0": "float8_e8m0fnu"}.get(dtype, f"float8_{dtype[3:].lower()}")
    raw = np.arange(256, dtype="u1")
    expected = torch.from_numpy(raw.copy()).view(getattr(torch, name)).to(torch.float32).numpy()
    assert np.array_equal(decode(raw, dtype), expected, equal_nan=True)


def test_what_is_decoded() -> None:
    """Every floating-point type of 8 bits and more can be decoded."""
    assert {*EIGHT_BITS, "BF16", "F16", "F32", "F64"} == DECODED


@given(st.integers(-100, 100))
def test_powers_of_two_are_told(exponent: int) -> None:
    """A power of two is one, with either sign; three times it is none."""
    assert is_power_of_two(2.0**exponent)
    assert is_power_of_two(-(2.0**exponent))
    assert not is_power_of_two(3 * 2.0**exponent)
