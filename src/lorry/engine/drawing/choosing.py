"""Which pictures are drawn together: alike in shape, whoever asked, and everybody in turn. Pure.

A batch mixes adapters freely, so requests for different models share it. Within a model the oldest comes
first; models take turns, so that a hundred requests for one do not hold up the one for another. Nobody is
overtaken by what happens to fit better: whoever's turn it is, is begun next or as soon as there is room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lorry.engine.renderers.port import RenderRequest


@dataclass(frozen=True, slots=True)
class Waiting:
    """A picture that waits.

    Attributes:
        place: Where it belongs, for whoever asks.
        whose: The model that it is of; models take turns.
        shape: What it has to have in common with others to be drawn together.
    """

    place: Hashable
    whose: str
    shape: Hashable


def whose(request: RenderRequest) -> str:
    """Name the model that a picture is of: its adapters, or the base."""
    return "+".join(use.key for use in request.adapters)


def in_turn(waiting: Iterable[Waiting], served: Mapping[str, int]) -> list[Waiting]:
    """Put what waits into the order in which it is drawn.

    Args:
        waiting: Those that wait, the oldest first.
        served: When each model was served last, by a number that grows; one that is missing never was.

    Returns:
        The oldest of the model that has waited longest for a turn, one of each other model, then the next
        of each.
    """
    lines: dict[str, deque[Waiting]] = {}
    for each in waiting:
        lines.setdefault(each.whose, deque()).append(each)
    order = sorted(lines, key=lambda name: served.get(name, -1))  # stable: among equals, who came first
    return list(_turns([lines[name] for name in order]))


def fill(
    order: Sequence[Waiting], fits: Callable[[Sequence[Waiting]], bool], beside: Sequence[Hashable] = ()
) -> list[Waiting]:
    """Choose what is begun now.

    Args:
        order: What could be, in turn.
        fits: Says whether these can be begun together, beside what is being drawn.
        beside: The shapes of what is being drawn, which are all alike.

    Returns:
        The first, and those of its shape, until one does not fit; nothing where the first can't join what is
        being drawn, so that this ends and its turn comes.
    """
    found: list[Waiting] = []
    shape = next(iter(beside), order[0].shape if order else None)
    for each in order:
        if each.shape != shape:
            if not found and beside:
                break
            continue
        # What is alone in the whole batch is begun in any case: it would never fit otherwise.
        if (found or beside) and not fits([*found, each]):
            break
        found.append(each)
    return found


def _turns(lines: Sequence[deque[Waiting]]) -> Iterator[Waiting]:
    """Give one of each line, then the next of each, until all are empty."""
    while any(lines):
        for line in lines:
            if line:
                yield line.popleft()
