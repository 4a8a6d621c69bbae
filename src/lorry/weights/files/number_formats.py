"""The floating-point formats of safetensors as bits: what is infinite, what is no number, what is large.

The bits are compared, nothing is converted: with the same bytes seen as unsigned and as signed integers, two
maxima give the largest magnitude of a run of numbers, and everything that is not finite is larger than any
number that is (LoRA formats dossier, section 5). That is several times faster than `isfinite`, and reads
bf16 and the 8-bit formats, which numpy lacks.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HUGE = 1000.0  # LoRA formats dossier, section 6, VAL_HUGE


class Format(NamedTuple):
    """How the bits of one data type are to be read.

    Attributes:
        size: Bytes of a number.
        largest: Bits of the largest finite magnitude that is not huge; the bits above deserve a look.
        finite: Bits of the largest finite magnitude.
        infinity: Bits of infinity; `None` where the format has none.
        signed: Whether the highest bit is a sign, so that magnitudes are compared without it.
        nan: The one pattern that is no number, in formats where it is not above all numbers.
    """

    size: int
    largest: int
    finite: int
    infinity: int | None
    signed: bool = True
    nan: int | None = None

    def view(self, chunk: npt.NDArray[np.uint8]) -> npt.NDArray[np.unsignedinteger]:
        """See bytes as unsigned integers of the format's size."""
        return chunk.view(f"<u{self.size}")

    def magnitude(self, chunk: npt.NDArray[np.uint8]) -> int:
        """Give the bits of the largest magnitude in a run of numbers, the sign left out."""
        unsigned = int(chunk.view(f"<u{self.size}").max())
        sign = 1 << (8 * self.size - 1)
        if unsigned < sign or not self.signed:
            return unsigned
        return max(int(chunk.view(f"<i{self.size}").max()), unsigned - sign, 0)

    def deserves_a_look(self, chunk: npt.NDArray[np.uint8]) -> bool:
        """Tell whether a run holds anything that is huge or not finite."""
        if self.nan is not None:
            return bool((chunk == self.nan).any())
        return self.magnitude(chunk) > self.largest

    def broken(self, chunk: npt.NDArray[np.uint8]) -> tuple[int, int]:
        """Count what is no number and what is infinite."""
        if self.nan is not None:
            return int((chunk == self.nan).sum()), 0
        bits = self.view(chunk) & ((1 << (8 * self.size - 1)) - 1)
        odd = int((bits > self.finite).sum())
        infinite = 0 if self.infinity is None else int((bits == self.infinity).sum())
        return odd - infinite, infinite


#: The formats in which something can be wrong; the 4-bit and 6-bit floats have neither NaN nor infinity.
#: Of the 8-bit ones, E4M3 has no infinity (its largest number is 448), FNUZ has one NaN in the place of minus
#: zero, and E8M0 is a power of two without a sign (OCP 8-bit Floating Point Specification, and ml_dtypes).
FORMATS = {
    "F16": Format(2, 0x63D0, 0x7BFF, 0x7C00),
    "BF16": Format(2, 0x447A, 0x7F7F, 0x7F80),
    "F32": Format(4, 0x447A_0000, 0x7F7F_FFFF, 0x7F80_0000),
    "F64": Format(8, 0x408F_4000_0000_0000, 0x7FEF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000),
    "F8_E5M2": Format(1, 0x63, 0x7B, 0x7C),
    "F8_E4M3": Format(1, 0x7E, 0x7E, None),
    "F8_E4M3FNUZ": Format(1, 0x7F, 0x7F, None, signed=False, nan=0x80),
    "F8_E5M2FNUZ": Format(1, 0x7F, 0x7F, None, signed=False, nan=0x80),
    "F8_E8M0": Format(1, 0xFE, 0xFE, None, signed=False, nan=0xFF),
}


def number(dtype: str, bits: int) -> float:
    """Decode a magnitude.

    Args:
        dtype: F16, BF16, F32, F64 or F8_E5M2; the other formats hold no huge numbers.
        bits: Its bits.
    """
    if dtype == "BF16":  # the upper half of a 32-bit float
        return float(struct.unpack("<f", (bits << 16).to_bytes(4, "little"))[0])
    if dtype == "F8_E5M2":  # the upper half of a 16-bit float
        return float(struct.unpack("<e", (bits << 8).to_bytes(2, "little"))[0])
    form = {"F16": "<e", "F32": "<f", "F64": "<d"}[dtype]
    return float(struct.unpack(form, bits.to_bytes(FORMATS[dtype].size, "little"))[0])
