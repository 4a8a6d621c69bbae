"""Options that many commands share, and the two ways of printing a result."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from rich.console import Console

    from lorry.settings import Settings


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Output:
    """How a result is printed.

    Attributes:
        json: Print one JSON document instead of text; errors too.
    """

    json: Annotated[bool, Parameter(negative="", show_default=False)] = False

    def out(self, data: Any, lines: Iterable[str]) -> None:
        """Print a result once, as data or as text.

        Args:
            data: JSON values, printed with `--json`.
            lines: The same for people.
        """
        print(self.text(data, lines))  # noqa: T201 - the door prints

    def say(self, sentence: str) -> None:
        """Print a sentence to a person; with `--json` nothing.

        Args:
            sentence: It.
        """
        if not self.json:
            print(sentence)  # noqa: T201 - the door prints

    def text(self, data: Any, lines: Iterable[str]) -> str:
        """Write a result as data or as text, without secrets.

        Args:
            data: JSON values, for `--json`.
            lines: The same for people.
        """
        from lorry.redaction import shown, shown_value
        from lorry.settings import secrets_around

        secrets = secrets_around()
        if self.json:
            return json_.dumps(shown_value(json_.loads(json_.dumps(data, default=str)), secrets), indent=2)
        return shown("\n".join(lines), secrets)

    def steps_console(self) -> Console:
        """Give the console for progress: standard error with `--json`, where the output is one document."""
        from rich.console import Console

        return Console(file=sys.stderr if self.json else sys.stdout)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Common(Output):
    """What every command takes that works on a home.

    Attributes:
        home: Folder of Lorry's state (default: LORRY_HOME, then your data folder).
    """

    home: Path | None = None

    def settings(self) -> Settings:
        """Read the settings with this home."""
        from lorry.settings import read_settings

        return read_settings(self.home)
