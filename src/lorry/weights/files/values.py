"""Look at every number of a file once: NaN, infinity, zeros, giants; and hash the file beside that.

The file is read in large pieces over the borders of its tensors, as long as they have one data type. Two
maxima tell of a piece whether anything in it deserves a closer look; only then are its tensors looked at one
by one. Whether a tensor is zero is asked of its first number, and only then of all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from threading import Lock, Thread
from typing import TYPE_CHECKING, NamedTuple

from lorry.model.report import Finding
from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Adapter
from lorry.weights.catalogue import counted, fault, finding, some
from lorry.weights.files.digest import Hashing
from lorry.weights.files.header import Header, Tensor
from lorry.weights.files.number_formats import FORMATS, HUGE, Format, number
from lorry.weights.files.source import ByteSource, FileSource

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_PIECE = 1 << 19  # bytes; small enough to stay in the second-level cache for the second maximum
_WORTH_A_THREAD = 32 << 20  # bytes; below, starting a second thread takes longer than it saves
_TAIL = 4096  # bytes of zeros at the end that no training writes


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remarkable about one tensor's numbers.

    Attributes:
        largest: Bits of the largest magnitude, where it is above 1,000.
        nans: Numbers that are NaN.
        infinities: Numbers that are infinite.
        zeros: Bytes that were looked at and hold nothing but zeros.
    """

    tensor: Tensor
    largest: int = 0
    nans: int = 0
    infinities: int = 0
    zeros: int = 0

    def __add__(self, other: Seen) -> Seen:
        """Put together what two pieces of the same tensor showed."""
        return Seen(
            self.tensor,
            max(self.largest, other.largest),
            self.nans + other.nans,
            self.infinities + other.infinities,
            self.zeros + other.zeros,
        )

    @property
    def is_zero(self) -> bool:
        """Whether all its numbers are zero."""
        return self.zeros == self.tensor.end - self.tensor.begin

    @property
    def broken(self) -> bool:
        """Whether any of its numbers is not finite."""
        return bool(self.nans or self.infinities)

    @property
    def magnitude(self) -> float:
        """The largest magnitude, as a number; 0 where it is not above 1,000."""
        return number(self.tensor.dtype, self.largest) if self.largest else 0.0


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pass over the file saw.

    Attributes:
        digest: SHA-256 of the whole file, hex.
        seen: Tensors with anything remarkable in them, in the order of their bytes.
        tail: The tensors at the end of the file that end in zeros, the last one first, each with how many
            of its last bytes are zero.
    """

    digest: str
    seen: tuple[Seen, ...]
    tail: tuple[tuple[Tensor, int], ...]


def scan(source: ByteSource, header: Header, hashing: Hashing | None = None) -> Scan:
    """Read the file once and look at every number.

    Args:
        source: The file.
        header: Its header, judged sound.
        hashing: The hashing of the same file, where it was begun before; else it is hashed here.

    Raises:
        StructureFault: The file became shorter or longer while it was read.
    """
    if hashing is None:
        with Hashing(source) as begun:
            return scan(source, header, begun)
    seen = look(source, header, helped=False)  # the second core has the hash to do
    tail = _tail(source, header)
    digest = hashing.result()
    if isinstance(source, FileSource) and not source.unchanged():
        raise fault("FILE_CHANGED", f"{source.name} was written to while it was read.")
    return Scan(digest, seen, tail)


def look(source: ByteSource, header: Header, *, helped: bool = True) -> tuple[Seen, ...]:
    """Look at every number of a file, without hashing it.

    Args:
        source: The file.
        header: Its header, judged sound.
        helped: Whether a second thread may help with a large file.

    Returns:
        The tensors with anything remarkable in them, in the order of their bytes.

    Raises:
        StructureFault: The file became shorter while it was read.
    """
    look = _Look(source, header)
    if helped and isinstance(source, FileSource) and source.size > _WORTH_A_THREAD:
        helper = Thread(target=look.work, name="lorry-values", daemon=True)
        helper.start()
        look.work()
        helper.join()
    else:
        look.work()
    if look.errors:
        raise look.errors[0]
    return _put_together(look.parts)


class _Look:
    """The pieces that are left to look at, and what was seen; threads help each other to finish them.

    Reading and the maxima let other threads run, so that two are nearly twice as fast.
    """

    def __init__(self, source: ByteSource, header: Header) -> None:
        self.parts: list[Seen] = []
        self.errors: list[BaseException] = []
        self._source, self._start = source, header.data_start
        self._pieces, self._lock = _pieces(header), Lock()

    def work(self) -> None:
        """Look at pieces until none is left."""
        import numpy as np

        buffer = np.empty(_PIECE, np.uint8)
        try:
            while not self.errors and (piece := self._next()) is not None:
                self.parts.extend(_remarkable(_read(self._source, self._start, piece, buffer), piece))
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that was called
            self.errors.append(error)

    def _next(self) -> _Piece | None:
        with self._lock:
            return next(self._pieces, None)


class _Piece(NamedTuple):
    """A run of bytes of one data type, and the tensors that it is a part of."""

    begin: int
    end: int
    kind: Format
    tensors: list[Tensor]


def _pieces(header: Header) -> Iterator[_Piece]:
    for dtype, group in groupby(header.tensors, attrgetter("dtype")):
        run = [tensor for tensor in group if tensor.end > tensor.begin]
        kind = FORMATS.get(dtype)
        if kind is None or not run:
            continue
        begins = [tensor.begin for tensor in run]
        for begin in range(run[0].begin, run[-1].end, _PIECE):
            end = min(begin + _PIECE, run[-1].end)
            first, last = bisect_right(begins, begin) - 1, bisect_right(begins, end - 1)
            yield _Piece(begin, end, kind, run[first:last])


def _read(
    source: ByteSource, start: int, piece: _Piece, buffer: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    data = buffer[: piece.end - piece.begin]
    if source.read_into(start + piece.begin, data.data) < len(data):
        name = piece.tensors[0].name
        message = f"{source.name} ended inside {some([name])} while it was read."
        raise fault("FILE_CHANGED", message, subject=name)
    return data


def _put_together(parts: list[Seen]) -> tuple[Seen, ...]:
    """Add up what the pieces of each tensor showed, and drop what is unremarkable on the whole."""
    seen: dict[str, Seen] = {}
    for part in sorted(parts, key=lambda part: part.tensor.begin):
        name = part.tensor.name
        seen[name] = seen[name] + part if name in seen else part
    return tuple(facts for facts in seen.values() if facts.largest or facts.broken or facts.is_zero)


def _remarkable(data: npt.NDArray[np.uint8], piece: _Piece) -> Iterator[Seen]:
    """Look at a piece of the file: all of it at once, and its tensors only where that is not enough."""
    kind = piece.kind
    close = kind.deserves_a_look(data)
    numbers, plus = kind.view(data), (1 << (8 * kind.size - 1)) - 1 if kind.signed else 0xFF
    for tensor in piece.tensors:
        start = max(tensor.begin - piece.begin, 0)
        if numbers.item(start // kind.size) & plus and not close:
            continue
        part = data[start : min(tensor.end, piece.end) - piece.begin]
        largest = kind.magnitude(part)
        if largest == 0:
            yield Seen(tensor, zeros=len(part))
        elif close and kind.deserves_a_look(part):
            nans, infinities = kind.broken(part)
            yield Seen(tensor, largest if kind.nan is None else 0, nans, infinities)


def look_findings(source: ByteSource, header: Header, adapter: Adapter) -> Iterator[Finding]:
    """Look at every number of a file without hashing it, and judge what was seen.

    Args:
        source: The file.
        header: Its header, judged sound.
        adapter: Its modules.

    Raises:
        StructureFault: The file became shorter while it was read.
    """
    yield from value_findings(Scan("", look(source, header), _tail(source, header)), adapter)


def value_findings(result: Scan, adapter: Adapter) -> Iterator[Finding]:
    """Judge what a scan saw.

    Args:
        result: The scan.
        adapter: The file's modules.
    """
    matrices = _without_alphas(result, adapter)
    for code, word, count in (
        ("VAL_NAN", "NaN", _nans),
        ("VAL_INF", "infinite", _infinities),
    ):
        broken = [facts for facts in matrices if count(facts)]
        if broken:
            message = _broken(broken, count, word)
            yield finding(code, message, subject=broken[0].tensor.name, tensors=len(broken))
    huge = [facts for facts in matrices if not facts.broken and facts.largest]
    if huge:
        worst = max(huge, key=lambda facts: facts.magnitude)
        reached = f"{worst.tensor.name} reaches {worst.magnitude:.3g}"
        message = f"{counted(len(huge), 'tensor')} with values above {HUGE:g}; {reached}."
        yield finding("VAL_HUGE", message, subject=worst.tensor.name, largest=worst.magnitude)
    tail = _strange_tail(result, adapter)
    if tail:
        message = f"The last {tail:,} bytes of the weights are zeros."
        yield finding("VAL_ZERO_TAIL", message, subject=result.tail[0][0].name, bytes=tail)
    yield from _idle(result, adapter)


def _idle(result: Scan, adapter: Adapter) -> Iterator[Finding]:
    """Report modules whose output matrix is zero."""
    zero = {facts.tensor.name for facts in result.seen if facts.is_zero}
    pairs = [module for module in adapter.denoiser if module.paired]
    idle = [
        m.name for m in pairs if any(t.name in zero for role in (Role.UP, Role.DOWN) for t in m.tensors[role])
    ]
    if idle and len(idle) == len(pairs):
        message = f"All {len(idle)} modules multiply by zero: the LoRA changes nothing."
        yield finding("VAL_ZERO_B_ALL", message, subject=idle[0], modules=len(idle))
    elif idle:
        message = f"{len(idle)} of {len(pairs)} modules multiply by zero: {some(idle)}."
        yield finding("VAL_ZERO_B_SOME", message, subject=idle[0], modules=len(idle))


def _tail(source: ByteSource, header: Header) -> tuple[tuple[Tensor, int], ...]:
    """Find how far the file is zero from its end, and which tensors that concerns."""
    end = header.tensors[-1].end if header.tensors else 0
    zeros, step = 0, _TAIL
    while zeros < end:
        count = min(step, end - zeros)
        piece = source.read(header.data_start + end - zeros - count, count)
        rest = len(piece.rstrip(b"\0"))
        zeros += len(piece) - rest
        if rest or not piece:
            break
        step = _PIECE
    concerned = []
    for tensor in reversed(header.tensors):
        share = min(tensor.end, end) - max(tensor.begin, end - zeros)
        if share <= 0 < tensor.end - tensor.begin:
            break
        concerned.append((tensor, max(share, 0)))
    return tuple(concerned)


def _strange_tail(result: Scan, adapter: Adapter) -> int:
    """Measure the zeros at the end that no training leaves.

    They begin inside a tensor, or cover an input matrix: those begin as random numbers, while output
    matrices that are zero as a whole are only an untrained LoRA.
    """
    total = sum(zeros for _, zeros in result.tail)
    if total < _TAIL:
        return 0
    inputs = {tensor.name for module in adapter.modules for tensor in module.tensors.get(Role.DOWN, ())}
    for tensor, zeros in result.tail:
        whole = tensor.end - tensor.begin
        if zeros >= _TAIL and zeros < whole:
            return total
        if zeros and tensor.name in inputs and zeros >= min(whole, _TAIL):
            return total
    return 0


def _without_alphas(result: Scan, adapter: Adapter) -> list[Seen]:
    """Leave out the alphas: a bad one has findings of its own."""
    if not result.seen:
        return []
    alphas = {tensor.name for module in adapter.modules for tensor in module.tensors.get(Role.ALPHA, ())}
    return [facts for facts in result.seen if facts.tensor.name not in alphas]


def _nans(facts: Seen) -> int:
    return facts.nans


def _infinities(facts: Seen) -> int:
    return facts.infinities


def _broken(seen: list[Seen], count: Callable[[Seen], int], word: str) -> str:
    first = seen[0].tensor
    more = f"; so are values in {counted(len(seen) - 1, 'more tensor')}" if len(seen) > 1 else ""
    return f"{first.name}: {count(seen[0]):,} of {first.count:,} values are {word}{more}."
