"""The page about trainers and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

from lorry.weights.catalogue import entries
from lorry.weights.trainers.choice import PREFERRED
from lorry.weights.trainers.privacy import PRIVATE_FIELDS
from lorry.weights.trainers.signs import TRAINERS

_PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "trainers.md").read_text(encoding="utf-8")


def test_the_page_has_one_row_a_trainer() -> None:
    """Every trainer has its row, in the order of the code, with every column filled."""
    rows = re.findall(r"^\| `([a-z-]+)` \|(.*)\|$", _PAGE, re.MULTILINE)
    assert tuple(name for name, _ in rows) == TRAINERS
    assert all(len(cells.split(" | ")) == 7 and all(cells.split(" | ")) for _, cells in rows)


def test_the_page_names_what_the_code_knows() -> None:
    """Preferred names, private fields and the codes of the findings are all on the page, and no others."""
    assert all(f"`{name}`" in _PAGE for name in PREFERRED)
    private = _PAGE.partition("captions, training folders and settings:")[2].partition("ai-toolkit's")[0]
    assert set(re.findall(r"`(\w+)`", private)) == PRIVATE_FIELDS
    codes = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", _PAGE))
    assert codes == {"WAN_PAIR", "NAME_MULTIPLE", "FILE_MISSING", "PRIVACY_META"}
    assert codes <= entries().keys()
