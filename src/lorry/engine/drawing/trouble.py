"""What to do when a whole batch fails: find whose fault it was, and draw the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lorry.engine.renderers.port import Ticket
from lorry.errors import EngineOutOfMemory

#: Pictures that go well before one more is drawn at once again, after memory ran out.
_CALM = 16

_UNBOUNDED = 1 << 30

#: How onnxruntime and C++ say it; Python has an error of its own, torch one of a name.
_MEMORY = ("failed to allocate memory", "bad_alloc", "out of memory", "bad allocation")


class Trouble:
    """Who was there when something failed, and how many are drawn at once since. Its owner has a lock."""

    def __init__(self) -> None:
        self.suspects: list[Ticket] = []
        self.most = _UNBOUNDED
        self._calm = 0

    def memory(self, error: BaseException) -> bool:
        """Say whether memory ran out."""
        return (
            isinstance(error, MemoryError)
            or type(error).__name__ == "OutOfMemoryError"
            or any(words in str(error).lower() for words in _MEMORY)
        )

    def met(self, begun: Sequence[Ticket], error: BaseException) -> dict[Ticket, Exception]:
        """Hear that drawing failed.

        Args:
            begun: What was being drawn.
            error: What went wrong.

        Returns:
            Whom to tell: the one that was alone; several are drawn again one by one first.
        """
        short = self.memory(error)
        if short:
            self.most, self._calm = max(1, len(begun) // 2), 0
        if len(begun) != 1:
            self.suspects = [*self.suspects, *begun]
            return {}
        told = error if isinstance(error, Exception) else RuntimeError(str(error))
        return {begun[0]: _too_large(error) if short else told}

    def next(self, known: Callable[[Ticket], bool]) -> Ticket | None:
        """Give the next that is drawn alone.

        Args:
            known: Says whether somebody still waits for it.
        """
        self.suspects = [ticket for ticket in self.suspects if known(ticket)]
        return self.suspects.pop(0) if self.suspects else None

    def cleared(self) -> None:
        """Hear that a picture went well."""
        self._calm += 1
        if self.most < _UNBOUNDED and self._calm >= _CALM:
            self.most, self._calm = (self.most + 1, 0) if self.most < _CALM else (_UNBOUNDED, 0)


def _too_large(error: BaseException) -> EngineOutOfMemory:
    return EngineOutOfMemory(
        "The picture does not fit into the engine's memory, even alone.",
        evidence={"cause": f"{type(error).__name__}: {str(error)[:200]}"},
    )
