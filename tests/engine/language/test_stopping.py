"""Stop texts, found across the borders of pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from lorry.engine.language.stopping import StopWatch

LETTERS = some.text("ab.", max_size=12)


@given(some.lists(LETTERS), some.lists(some.text("ab.", max_size=4), max_size=3))
def test_the_pieces_do_not_matter(pieces: list[str], stop: list[str]) -> None:
    """However a text is cut into pieces, what is passed on ends right before the first stop text in it."""
    whole = "".join(pieces)
    ends = [at for text in stop if text and (at := whole.find(text)) >= 0]
    watch = StopWatch(tuple(stop))
    passed = "".join([*(watch.feed(piece) for piece in pieces), watch.finish()])
    assert passed == watch.text == whole[: min(ends, default=len(whole))]
    assert watch.stopped is bool(ends)


@given(some.lists(LETTERS), some.text("ab.", min_size=1, max_size=4))
def test_nothing_is_held_back_longer_than_needed(pieces: list[str], stop: str) -> None:
    """What is held back after a piece is the beginning of a stop text."""
    watch, came = StopWatch((stop,)), ""
    for piece in pieces:
        watch.feed(piece)
        came += piece
        if watch.stopped:
            return
        held = came[len(watch.text) :]
        assert stop.startswith(held)
        assert held != stop


def test_without_stop_texts_each_piece_passes() -> None:
    """Where nothing stops, no character waits; an empty stop text stops nothing."""
    watch = StopWatch(("",))
    assert [watch.feed(piece) for piece in ("a", "", "bc")] == ["a", "", "bc"]
    assert (watch.finish(), watch.text, watch.stopped) == ("", "abc", False)
