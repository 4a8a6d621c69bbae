"""What `lorry watch` prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lorry.cli.printing import worker_line
from lorry.model.events import Event

if TYPE_CHECKING:
    from lorry.errors import LorryError
    from lorry.training.ports import Training


class Telling:
    """Prints trainings and the events of their deliveries, for a person or line by line as JSON.

    Args:
        as_json: Whether as JSON.

    Attributes:
        failed: Trainings that could not be shipped, by their keys.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.failed: set[str] = set()

    def say(self, sentence: str) -> None:
        """Print a sentence, to a person only."""
        if not self._as_json:
            _print(sentence)

    def event(self, event: Event) -> None:
        """Print an event of a delivery."""
        if self._as_json:
            _print(event.as_dict())
        elif event.action != "failed" and (line := worker_line(event)):  # that is told with the training
            _print(line)

    def training(self, training: Training, error: LorryError | None) -> None:
        """Print what became of a training."""
        (self.failed.add if training.state == "failed" else self.failed.discard)(training.key)
        if self._as_json:
            told = {
                "path": training.path,
                "state": str(training.state),
                "model": training.model,
                "message": training.message,
                "at": training.at.isoformat(),
                "error": error.as_dict() if error else None,
            }
            _print(told)
            return
        at = training.at.strftime("%Y-%m-%d %H:%M:%S")
        if error is None:
            _print(f"{at}  {training.message}")
            return
        _print(f"{at}  {training.path} can't be shipped ({error.code}): {error.message}")
        if error.fix:
            _print(f"{' ' * 21}fix: {error.fix}")


def _print(what: str | dict[str, Any]) -> None:
    text = what if isinstance(what, str) else json.dumps(what, default=str)
    print(text, flush=True)  # noqa: T201 - the door prints
