"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.cli.times import time_from
from lorry.errors import OptionInvalid

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("2h", NOW - timedelta(hours=2)),
        ("1.5d", NOW - timedelta(hours=36)),
        (" 3d", NOW - timedelta(days=3)),
        ("2026-11-29", datetime(2026, 11, 29, tzinfo=UTC)),
        ("2026-11-29T10:00+02:00", datetime(2026, 11, 29, 8, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_it_is_meant(text: str, wanted: datetime) -> None:
    """A time, UTC where it names no zone, or how long ago."""
    assert time_from(text, NOW) == wanted


@given(st.text(max_size=20))
def test_anything_else_is_told(text: str) -> None:
    """Whatever is typed is a time, or an error that says how to write one."""
    try:
        assert time_from(text, NOW).tzinfo is not None
    except OptionInvalid as error:
        assert "2h" in error.fix  # noqa: PT017 - either is fine
