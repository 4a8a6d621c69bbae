"""Names of models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.errors import NameInvalid
from lorry.model.names import parse_name, provider_name


@pytest.mark.parametrize("name", ["tok", "a1", "my-style-2", "x" * 40])
def test_good_names_pass_unchanged(name: str) -> None:
    """A name of 2 to 40 lower-case letters, digits and inner hyphens is taken as it is."""
    assert parse_name(name) == name


@pytest.mark.parametrize("name", ["", "a", "Tok", "-tok", "tok-", "to--k", "to k", "tök", "x" * 41, "../tok"])
def test_bad_names_are_refused_with_the_rule(name: str) -> None:
    """Any other text is refused, and the error says the rule and shows the text."""
    with pytest.raises(NameInvalid) as caught:
        parse_name(name)
    assert caught.value.evidence == {"name": name}
    assert "lower-case" in caught.value.fix


@given(st.text(max_size=60))
def test_what_passes_is_safe_in_addresses_and_paths(text: str) -> None:
    """Whatever passes has only characters that need no escaping in a URL, a file name or a DNS label."""
    try:
        name = parse_name(text)
    except NameInvalid:
        return
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@given(st.from_regex(r"[a-z0-9]{2,40}", fullmatch=True), st.from_regex(r"[0-9a-f]{64}", fullmatch=True))
def test_provider_names_are_deterministic_and_fit_a_dns_label(name: str, digest: str) -> None:
    """The same model and weights always get the same name at a platform, within 63 characters."""
    assert provider_name(name, digest) == provider_name(name, digest)
    assert len(provider_name(name, digest)) <= 63
