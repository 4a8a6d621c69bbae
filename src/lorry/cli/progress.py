"""A delivery's steps while they happen: a live line on a terminal, plain lines when piped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.text import Text

from lorry.cli.printing import eta, size
from lorry.journal import Estimate
from lorry.model.events import Event

#: Actions that are worth a permanent line of their own beneath the step they belong to.
_NOTES = ("adopted", "retry")


@dataclass(frozen=True, slots=True)
class _Now:
    """The live line: what happens, and how much longer it usually takes; drawn anew as time goes on."""

    subject: str
    message: str
    estimate: Estimate | None
    elapsed: Callable[[], float]

    def __rich__(self) -> Text:
        left = eta(self.estimate, self.elapsed())
        return Text.assemble(f"{self.subject}  ", (f"{self.message}{f'  ({left})' if left else ''}", "dim"))


class Steps:
    """Show the events of a delivery; use it as a context manager and give `show` as the listener.

    Args:
        console: Where to print.
        clock: Seconds that only go forward.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._status: Status | None = None
        self._usual: Mapping[str, Estimate] = {}
        self._step: tuple[str, float] | None = None  # the step that runs, and since when it is seen

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the live line away."""
        if self._status is not None:
            self._status.stop()

    def expect(self, usual: Mapping[str, Estimate]) -> None:
        """Learn how long steps usually take, to say how much longer one will.

        Args:
            usual: By the name of a step; steps that are not there are shown without it.
        """
        self._usual = usual

    def show(self, event: Event) -> None:
        """Show one event.

        Args:
            event: What happened.
        """
        if self._step is None or self._step[0] != event.subject or event.action == "started":
            self._step = (event.subject, self._clock())
        if event.action == "done":
            self._line("[green]ok[/green]  ", event)
        elif event.action == "failed":
            # The sentence follows as the command's error; here its code says which step met it.
            code = str(event.data.get("error", {}).get("code", "")) or event.message
            self._print("[red]FAIL[/red]", event.subject, event.seconds, code)
        elif event.action in _NOTES:
            self._line("    ", event)
        elif self._status is not None:
            self._status.update(self._live(event))

    def _live(self, event: Event) -> _Now:
        began = self._step[1] if self._step else self._clock()
        estimate = self._usual.get(event.subject)
        return _Now(event.subject, _message(event), estimate, lambda: self._clock() - began)

    def done(self, subject: str, seconds: float, message: str) -> None:
        """Show that something outside a delivery was done.

        Args:
            subject: What it is about.
            seconds: How long it took.
            message: One sentence or phrase.
        """
        self._print("[green]ok[/green]  ", subject, seconds, message)

    def ask(self, question: str) -> bool:
        """Ask a question that is answered with yes or no; anything but yes is no.

        Args:
            question: One sentence.
        """
        if self._status is not None:
            self._status.stop()
        try:
            answer = self._console.input(f"{question} [y/N] ", markup=False)
        except EOFError:
            answer = ""
        if self._status is not None:
            self._status.start()
        return answer.strip().lower() in {"y", "yes"}

    def _line(self, mark: str, event: Event) -> None:
        self._print(mark, event.subject, event.seconds, event.message)

    def _print(self, mark: str, subject: str, seconds: float | None, message: str) -> None:
        took = f"{seconds:6.2f} s" if seconds is not None else " " * 8
        text = f"  {mark}  {subject:<10} {took}  {escape(message)}"
        self._console.print(text, highlight=False, soft_wrap=True)


def _message(event: Event) -> str:
    sent, total = event.data.get("sent"), event.data.get("total")
    if event.action == "progress" and sent is not None and total:
        return f"{size(sent)} of {size(total)} ({100 * sent // total} %)"
    return event.message
