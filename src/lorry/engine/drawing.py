"""Which pictures are drawn together: alike in shape, whoever asked, and everybody in turn. Pure.

A batch mixes adapters freely, so requests for different models share it. Within a model the oldest comes
first; models take turns, so that a hundred requests for one do not hold up the one for another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lorry.engine.renderers.port import RenderRequest

#: Pictures in one batch: on two cores, more of them take as long again (docs/reference/engine.md).
LARGEST_BATCH = 8


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


def shape_of(request: RenderRequest) -> tuple[int, bool]:
    """Give what pictures of one batch have in common: their steps, and whether they are guided."""
    return request.steps, request.guidance > 1


def whose(request: RenderRequest) -> str:
    """Name the model that a picture is of: its adapters, or the base."""
    return "+".join(use.key for use in request.adapters)


def choose(
    waiting: Iterable[Waiting], served: Mapping[str, int], most: int = LARGEST_BATCH
) -> Sequence[Waiting]:
    """Choose the pictures that are drawn next.

    Args:
        waiting: Those that wait, the oldest first.
        served: When each model was served last, by a number that grows; one that is missing never was.
        most: How many at the most.

    Returns:
        The oldest picture of the model that has waited longest for a turn, and those of the same shape, one
        of each model in turn; none when nothing waits.
    """
    lines: dict[str, deque[Waiting]] = {}
    for each in waiting:
        lines.setdefault(each.whose, deque()).append(each)
    order = sorted(lines, key=lambda name: served.get(name, -1))  # stable: among equals, who came first
    if not order:
        return ()
    shape = lines[order[0]][0].shape
    alike = [deque(each for each in lines[name] if each.shape == shape) for name in order]
    found: list[Waiting] = []
    for each in _turns(alike):
        found.append(each)
        if len(found) == most:
            break
    return found


def _turns(lines: Sequence[deque[Waiting]]) -> Iterator[Waiting]:
    """Give one of each line, then the next of each, until all are empty."""
    while any(lines):
        for line in lines:
            if line:
                yield line.popleft()
