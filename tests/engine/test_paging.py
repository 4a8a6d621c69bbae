"""Pages, filters and field masks."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.engine.api_errors import Refusal
from lorry.engine.paging import masked, page, parse_filter

FIELDS = frozenset({"name", "state"})
TOK = {"name": "local/lorry-tok", "state": "READY"}


@dataclass(frozen=True)
class Item:
    """Something with an id."""

    id: str


def as_row(item: Item) -> dict[str, str]:
    return {"id": item.id}


@given(count=st.integers(0, 30), limit=st.integers(1, 10), newest_first=st.booleans())
def test_pages_give_everything_once_and_in_order(count: int, limit: int, newest_first: bool) -> None:
    """Following the cursors gives every item exactly once, oldest or newest first."""
    items = [Item(f"x_{number:03}") for number in range(count)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        answer = page(items, as_row, limit, cursor, newest_first=newest_first)
        assert len(answer["data"]) <= limit
        seen += [row["id"] for row in answer["data"]]
        if (cursor := answer["next_cursor"]) is None:
            break
    assert seen == sorted((item.id for item in items), reverse=newest_first)


def test_a_page_goes_on_after_its_last_item_was_deleted() -> None:
    """A cursor stays good when the item that it names is gone."""
    items = [Item("x_1"), Item("x_2"), Item("x_3")]
    first = page(items, as_row, 2)
    rest = [item for item in items if item.id != first["next_cursor"]]
    assert page(rest, as_row, 2, first["next_cursor"])["data"] == [{"id": "x_3"}]


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        (None, True),
        ("", True),
        ('name="lorry-tok"', True),
        ('name="local/lorry-tok"', True),
        ('name="lorry"', False),
        ('name="lorry-*"', True),
        ('name:"rry-t"', True),
        ("name!=lorry-tok", False),
        ('name="x" OR state="READY"', True),
        ('name="lorry-tok" AND NOT state="READY"', False),
        ('(name="x" OR name="lorry-tok") AND state=READY', True),
        ('state<"S" AND state>"Q"', True),
    ],
)
def test_filters_mean_what_the_api_says(text: str | None, fits: bool) -> None:
    """Comparisons, wildcards, AND, OR, NOT and brackets; a name fits bare and qualified."""
    assert parse_filter(text, FIELDS)(TOK) is fits


@pytest.mark.parametrize("text", ["name", 'name="x" AND', "(name=x", "name=x)", "OR", "AND name=x", "name~x"])
def test_a_filter_that_can_not_be_read_is_refused(text: str) -> None:
    """A broken expression is a 400 that quotes it, never a list of everything."""
    with pytest.raises(Refusal) as caught:
        parse_filter(text, FIELDS)
    assert caught.value.status == 400
    assert text in caught.value.message


def test_a_filter_on_an_unknown_field_names_the_known_ones() -> None:
    """A field that a list does not have is a 400."""
    with pytest.raises(Refusal, match="name, state"):
        parse_filter("colour=red", FIELDS)


@pytest.mark.parametrize(
    ("mask", "given", "fields"),
    [
        ("trafficSplit", [], {"trafficSplit"}),
        ("traffic_split,name", [], {"trafficSplit", "name"}),
        ("autoscaling.minReplicas,autoscaling.maxReplicas", [], {"autoscaling"}),
        (None, ["name", "etag"], {"name"}),
    ],
)
def test_a_mask_names_the_fields_to_write(mask: str | None, given: list[str], fields: set[str]) -> None:
    """Paths in both spellings name fields; without a mask it is what was given; an etag is never written."""
    assert masked(mask, given) == fields


@pytest.mark.parametrize(("mask", "given"), [(None, []), (None, ["etag"]), ("", []), (" , ", ["name"])])
def test_an_update_of_nothing_is_refused(mask: str | None, given: list[str]) -> None:
    """No fields to update is a 400, as at Together (Together API dossier 2.0)."""
    with pytest.raises(Refusal, match="no fields to update"):
        masked(mask, given)
