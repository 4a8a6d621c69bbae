"""Convert a file before it is shipped, when that is all it needs: no loss, and nobody to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lorry.model.report import Mend, WeightsReport
from lorry.weights.convert.conversion import convert
from lorry.weights.convert.options import Conversion, Options

#: Errors that a conversion mends only with a number that the user has to say, or that lie around the file.
_ASKS = frozenset({"META_JSON", "PEFT_CONFIG_MISSING", "PEFT_CONFIG_JSON", "FILE_ARCHIVE"})
#: Warnings that change what a file does, so that shipping it as it is would be wrong.
_WORTH = frozenset({"ALPHA_DROPPED", "KEYS_MIXED"})


def mends(report: WeightsReport) -> bool:
    """Tell whether a file needs a conversion, and a conversion without loss or questions is all it needs.

    Args:
        report: What the check said of it.
    """
    needs = [*report.errors, *(found for found in report.findings if found.code in _WORTH)]
    return bool(needs) and all(_mendable(found.code, found.mend, found.evidence) for found in needs)


def mend(report: WeightsReport, folder: Path) -> Conversion:
    """Convert a file that `mends` speaks for, into the layout that most loaders take.

    Args:
        report: What the check said of it.
        folder: Where to put the result; made when it is not there.

    Raises:
        LorryError: As `convert` does.
    """
    return convert(Path(report.summary.file), folder, Options(base=report.summary.family))


def _mendable(code: str, mend: Mend, evidence: Mapping[str, Any]) -> bool:
    unsaid = code == "PEFT_CONFIG_FIELDS" and "lora_alpha" in (evidence.get("missing") or ())
    return mend is Mend.CONVERT and code not in _ASKS and not unsaid
