"""Names for the models of a batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.errors import NameInvalid
from lorry.model.batch import Order, name_from, same_names
from lorry.model.names import parse_name


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("loras/My LoRA (v2).safetensors", "my-lora-v2"),
        ("/data/tok/", "tok"),
        ("owner/Some_Style", "some-style"),
        ("owner/style@v1.2", "style"),
        ("owner/style@main:sub/file.safetensors", "file"),
        ("https://example.org/a/portrait.tar.gz?sig=x", "portrait"),
        ("x" * 60 + ".zip", "x" * 40),
    ],
)
def test_a_name_is_made_of_what_the_files_are_called(source: str, name: str) -> None:
    """The last part without its ending, in the letters that a name may have."""
    assert name_from(source) == name


@given(st.text(max_size=80))
def test_any_source_gives_a_name_or_says_that_it_can_t(source: str) -> None:
    """What comes out is a name."""
    try:
        made = name_from(source)
    except NameInvalid:
        return
    assert parse_name(made) == made


def test_what_can_t_be_a_name_says_how_to_give_one() -> None:
    """The option is named."""
    with pytest.raises(NameInvalid) as caught:
        name_from("../..")
    assert "--name" in caught.value.fix


def test_names_that_clash_are_told_with_their_sources() -> None:
    """Each such name once."""
    orders = [Order("a/x", "one"), Order("b/x", "one"), Order("c", "two")]
    assert list(same_names(orders)) == ["2 models would be called one: a/x, b/x"]
    assert list(same_names(orders[1:])) == []
