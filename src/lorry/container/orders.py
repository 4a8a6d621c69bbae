"""What a job may ask for. It is read once, and everything that is wrong with it is said at once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorry.errors import OptionInvalid

#: Pictures of one job, as of one request to the images API (Together API dossier 3.1).
MOST_PICTURES = 4
#: LoRAs of one job: what a picture bears well is two or three; more than this is a mistake.
MOST_LORAS = 8
_MOST_STEPS = 150
_LONGEST_PROMPT = 10_000
_SMALLEST_EDGE = 64
_LARGEST_EDGE = 4096
_LARGEST_SCALE = 10.0
_LARGEST_SEED = 2**63 - 1 - MOST_PICTURES

_FIELDS = (
    "prompt", "negative_prompt", "seed", "steps", "guidance", "size", "width", "height", "n", "loras",
    "output_format", "response_format",
)  # fmt: skip
_LORA_FIELDS = ("path", "scale", "digest")


@dataclass(frozen=True, slots=True)
class LoraOrder:
    """A LoRA that a job wants.

    Attributes:
        path: An https address, a file in a mounted volume, or a name in the adapters' folder.
        scale: Its strength.
        digest: SHA-256 of its file, hex; what was loaded under it before is not fetched again.
    """

    path: str
    scale: float = 1.0
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class JobOrder:
    """A whole job: picture `i` has the seed `seed + i`; `None` leaves a choice to the base."""

    prompt: str
    seed: int
    count: int = 1
    negative_prompt: str = ""
    steps: int | None = None
    guidance: float | None = None
    width: int | None = None
    height: int | None = None
    loras: tuple[LoraOrder, ...] = ()
    form: str = "png"
    by_address: bool = False


def read_order(args: object, *, largest: int = _LARGEST_EDGE, multiple: int = 8) -> JobOrder:
    """Read what came with a job.

    Args:
        args: The payload.
        largest: Longest edge that the base draws, pixels.
        multiple: Edges are multiples of this.

    Returns:
        The order; a seed is drawn where none was given.

    Raises:
        OptionInvalid: With every problem at once.
    """
    if not isinstance(args, Mapping):
        raise _refused(["the payload is no JSON object"])
    reader = _Reader(args)
    reader.refuse_unknown(_FIELDS)
    width, height = _edges(reader, largest, multiple)
    order = JobOrder(
        prompt=reader.text("prompt", _LONGEST_PROMPT, needed=True),
        negative_prompt=reader.text("negative_prompt", _LONGEST_PROMPT),
        seed=reader.whole("seed", 0, _LARGEST_SEED) if reader.has("seed") else secrets.randbelow(2**31),
        count=reader.whole("n", 1, MOST_PICTURES, otherwise=1),
        steps=reader.whole("steps", 1, _MOST_STEPS) if reader.has("steps") else None,
        guidance=reader.number("guidance", 0, 50) if reader.has("guidance") else None,
        width=width,
        height=height,
        loras=_loras(reader),
        form=reader.one_of("output_format", ("png", "jpeg")),
        by_address=reader.one_of("response_format", ("base64", "url")) == "url",
    )
    if reader.problems:
        raise _refused(reader.problems)
    return order


def _edges(reader: _Reader, largest: int, multiple: int) -> tuple[int | None, int | None]:
    def edge(name: str) -> int | None:
        if not reader.has(name):
            return None
        value = reader.whole(name, _SMALLEST_EDGE, largest)
        if value % multiple:
            reader.problems.append(f"{name} is {value}, and has to be a multiple of {multiple}")
        return value

    size, width, height = edge("size"), edge("width"), edge("height")
    if size is not None and (width is not None or height is not None):
        reader.problems.append("size is the edge of a square; leave it out beside width and height")
    if (width is None) != (height is None):
        reader.problems.append("width and height come together; a square has a size")
    return (width, height) if size is None else (size, size)


def _loras(reader: _Reader) -> tuple[LoraOrder, ...]:
    given = reader.args.get("loras") or ()
    if not isinstance(given, Sequence) or isinstance(given, str):
        reader.problems.append("loras is no list")
        return ()
    if len(given) > MOST_LORAS:
        reader.problems.append(f"loras has {len(given)} entries; {MOST_LORAS} is the most")
    return tuple(_lora(reader, number, row) for number, row in enumerate(given[:MOST_LORAS]))


def _lora(reader: _Reader, number: int, row: object) -> LoraOrder:
    where = f"loras[{number}]"
    if not isinstance(row, Mapping):
        reader.problems.append(f"{where} is no object with path and scale")
        return LoraOrder("")
    inner = _Reader(row, where + ".", reader.problems)
    inner.refuse_unknown(_LORA_FIELDS)
    digest = row.get("digest")
    if digest is not None and not _is_digest(digest):
        reader.problems.append(f"{where}.digest is no SHA-256 in lower-case hex")
    return LoraOrder(
        path=inner.text("path", 4096, needed=True),
        scale=inner.number("scale", -_LARGEST_SCALE, _LARGEST_SCALE) if inner.has("scale") else 1.0,
        digest=digest if isinstance(digest, str) else None,
    )


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


class _Reader:
    """Reads fields of one object; what can't be read is a problem, and a harmless value stands for it."""

    def __init__(self, args: Mapping[Any, Any], where: str = "", problems: list[str] | None = None) -> None:
        self.args = args
        self.problems: list[str] = [] if problems is None else problems
        self._where = where

    def has(self, name: str) -> bool:
        return self.args.get(name) is not None

    def refuse_unknown(self, known: Sequence[str]) -> None:
        for name in self.args:
            if name not in known:  # a misspelt `lora` would give the base's picture and no error
                self.problems.append(f"{self._where}{name} is no field; it can be {', '.join(known)}")

    def text(self, name: str, longest: int, *, needed: bool = False) -> str:
        value = self.args.get(name)
        if value is None and not needed:
            return ""
        fine = isinstance(value, str) and len(value) <= longest and (bool(value.strip()) or not needed)
        if not fine:
            self.problems.append(f"{self._where}{name} has to be a text of 1 to {longest:,} letters")
        return value if isinstance(value, str) else ""

    def whole(self, name: str, low: int, high: int, *, otherwise: int = 0) -> int:
        value = self.args[name] if self.has(name) else otherwise
        return int(self._bounded(name, value, low, high, int, "whole number"))

    def number(self, name: str, low: float, high: float) -> float:
        return float(self._bounded(name, self.args[name], low, high, float, "number"))

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.args.get(name)
        if value is not None and value not in choices:
            self.problems.append(f"{self._where}{name} is {value!r}; it can be {' or '.join(choices)}")
        return value if isinstance(value, str) else choices[0]

    def _bounded(
        self, name: str, value: object, low: float, high: float, kind: Callable[[Any], float], noun: str
    ) -> float:
        wanted = int if kind is int else (int, float)
        fine = isinstance(value, wanted) and not isinstance(value, bool)
        if not fine or not low <= value <= high:  # type: ignore[operator]  # a number, by the line above
            self.problems.append(f"{self._where}{name} is {value!r}; it is a {noun} from {low:g} to {high:g}")
            return low
        return kind(value)


def _refused(problems: Sequence[str]) -> OptionInvalid:
    said = "; ".join(problems)
    return OptionInvalid(
        f"The job can't be drawn as it was asked for: {said}.",
        fix="Correct the payload and submit the job again.",
        evidence={"problems": list(problems)},
    )
