"""The trigger word gets into a prompt once, and the user's words stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.generation import with_trigger


@pytest.mark.parametrize(
    ("prompt", "trigger", "expected", "added"),
    [
        ("a red apple", "TOK", "TOK, a red apple", True),
        ("TOK on green", "TOK", "TOK on green", False),
        ("tok on green", "TOK", "tok on green", False),
        ("a stick of (tok)", "TOK", "a stick of (tok)", False),
        ("tokens on green", "TOK", "TOK, tokens on green", True),
        ("stok", "TOK", "TOK, stok", True),
        ("in paper  cut style", "paper cut", "in paper  cut style", False),
        ("paper, cut", "paper cut", "paper cut, paper, cut", True),
        ("a <tok> here", "<tok>", "a <tok> here", False),
        ("x<tok>", "<tok>", "<tok>, x<tok>", True),
        ("an apple", None, "an apple", False),
        ("an apple", "  ", "an apple", False),
        ("  an apple ", "TOK", "TOK, an apple", True),
        ("", "TOK", "TOK", True),
        ("an ÄPFEL", "äpfel", "an ÄPFEL", False),
        ("a+b", "a.b", "a.b, a+b", True),
    ],
)
def test_the_trigger_is_added_when_it_is_missing(
    prompt: str, trigger: str | None, expected: str, added: bool
) -> None:
    """A whole word or phrase in any case counts as there; anything else gets it in front."""
    assert with_trigger(prompt, trigger) == (expected, added)


@given(prompt=st.text(), trigger=st.none() | st.text())
def test_adding_is_idempotent(prompt: str, trigger: str | None) -> None:
    """What has been given its trigger is never given it again."""
    once, _ = with_trigger(prompt, trigger)
    assert with_trigger(once, trigger) == (once, False)


@given(prompt=st.text(), trigger=st.none() | st.text())
def test_the_users_words_are_kept(prompt: str, trigger: str | None) -> None:
    """The result ends with what the user wrote; `added` says truly whether anything else is there."""
    text, added = with_trigger(prompt, trigger)
    assert text.endswith(prompt.strip())
    assert added == (text != prompt.strip())
