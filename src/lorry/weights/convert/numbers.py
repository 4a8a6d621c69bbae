"""Floating-point numbers as safetensors stores them: decoded to 32 bits and rounded back, by their bits.

numpy has no bfloat16 and no 8-bit floats. bfloat16 is the upper half of a 32-bit float; an 8-bit float has
256 values, so a table decodes it. The layouts of the 8-bit types: Open Compute Project, "8-bit Floating
Point Specification" (E4M3, E5M2) and "Microscaling Formats" (E8M0); the FNUZ types as in Graphcore's and
AMD's hardware (bias one higher, the pattern of minus zero means NaN).
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Raw = npt.NDArray[Any]
    Floats = npt.NDArray[np.float32]

#: Data types that the converter writes, by the name of `--dtype`.
WRITTEN = {"bf16": "BF16", "f16": "F16", "f32": "F32"}

#: Sign of the layout: exponent bits, mantissa bits, bias, and whether it is a FNUZ type.
_EIGHT_BITS = {
    "F8_E4M3": (4, 3, 7, False),
    "F8_E5M2": (5, 2, 15, False),
    "F8_E4M3FNUZ": (4, 3, 8, True),
    "F8_E5M2FNUZ": (5, 2, 16, True),
}
_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}

#: Data types that can be decoded.
DECODED = frozenset({*_NUMPY, *_EIGHT_BITS, "F8_E8M0"})

#: The largest share by which rounding to a type moves one number: half of its last bit.
ROUNDING = {"BF16": 2.0**-8, "F16": 2.0**-11, "F32": 2.0**-24}

_CHUNK = 1 << 17  # numbers that are rounded at a time: small enough for the second-level cache


def storage(dtype: str) -> str:
    """Give the numpy type that holds the bits of a data type.

    Args:
        dtype: A data type of safetensors; one of `DECODED`.
    """
    return _NUMPY.get(dtype, "|u1")


def decode(raw: Raw, dtype: str) -> Floats:
    """Give stored numbers as 32-bit floats.

    Args:
        raw: The stored bits, as `storage` says.
        dtype: The data type that they have.

    Returns:
        The values, of the same shape; exact for every type but F64, which is rounded to odd, so that rounding
        once more to a narrower type gives what rounding once would have given.
    """
    import numpy as np

    if dtype == "F32":
        return raw
    if dtype == "BF16":
        wide = raw.astype("<u4")
        wide <<= 16
        return wide.view("<f4")
    if dtype == "F16":
        return raw.astype("<f4")
    if dtype == "F64":
        return _to_odd(raw)
    return np.asarray(_table(dtype), "<f4")[raw]


def encode(values: Floats, dtype: str) -> Raw:
    """Round 32-bit floats to a data type, to nearest and ties to even.

    Args:
        values: The values.
        dtype: BF16, F16 or F32.

    Returns:
        The stored bits, as `storage` says; what is too large becomes infinite.
    """
    import numpy as np

    if dtype == "F32":
        return values
    if dtype == "F16":
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return values.astype("<f2")
    flat = np.ascontiguousarray(values, "<f4").reshape(-1).view("<u4")
    rounded = np.empty(flat.shape, "<u2")
    for start in range(0, len(flat), _CHUNK):
        bits = flat[start : start + _CHUNK]
        half = bits >> 16
        half &= 1
        half += 0x7FFF
        half += bits
        half >>= 16
        if bits.view("<i4").max() > 0x7F80_0000 or bits.max() > 0xFF80_0000:
            nan = (bits & 0x7FFF_FFFF) > 0x7F80_0000
            half[nan] = (bits[nan] >> 16) | 0x40  # adding could carry a NaN into infinity or zero
        rounded[start : start + _CHUNK] = half
    return rounded.reshape(values.shape)


def is_power_of_two(scale: float) -> bool:
    """Tell whether multiplying by a number only moves exponents.

    Args:
        scale: The number.
    """
    return math.isfinite(scale) and abs(math.frexp(scale)[0]) == 0.5


def _to_odd(raw: Raw) -> Floats:
    """Round towards zero and set the last bit of what was not exact (Boldo and Melquiond, 2008)."""
    import numpy as np

    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        near = raw.astype("<f4")
        back = near.astype("<f8")
    inexact = (back != raw) & np.isfinite(near)
    beyond = inexact & (np.abs(back) > np.abs(raw))
    bits = near.view("<u4")
    bits[beyond] -= 1  # one step towards zero, whatever the sign
    bits[inexact] |= 1
    return near


@cache
def _table(dtype: str) -> tuple[float, ...]:
    if dtype == "F8_E8M0":
        return (*(2.0 ** (code - 127) for code in range(255)), math.nan)
    return tuple(_eight_bits(code, *_EIGHT_BITS[dtype]) for code in range(256))


def _eight_bits(code: int, exponents: int, mantissas: int, bias: int, fnuz: bool) -> float:
    sign = -1.0 if code & 0x80 else 1.0
    exponent, mantissa = (code & 0x7F) >> mantissas, code & ((1 << mantissas) - 1)
    if fnuz and code == 0x80:
        return math.nan
    if not fnuz and exponents == 4 and code & 0x7F == 0x7F:
        return math.nan
    if not fnuz and exponents == 5 and exponent == 31:
        return math.nan if mantissa else sign * math.inf
    if exponent == 0:
        return sign * mantissa * 2.0 ** (1 - bias - mantissas)
    return sign * (1 + mantissa / (1 << mantissas)) * 2.0 ** (exponent - bias)
