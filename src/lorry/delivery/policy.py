"""How long to wait, how often to look and when to try again: decisions from values, without a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from lorry.errors import LorryError
from lorry.model.placement import Placement, PlacementState, TrainedModel

# Readiness may take 6 h at Together before the platform itself gives up (Together API dossier 2.7), so
# our own limit lies just above it: the platform's own sentence is worth more than our timeout.
_READINESS = 6.25 * 3600.0

_LIMITS = MappingProxyType({"validate": 1800.0, "deploy": 900.0, "wait": _READINESS, "prove": 180.0})


@dataclass(frozen=True, slots=True)
class Policy:
    """The patience of a delivery; every time is in seconds.

    Attributes:
        first_look: Pause after the first look at something that is not ready yet.
        growth: By what each further pause is longer.
        longest_pause: The longest pause between two looks; DBOS sleeps are not cut short by a
            cancellation, so it stays at 5 or below ("Control-plane stack", 1.4 rule 8).
        limits: How long a step may wait in all, by its name.
        limit: The same for steps that are not named in `limits`.
        tries: How often a step is tried when the platform fails in a way that may pass.
        first_retry: Pause before the second try; it doubles from try to try.
    """

    first_look: float = 0.05
    growth: float = 1.5
    longest_pause: float = 5.0
    limits: Mapping[str, float] = field(default_factory=lambda: _LIMITS)
    limit: float = 900.0
    tries: int = 5
    first_retry: float = 0.25

    def limit_of(self, step: str) -> float:
        """Say how long a step may wait in all."""
        return self.limits.get(step, self.limit)

    def pause(self, looks: int) -> float:
        """Say how long to pause after the `looks`-th look that found nothing ready."""
        exponent = min(looks - 1, 64)  # beyond, the longest pause has long been reached
        return min(self.longest_pause, self.first_look * self.growth**exponent)

    def retry_after(self, error: LorryError, failures: int) -> float | None:
        """Say after how long to try again, or `None` to give up.

        Args:
            error: What happened last.
            failures: How often the step failed in a row, this one included.
        """
        if not error.retryable or failures >= self.tries:
            return None
        return min(self.longest_pause, self.first_retry * 2.0 ** (failures - 1))


class Course(StrEnum):
    """What shipping a file under a name comes to; decided by `course`."""

    BEGIN = "begin"  # nothing of this name is known
    GO_ON = "go on"  # the same file is on its way
    BEGIN_AGAIN = "begin again"  # its last delivery failed; what exists is adopted
    NOTHING_TO_DO = "nothing to do"  # it is ready
    TAKEN = "taken"  # the name belongs to other weights
    BEING_REMOVED = "being removed"  # a retire of it has begun


def course(model: TrainedModel | None, placement: Placement | None, digest: str) -> Course:
    """Decide what to do with a file that is to be shipped.

    Args:
        model: What is known under the name.
        placement: Where it stands.
        digest: SHA-256 of the file that is offered, hex.
    """
    if model is None:
        return Course.BEGIN
    if placement is not None and placement.state is PlacementState.RETIRING:
        return Course.BEING_REMOVED
    if model.digest != digest:
        return Course.TAKEN
    if placement is None:
        return Course.BEGIN_AGAIN
    return _BY_STATE[placement.state]


_BY_STATE = {
    PlacementState.DELIVERING: Course.GO_ON,
    PlacementState.READY: Course.NOTHING_TO_DO,
    PlacementState.FAILED: Course.BEGIN_AGAIN,
    PlacementState.RETIRED: Course.BEGIN_AGAIN,
}
