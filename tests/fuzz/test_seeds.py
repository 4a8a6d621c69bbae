"""What the fuzzer starts from passes, so that what it reports is new."""

from __future__ import annotations

from tests.fuzz.target import LONGEST, check, content, seeds
from tests.weights.files import build, noise


def test_every_seed_passes() -> None:
    """No seed breaks the check, and none is longer than what the fuzzer grows."""
    inputs = list(seeds())
    assert len(inputs) > 100
    for data in inputs:
        assert len(data) <= LONGEST
        check(data)


def test_an_input_in_parts_is_the_file_that_it_came_from() -> None:
    """A header and its data, put together again, are the file."""
    made = build({"a": noise(3)})
    length = int.from_bytes(made[:8], "little")
    assert content(b"p" + made[8 : 8 + length] + b"\0\0" + made[8 + length :]) == made
    assert content(b"w" + made) == made
