"""What the check of a model's files says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from lorry.model.verdict import Prediction


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"  # the file can't act as it is: shipping is refused
    WARNING = "warning"  # it can be shipped, and may not do what its owner expects
    INFO = "info"  # good to know


class Mend(StrEnum):
    """Whether `lorry convert` mends what a finding says."""

    NO = "no"  # nothing that Lorry can do to the file helps
    CONVERT = "convert"  # it does, and nothing is lost
    LOSSY = "lossy"  # it does with --lossy, and says how much is lost


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the check found.

    Attributes:
        code: Stable identifier, such as `DATA_TRUNCATED`.
        severity: How much it matters.
        message: One plain sentence with the numbers in it.
        fix: What to do about it.
        subject: The tensor, field or file concerned.
        evidence: Machine-readable facts (expected, found, counts).
        mend: Whether `lorry convert` mends it.
    """

    code: str
    severity: Severity
    message: str
    fix: str
    subject: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    mend: Mend = Mend.NO

    def as_dict(self) -> dict[str, Any]:
        """Give the finding as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RankSpan:
    """The smallest, median and largest rank over the modules of an adapter."""

    min: int
    median: int
    max: int

    def __str__(self) -> str:
        """Write `16`, or `4 to 32 (median 16)` when it varies."""
        return str(self.min) if self.min == self.max else f"{self.min} to {self.max} (median {self.median})"


@dataclass(frozen=True, slots=True)
class WeightsSummary:
    """What a file is, as far as it could be read; `None` where it could not be told.

    Attributes:
        path: What the user named.
        file: The weights file inside it (the same when a file was named).
        size_bytes: Size of the weights file.
        digest: SHA-256 of the weights file, hex.
        format: `safetensors` or what was found instead (`html`, `pickle`, `lfs-pointer` …).
        layout: How its keys are spelled (`diffusers`, `kohya`, `comfyui`, `peft` …).
        algorithm: `lora`, `lokr`, `loha`, `dora` …
        family: Key of the family of base models (`flux-icons-64`, `flux1` …).
        base: Public id of the base model, where the family has only one or the header names it.
        rank: Ranks over all modules.
        alpha: The common alpha; `None` when there is none (scale 1) or when it varies.
        modules: Base layers that a loader is expected to change.
        tensors: Tensors in the file.
        parameters: Numbers in all tensors together.
        dtype: The data type of the adapter's tensors (`bf16`), or `mixed`.
        trigger: The trigger word, where the file or its neighbours name it.
        kind: `image-lora`, `text-lora` or `checkpoint`.
        trainer: Who trained it (`ai-toolkit`, `kohya` …), where that can be told.
        steps: Training steps behind this file.
        resolution: Edge of the training pictures in pixels, or `WxH`.
        samples: Sample pictures that the trainer left.
        choice: Why this file was taken, where there were several.
        parts: Parts of the pipeline that it changes besides the denoiser: `clip`, `t5`.
        confidence: How sure the family is, from 0 to 1: the share of modules that fit it.
        candidates: What speaks for and against each family, best first.
        loads: What each loader does with the file.
        revision: The Hub's commit that was looked at.
    """

    path: str
    file: str
    size_bytes: int
    digest: str | None = None
    format: str | None = None
    layout: str | None = None
    algorithm: str | None = None
    family: str | None = None
    base: str | None = None
    rank: RankSpan | None = None
    alpha: float | None = None
    modules: int = 0
    tensors: int = 0
    parameters: int = 0
    dtype: str | None = None
    trigger: str | None = None
    kind: str | None = None
    trainer: str | None = None
    steps: int | None = None
    resolution: str | None = None
    samples: tuple[str, ...] = ()
    choice: str | None = None
    parts: tuple[str, ...] = ()
    confidence: float | None = None
    candidates: tuple[str, ...] = ()
    loads: tuple[Prediction, ...] = ()
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class WeightsReport:
    """A summary and every finding, worst first."""

    summary: WeightsSummary
    findings: tuple[Finding, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that forbid shipping."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def ok(self) -> bool:
        """Whether nothing forbids shipping."""
        return not self.errors

    def as_dict(self) -> dict[str, Any]:
        """Give the report as the JSON that `lorry check --json` prints."""
        return {"summary": asdict(self.summary), "findings": [finding.as_dict() for finding in self.findings]}
