"""A converter that takes a given beginning off a file, for tests of what deliveries make of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lorry.delivery.mending import Mended
from lorry.model.report import Mend, WeightsReport


@dataclass
class PrefixMender:
    """Mends files whose findings can all be mended, by taking a prefix of bytes off.

    Attributes:
        prefix: What is taken off.
        fails: What is raised instead, when given.
        asked: The files that it was asked to mend.
    """

    prefix: bytes
    fails: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def can(self, report: WeightsReport) -> bool:
        """Tell whether every error can be mended without loss."""
        return not report.ok and all(found.mend is Mend.CONVERT for found in report.errors)

    def mend(self, report: WeightsReport, folder: Path) -> Mended:
        """Write the file without the prefix."""
        self.asked.append(report.summary.file)
        out = folder / "weights.safetensors"
        out.write_bytes(b"half")
        if self.fails is not None:
            raise self.fails
        out.write_bytes(Path(report.summary.file).read_bytes().removeprefix(self.prefix))
        return Mended(out, ("the prefix was taken off",))
