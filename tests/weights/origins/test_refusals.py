"""Every refusal of a server has a code of its own and a next step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.weights.origins.refusals import refused, wait_seconds


@pytest.mark.parametrize(
    ("status", "code", "hub", "expected"),
    [
        (401, "GatedRepo", True, "REMOTE_GATED"),
        (403, "GatedRepo", True, "REMOTE_GATED"),
        (401, "RepoNotFound", True, "REMOTE_PRIVATE"),
        (404, "RepoNotFound", True, "REMOTE_NOT_FOUND"),
        (404, "RevisionNotFound", True, "REMOTE_REV"),
        (404, "EntryNotFound", True, "REMOTE_NOT_FOUND"),
        (404, "", True, "REMOTE_NOT_FOUND"),
        (401, "", True, "REMOTE_PRIVATE"),
        (403, "", True, "REMOTE_PRIVATE"),
        (429, "", True, "REMOTE_RATE_LIMITED"),
        (429, "RepoNotFound", True, "REMOTE_RATE_LIMITED"),
        (500, "", True, "REMOTE_REFUSED"),
        (503, "GatedRepo", False, "REMOTE_REFUSED"),
        (404, "GatedRepo", False, "REMOTE_NOT_FOUND"),
        (410, "", False, "REMOTE_NOT_FOUND"),
        (403, "", False, "REMOTE_PRIVATE"),
        (418, "", False, "REMOTE_REFUSED"),
        (304, "", False, "REMOTE_REFUSED"),
    ],
)
def test_each_refusal_has_its_code(status: int, code: str, hub: bool, expected: str) -> None:
    """The Hub's code decides before the status, and only the Hub's own word counts as one."""
    found = refused(status, {"x-error-code": code}, "ann/tok", hub=hub, token=False)
    assert found.code == expected
    assert str(status) in found.message
    assert found.subject in (None, "ann/tok")
    assert found.fix


def test_private_and_missing_are_both_said() -> None:
    """Without a token the Hub does not tell a private repository from a missing one; neither do we."""
    found = refused(401, {"x-error-code": "RepoNotFound"}, "ann/tok", hub=True, token=False)
    assert "private or does not exist" in found.message
    assert "spelling" in found.fix
    assert "HF_TOKEN" in found.fix


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "17"}, 17),
        ({"ratelimit": '"api";r=0;t=55'}, 55),
        ({"retry-after": "3", "ratelimit": '"api";r=0;t=55'}, 3),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "٣"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: int | None) -> None:
    """The wait that the server asks for is in the sentence and in the evidence."""
    assert wait_seconds(headers) == seconds
    found = refused(429, headers, "ann/tok", hub=True, token=True)
    assert found.evidence["seconds"] == seconds
    assert (f"{seconds} seconds" in found.message) is (seconds is not None)


@given(
    st.integers(300, 999),
    st.sampled_from(["", "GatedRepo", "RepoNotFound", "EntryNotFound", "RevisionNotFound", "Odd"]),
    st.text(max_size=300),
    st.booleans(),
    st.booleans(),
)
def test_the_translation_is_total(status: int, code: str, said: str, hub: bool, token: bool) -> None:
    """Whatever a server answers is a finding about the address, short and printable."""
    found = refused(status, {"x-error-code": code, "x-error-message": said}, "a", hub=hub, token=token)
    assert found.code.startswith("REMOTE_")
    assert found.message.isprintable()
    assert len(found.message) < 400
