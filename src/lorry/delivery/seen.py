"""What was seen of a file before anything was done with it: the first step of every delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from lorry.delivery.ports import Now
from lorry.delivery.run import Run, Values
from lorry.errors import LorryError, WeightsRejected
from lorry.journal import step_done, step_failed, step_started
from lorry.model.events import Event
from lorry.model.placement import TrainedModel
from lorry.model.report import Finding, Severity, WeightsReport, WeightsSummary
from lorry.weights import family

#: Reads and judges a model's files.
Check = Callable[[Path], WeightsReport]

_STEP = "check"


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that passed the check, and when the check began and ended."""

    model: TrainedModel
    sentence: str
    facts: dict[str, Any]
    began: datetime
    ended: datetime

    def as_values(self) -> Values:
        """Give it as JSON values, as a workflow takes it."""
        return {
            "model": self.model.as_dict(),
            "sentence": self.sentence,
            "facts": self.facts,
            "began": self.began.isoformat(),
            "ended": self.ended.isoformat(),
        }


async def look_at(
    source: Path, name: str, check: Check, now: Now, listen: Callable[[Event], None], speaker: str
) -> Seen:
    """Check a model's files, telling who listens but writing nothing yet.

    Args:
        source: What the user named.
        name: Lorry's name for the model.
        check: Reads and judges.
        now: The time.
        listen: Hears that the check begins, and when it fails.
        speaker: In whose name it is said.

    Raises:
        WeightsRejected: There are errors, or the base can't be told.
        SourceNotFound: There is nothing to check.
    """
    began = now()
    listen(step_started(name, speaker, _STEP, "Checking the files.", began))
    try:
        report = _complete(await asyncio.to_thread(check, source))
        if not report.ok:
            raise WeightsRejected(report)
    except LorryError as error:
        listen(step_failed(name, speaker, _STEP, error, now(), began))
        raise
    ended = now()
    return Seen(_model(report.summary, name, ended), _sentence(report), _facts(report), began, ended)


async def tell_checked(run: Run, values: Values) -> Values:
    """Write the events of a check that has been, now that there is a model that they belong to."""
    began, ended = (datetime.fromisoformat(values[key]) for key in ("began", "ended"))
    name = run.model.name
    await run.world.journal.write(step_started(name, run.source, _STEP, "Checking the files.", began))
    await run.save(step=_STEP)
    await run.tell(step_done(name, run.source, _STEP, values["sentence"], ended, began, values["facts"]))
    return {"done": True}


def model_from(values: Values) -> TrainedModel:
    """Give the model again that `TrainedModel.as_dict` wrote down."""
    return TrainedModel(**{**values, "created_at": datetime.fromisoformat(values["created_at"])})


def _complete(report: WeightsReport) -> WeightsReport:
    """Refuse what can't be placed anywhere; a family without a named base stands for itself."""
    summary = report.summary
    if not report.ok or (summary.digest and summary.family):
        return report
    unknown = Finding(
        "BASE_UNKNOWN",
        Severity.ERROR,
        f"It can't be told which base model {Path(summary.file).name} was trained on.",
        "Write the base model into the file's metadata or its adapter_config.json.",
    )
    return replace(report, findings=(unknown, *report.findings))


def _model(summary: WeightsSummary, name: str, at: datetime) -> TrainedModel:
    return TrainedModel(
        name=name,
        source=str(Path(summary.file).absolute()),
        digest=summary.digest or "",
        family=summary.family or "",
        base=_base(summary),
        trigger=summary.trigger,
        modules=summary.modules,
        created_at=at,
    )


def _sentence(report: WeightsReport) -> str:
    summary = report.summary
    rank = f", rank {summary.rank}" if summary.rank else ""
    warnings = sum(finding.severity is Severity.WARNING for finding in report.findings)
    more = f"; {warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
    kind = summary.algorithm or "adapter"
    return f"{kind} for {_base(summary)}: {summary.modules} modules{rank}{more}."


def _base(summary: WeightsSummary) -> str:
    known = family(summary.family) if summary.family else None
    return summary.base or (known.name if known else summary.family or "")


def _facts(report: WeightsReport) -> dict[str, Any]:
    summary = report.summary
    return {
        "digest": summary.digest,
        "base": summary.base,
        "trigger": summary.trigger,
        "bytes": summary.size_bytes,
        "findings": [finding.code for finding in report.findings],
    }
