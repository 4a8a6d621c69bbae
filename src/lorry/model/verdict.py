"""Where a file runs: what a loader does with it, and what that means for a route."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What a loader does with a layout."""

    OK = "ok"  # every layer is changed, with the right strength
    ALPHA_DROPPED = "alpha-dropped"  # every layer is changed, as if alpha were equal to the rank
    ALPHA_TWICE = "alpha-twice"  # every layer is changed, with the strength applied twice
    MAGNITUDE_DROPPED = "magnitude-dropped"  # every layer is changed, without DoRA's magnitudes
    PARTIAL = "partial"  # only some of the layers are changed, without an error
    IGNORED = "ignored"  # it returns normally and changes nothing
    RANDOM = "random"  # it changes the layers with memory that nobody wrote
    REFUSED = "refused"  # it raises
    UNKNOWN = "unknown"  # nobody has tried


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one loader does with one file.

    Attributes:
        loader: `diffusers`, `comfyui`, `peft` or `vllm`.
        outcome: What it does.
        modules: Layers that it changes.
        expected: Layers that the file means to change.
        sentence: The same in words, with the numbers.
    """

    loader: str
    outcome: Outcome
    modules: int
    expected: int
    sentence: str

    @property
    def acts(self) -> bool:
        """Whether every layer is changed with the strength that training meant."""
        return self.outcome is Outcome.OK and self.modules == self.expected > 0


class Runs(StrEnum):
    """Whether a file runs on a route."""

    YES = "runs"
    CONVERTED = "runs after conversion"
    NO = "does not run"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a file runs on a route or does not.

    Attributes:
        code: A code of the catalogue of findings.
        sentence: One plain sentence with the numbers in it.
        blocks: Whether it keeps the file from running as it is.
        mend: The option of `lorry convert` that mends it (`--to diffusers`, `--lossy --rank 64` …); `None`
            when nothing does, and when nothing needs to.
    """

    code: str
    sentence: str
    blocks: bool
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """For one file and one route or loader: whether it runs there, and why.

    Attributes:
        target: The route (`together-url`) or the loader (`comfyui`).
        kind: `route` or `loader`.
        runs: The verdict.
        reasons: What it follows from, what blocks first.
        command: The `lorry convert` that makes it run, where there is one.
        modules: Layers that will be changed there, after conversion where one is needed; `None` when unknown.
    """

    target: str
    kind: str
    runs: Runs
    reasons: tuple[Reason, ...]
    command: str | None = None
    modules: int | None = None
