"""Published files, stripped to their headers, are told for what they are."""

from __future__ import annotations

import pytest

from tests.weights.real_headers import NAMES, read


@pytest.mark.parametrize("name", NAMES)
def test_a_published_file_is_told_for_what_it_is(name: str) -> None:
    """Family, layout, algorithm, ranks, what diffusers does, and what is wrong are as the source says."""
    found = read(name)
    summary, expected = found.report.summary, found.expected
    assert summary.family == expected["family"]
    assert (summary.layout, summary.algorithm) == (expected["layout"], expected["algorithm"])
    ranks = [summary.rank.min, summary.rank.max] if summary.rank else None
    assert ranks == expected["rank"]
    assert set(expected["codes"]) <= {each.code for each in found.report.findings}


@pytest.mark.parametrize("name", [name for name in NAMES if read(name).expected["diffusers"]])
def test_what_diffusers_does_with_a_published_file_is_foretold(name: str) -> None:
    """The outcome and the number of layers are those that the real loader showed."""
    found = read(name)
    [load] = [load for load in found.report.summary.loads if load.loader == "diffusers"]
    assert [load.outcome, load.modules, load.expected] == found.expected["diffusers"]


@pytest.mark.parametrize("name", NAMES)
def test_a_fixture_is_whole(name: str) -> None:
    """A fixture has a source, says what was recorded, and has as many tensors as the file it comes from."""
    found = read(name)
    assert found.document["source"]
    assert found.document["recorded"]
    assert len(found.shapes) == found.document["count"]
