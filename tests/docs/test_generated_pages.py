"""The reference says what the code says."""

from __future__ import annotations

import pytest

from tools.docs import FOLDER, concrete_errors, pages

PAGES = pages()  # some are counted out of large tables


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    """A generated page equals what `make docs` would write now."""
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name]


def test_every_error_has_a_code_of_its_own() -> None:
    """Codes are stable and unique: scripts match on them."""
    codes = [kind.code for kind in concrete_errors()]
    assert len(codes) == len(set(codes))


def test_every_error_says_what_to_do_next() -> None:
    """No error ends without the next step."""
    for kind in concrete_errors():
        assert kind.default_fix.endswith("."), kind
