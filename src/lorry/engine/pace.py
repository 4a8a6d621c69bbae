"""How quickly the engine's slow things (validation, remote uploads, deployments) get on.

A slow thing stores when its present phase began and how often it was looked at since. Whether the phase is
over is computed from these two and the clock, whenever somebody looks: nothing runs in the background, and a
restart loses nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from lorry.errors import OptionInvalid

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Pace:
    """When one phase gives way to the next; made by `at_once`, `looks` or `seconds`."""

    after_looks: int = 0
    after_seconds: float = 0.0

    @classmethod
    def at_once(cls) -> Pace:
        """Let every phase be over as soon as it begins."""
        return cls()

    @classmethod
    def looks(cls, count: int) -> Pace:
        """Show a phase `count` times; the look after these finds the next one."""
        return cls(after_looks=count)

    @classmethod
    def seconds(cls, seconds: float) -> Pace:
        """Let a phase last this long on the engine's clock."""
        return cls(after_seconds=seconds)

    @classmethod
    def parse(cls, text: str) -> Pace:
        """Read a pace as a user writes it: `at-once`, `looks:3` or `seconds:2.5`.

        Raises:
            OptionInvalid: It is none of these.
        """
        kind, _, amount = text.partition(":")
        if text == "at-once":
            return cls.at_once()
        if kind == "looks" and amount.isascii() and amount.isdigit():
            return cls.looks(int(amount))
        if kind == "seconds" and _SECONDS.fullmatch(amount):
            return cls.seconds(float(amount))
        fix = "Write `at-once`, `looks:3` or `seconds:2.5`."
        raise OptionInvalid(f"{text!r} is no pace.", fix=fix, evidence={"pace": text})

    def over(self, *, since: datetime, looks: int, now: datetime) -> bool:
        """Say whether a phase has ended.

        Args:
            since: When it began.
            looks: How often it was looked at, this look included.
            now: The present time.
        """
        shown_enough = self.after_looks == 0 or looks > self.after_looks
        return shown_enough and now - since >= timedelta(seconds=self.after_seconds)
