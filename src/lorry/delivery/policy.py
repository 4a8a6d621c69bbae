"""How long to wait, how often to look and when to try again: decisions from values, without a clock."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from lorry.errors import LorryError
from lorry.model.placement import Placement, PlacementState, TrainedModel

_MINUTE = 60.0
_HOUR = 60.0 * _MINUTE

#: How long each step may wait in all, seconds. Where the platform sets a limit itself, ours lies just above
#: it: the platform's own sentence is worth more than our timeout. The rest is generous by experience: what
#: takes longer does not come any more.
_LIMITS = MappingProxyType(
    {
        # The files
        "publish": 30 * _MINUTE,
        "upload": 2 * _HOUR,  # pauses between tries only; the upload of each part has 30 min (dossier 2.3)
        "import": 6 * _HOUR,  # the platform fetches a whole model of some 100 GB
        "job": 6 * _HOUR,
        "validate": 30 * _MINUTE,
        # What runs
        "deploy": 15 * _MINUTE,  # what an earlier delivery left has to stop first
        "container": 15 * _MINUTE,
        "wait": 6.25 * _HOUR,  # readiness may take 6 h before the platform gives up (dossier 2.7)
        "route": 5 * _MINUTE,
        "attach": 15 * _MINUTE,
        "load": 30 * _MINUTE,
        "prove": 5 * _MINUTE,  # a traffic split is in force after about 30 s (dossier 2.9)
        # The way back
        "stop": 15 * _MINUTE,
        "detached": 15 * _MINUTE,
        "stopped": 30 * _MINUTE,
        "gone": 30 * _MINUTE,
    }
)


@dataclass(frozen=True, slots=True)
class Policy:
    """The patience of a delivery; every time is in seconds.

    Attributes:
        first_look: Pause after the first look at something that is not ready yet.
        growth: By what each further pause is longer.
        steady: The longest pause between two looks as long as a step has not waited long.
        share: Later the longest pause is this share of what the step has waited: an adapter is there in
            seconds and a small base in a minute or two, which nobody wants to learn late; what is not there
            by then comes in its own time, and asking often would only use up the account's rate limit. With
            4.5 %, and 1.7 s before, "ready" is noticed within 5 % of the wait or 2 s, jitter included.
        slowest: The longest pause of all.
        jitter: By which share a pause is longer or shorter, so that deliveries do not ask in step.
        limits: How long a step may wait in all, by its name.
        limit: The same for steps that are not named in `limits`.
        tries: How often a step is tried when the platform fails in a way that may pass.
        first_retry: Pause before the second try; it doubles from try to try.
        longest_retry: The longest pause before a try, unless the platform asks for a longer one.
        lease: After how long without a sign of life a process has lost its deliveries to others.
        beat: Time between two signs of life.
        sweep: Time between two looks of a worker for deliveries that nobody works on.
        listen: Time between two looks at what another process does with a delivery.
        takeovers: How often a delivery is taken over from a process that died with it, without a step done
            in between, before it waits for a person: it may be what kills them.
        kept: After so much waiting how far a step has come is written down, besides at every change: a kill
            makes a delivery wait at most so much longer.
        files_at_once: Deliveries of one process that read, publish or upload files at the same time.
    """

    first_look: float = 0.05
    growth: float = 1.5
    steady: float = 1.7
    share: float = 0.045
    slowest: float = 30.0
    jitter: float = 0.1
    limits: Mapping[str, float] = field(default_factory=lambda: _LIMITS)
    limit: float = 900.0
    tries: int = 5
    first_retry: float = 0.25
    longest_retry: float = 30.0
    lease: float = 10.0
    beat: float = 2.0
    sweep: float = 1.0
    listen: float = 0.25
    takeovers: int = 5
    kept: float = 300.0
    files_at_once: int = 8

    def limit_of(self, step: str) -> float:
        """Say how long a step may wait in all."""
        return self.limits.get(step, self.limit)

    def pause(self, looks: int, waited: float) -> float:
        """Say how long to pause, before jitter; neither more looks nor a longer wait makes it shorter.

        Args:
            looks: How many looks found nothing ready, the last one included.
            waited: How long the step has waited.
        """
        exponent = min(looks - 1, 64)  # beyond, the longest pause has long been reached
        longest = min(self.slowest, max(self.steady, self.share * waited))
        return min(longest, self.first_look * self.growth**exponent)

    def look_again(self, step: str, looks: int, waited: float, seed: str) -> float | None:
        """Say after how long to look again, or `None` when the step's time is over.

        Args:
            step: The step's name.
            looks: How many looks found nothing ready, the last one included.
            waited: How long the step has waited.
            seed: What the jitter is taken from; the same seed gives the same pause.

        Returns:
            Seconds; never so many that the step's limit would be overslept.
        """
        left = self.limit_of(step) - waited
        if left <= 0:
            return None
        return min(left, self.pause(looks, waited) * (1 + self.jitter * _spread(seed)))

    def try_again(
        self, step: str, error: LorryError, failures: int, waited: float, seed: str
    ) -> float | None:
        """Say after how long to try again, or `None` to give up.

        Args:
            step: The step's name.
            error: What happened last; `retry_after` in its evidence is what the platform asks for, seconds.
            failures: How often the step failed in a row, this one included.
            waited: How long the step has waited.
            seed: As for `look_again`.

        Returns:
            Seconds; never fewer than the platform asks for. When that is more than the step has left, it is
            given up at once, with the platform's own error.
        """
        if not error.retryable or failures >= self.tries:
            return None
        own = min(self.longest_retry, self.first_retry * 2.0 ** (failures - 1))
        pause = own * (1 + self.jitter * _spread(seed))
        asked = _asked(error)
        if asked > pause:  # everybody who was refused comes back then: a little later, never earlier
            pause = asked * (1 + self.jitter * abs(_spread(seed)))
        left = self.limit_of(step) - waited
        if asked > left or left <= 0:
            return None
        return min(left, pause)


def _asked(error: LorryError) -> float:
    """Read how long the platform wants to be left alone; 0 when it does not say, or says nonsense."""
    asked = error.evidence.get("retry_after")
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not math.isfinite(asked):
        return 0.0
    return max(0.0, float(asked))


def _spread(seed: str) -> float:
    """Spread seeds evenly over -1 to 1; without a generator of random numbers, so that a run can be told."""
    digest = hashlib.blake2b(seed.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**63 - 1.0


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
    PlacementState.HELD: Course.BEGIN_AGAIN,
}
