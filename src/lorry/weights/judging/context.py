"""What a judgement starts from, and what it gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lorry.model.report import Finding, Severity, WeightsReport, WeightsSummary
from lorry.weights.files.listing import Listing, MemoryListing

IMAGE_LORA, TEXT_LORA, CHECKPOINT = "image-lora", "text-lora", "checkpoint"

_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True)
class Context:
    """What is known about a file besides its bytes.

    Attributes:
        path: What the user named.
        file: The weights file, as it is shown.
        listing: What lies around it.
        inside: Its path in the listing.
        base: The base model that the user names; it overrules.
    """

    path: str
    file: str
    listing: Listing = field(default_factory=lambda: MemoryListing(""))
    inside: str = ""
    base: str | None = None

    @property
    def folder(self) -> str:
        """The weights' own folder in the listing, with `/` at the end; empty at the root."""
        head, slash, _ = self.inside.rpartition("/")
        return head + slash

    @property
    def name(self) -> str:
        """The last part of the file's name."""
        return (self.inside or self.file).replace("\\", "/").rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Judged:
    """A summary with what was found out, and the findings."""

    summary: WeightsSummary
    findings: tuple[Finding, ...]


def report(summary: WeightsSummary, findings: Iterable[Finding]) -> WeightsReport:
    """Make a report, the worst findings first.

    Args:
        summary: What the file is.
        findings: What was found, in the order of the check.
    """
    return WeightsReport(summary, tuple(sorted(findings, key=lambda found: _ORDER[found.severity])))
