"""Where an answer ends before its model does: stop texts, found across the borders of pieces."""

from __future__ import annotations


class StopWatch:
    """Passes the pieces of an answer on, up to the first stop text in them.

    The end of a piece that may be the beginning of a stop text is held back until it is known to be none, so
    that nothing has to be taken back from who reads along.

    Args:
        stop: The texts; empty ones stop nothing.
    """

    def __init__(self, stop: tuple[str, ...] = ()) -> None:
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self._passed: list[str] = []
        #: Whether a stop text came.
        self.stopped = False

    @property
    def text(self) -> str:
        """What was passed on so far."""
        return "".join(self._passed)

    def feed(self, piece: str) -> str:
        """Take a piece and give what may be shown of all that came.

        Args:
            piece: The next piece of the answer.
        """
        if self.stopped:
            return ""
        self._held += piece
        ends = [at for text in self._stop if (at := self._held.find(text)) >= 0]
        if ends:
            self.stopped = True
            return self._pass(min(ends))
        return self._pass(len(self._held) - self._promising())

    def finish(self) -> str:
        """Give what was held back, as nothing more comes."""
        return "" if self.stopped else self._pass(len(self._held))

    def _promising(self) -> int:
        """Count the characters at the end that may begin a stop text."""
        longest = max((len(text) for text in self._stop), default=1) - 1
        for count in range(min(longest, len(self._held)), 0, -1):
            end = self._held[-count:]
            if any(text.startswith(end) for text in self._stop):
                return count
        return 0

    def _pass(self, count: int) -> str:
        piece, self._held = self._held[:count], self._held[count:]
        if piece:
            self._passed.append(piece)
        return piece
