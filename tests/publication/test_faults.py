"""What goes wrong while publishing has one meaning each."""

from __future__ import annotations

import errno

import pytest

from lorry.errors import DiskFull, KeyRejected, LorryError, NotWritable, PlatformFault, RequestRefused
from lorry.publication import from_disk, kind_of


@pytest.mark.parametrize("status", range(400, 600))
def test_every_status_has_a_meaning(status: int) -> None:
    """Above 499 the Hub failed and may have acted; below it refused, or asks for less or for another key."""
    kind = kind_of(status)
    assert issubclass(kind, LorryError)
    assert (kind is PlatformFault) == (status >= 500)
    assert (kind is KeyRejected) == (status == 401)


def test_an_answer_without_a_status_is_a_refusal() -> None:
    """Nothing is known of it, so nothing is promised about a retry."""
    assert kind_of(0) is RequestRefused


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EACCES, NotWritable), (errno.EROFS, NotWritable)]
)
def test_a_refusal_of_the_disk_names_the_cause(number: int, kind: type[LorryError]) -> None:
    """Full and forbidden are told apart, each with the repository in the evidence."""
    found = from_disk(OSError(number, "no", "w.safetensors"), {"repo": "local/tok"})
    assert type(found) is kind
    assert found.evidence["repo"] == "local/tok"
