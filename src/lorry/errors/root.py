"""What every error has: a sentence, evidence, the next step, whether to repeat it, and who pays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, ClassVar

from lorry.redaction import shown, shown_value


class Pays(StrEnum):
    """Who pays for what failed."""

    NOBODY = "nobody"  # nothing ran, or what ran is not charged
    YOU = "you"  # something of yours runs on, or was drawn, and is charged
    UNKNOWN = "unknown"  # the call may have acted; the next attempt looks before it acts again


class LorryError(Exception):
    """The root: what happened, the evidence, and what to do next.

    What looks like a key, and what follows the `?` of an address, is taken out of all three.

    Args:
        message: One plain sentence that names the cause, with its numbers.
        fix: The next command or action; a default from the class when omitted.
        evidence: Machine-readable facts behind the sentence (JSON values only).
    """

    code: ClassVar[str] = "error"
    default_fix: ClassVar[str] = "Run `lorry --help`."
    retryable: ClassVar[bool] = False
    exit_status: ClassVar[int] = 1
    pays: ClassVar[Pays] = Pays.NOBODY

    def __init__(
        self, message: str, *, fix: str | None = None, evidence: Mapping[str, Any] | None = None
    ) -> None:
        self.message = shown(message)
        super().__init__(self.message)
        self.fix = shown(fix) if fix is not None else self.default_fix
        self.evidence: dict[str, Any] = shown_value(dict(evidence or {}))

    def hide(self, secrets: Iterable[str]) -> None:
        """Take secrets out that only a caller knows.

        Args:
            secrets: Keys and tokens.
        """
        known = tuple(secrets)
        self.message, self.fix = shown(self.message, known), shown(self.fix, known)
        self.evidence = shown_value(self.evidence, known)
        self.args = (self.message,)

    def as_dict(self) -> dict[str, Any]:
        """Give the error as data, the same that `--json` prints under `error`."""
        return {
            "code": self.code,
            "message": self.message,
            "fix": self.fix,
            "retryable": self.retryable,
            "pays": str(self.pays),
            "evidence": self.evidence,
        }
