"""The reference page of findings says what the code says."""

from __future__ import annotations

from pathlib import Path

from lorry.weights.bases.families import reference_table
from lorry.weights.catalogue import entries, reference_tables

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "findings.md"


def test_the_page_holds_the_tables_of_the_catalogue() -> None:
    """Every code is on the page with its severity, meaning and fix, exactly as the catalogue has them.

    When this fails, replace the tables in the page by what `lorry.weights.catalogue.reference_tables` gives.
    """
    assert reference_tables() in PAGE.read_text(encoding="utf-8")


def test_the_page_holds_the_table_of_families() -> None:
    """Every family is on the page with its base models, as the code's table gives them."""
    assert reference_table() in PAGE.read_text(encoding="utf-8")


def test_every_entry_is_a_sentence_that_fits_a_table() -> None:
    """Meanings and fixes are sentences, without line breaks and without the character that ends a cell."""
    for entry in entries().values():
        for text in (entry.meaning, entry.fix):
            assert text.endswith("."), entry.code
            assert "|" not in text, entry.code
            assert "\n" not in text, entry.code
