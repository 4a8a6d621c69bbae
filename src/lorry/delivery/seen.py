"""What was seen of a file before anything was done with it: the first step of every delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from lorry.delivery.mending import Check, Copy, Mender, converted
from lorry.delivery.ports import Now
from lorry.delivery.run import Run, Values
from lorry.delivery.source import digest_of
from lorry.errors import LorryError, SourceNotFound, WeightsRejected
from lorry.journal import step_done, step_failed, step_started
from lorry.model.events import Event
from lorry.model.placement import TrainedModel
from lorry.model.report import Finding, Severity, WeightsReport, WeightsSummary
from lorry.weights import family

_STEP = "check"
_CONVERT = "convert"
_NEEDS = {True: " It is taken out of where it lies.", False: " A conversion makes it fit."}


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that was done before anything was written: its step, what came of it, and when."""

    step: str
    doing: str
    sentence: str
    facts: dict[str, Any]
    began: datetime
    ended: datetime

    def as_values(self) -> Values:
        """Give it as JSON values."""
        return {
            "step": self.step,
            "doing": self.doing,
            "sentence": self.sentence,
            "facts": self.facts,
            "began": self.began.isoformat(),
            "ended": self.ended.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """A model whose file passed the check, and what was done to find that out."""

    model: TrainedModel
    looks: tuple[Look, ...] = field(default=())

    def as_values(self) -> Values:
        """Give it as JSON values, as a workflow takes it."""
        return {"model": self.model.as_dict(), "looks": [look.as_values() for look in self.looks]}


@dataclass(frozen=True, slots=True)
class Eyes:
    """What looking at a file takes: who checks, who converts, the home, the time, and who hears of it.

    `base` is the base model that the user named, for files that do not tell it.
    """

    check: Check
    mender: Mender
    home: Path
    now: Now
    listen: Callable[[Event], None]
    speaker: str
    base: str | None = None


async def look_at(source: str | Path, name: str, eyes: Eyes) -> Seen:
    """Check a model's files, and convert them when the route needs it; nothing is written to the journal yet.

    Args:
        source: What the user named.
        name: Lorry's name for the model.
        eyes: What looking takes.

    Raises:
        WeightsRejected: There are errors that no conversion mends, or the base can't be told.
        SourceNotFound: There is nothing to check.
        LorryError: The conversion failed.
    """
    looks: list[Look] = []

    def check() -> tuple[WeightsReport, str]:
        report = _complete(eyes.check(source), eyes.base)
        needs = eyes.mender.can(report)
        if not (report.ok or needs):
            raise WeightsRejected(report)
        return report, _sentence(report) + (_NEEDS[report.ok] if needs else "")

    report = await _look(_STEP, "Checking the files.", name, eyes, looks, check)
    if eyes.mender.can(report):

        def convert() -> tuple[WeightsReport, str]:
            copy: Copy = converted(report, eyes.home, eyes.mender, eyes.check)
            if not copy.report.ok:
                raise WeightsRejected(copy.report)
            return _complete(_named(copy.report, report), eyes.base), f"{'; '.join(copy.steps)}."

        report = await _look(_CONVERT, "Making a copy that the route takes.", name, eyes, looks, convert)
    return Seen(model_of(report.summary, name, looks[-1].ended), tuple(looks))


async def _look(
    step: str,
    doing: str,
    name: str,
    eyes: Eyes,
    looks: list[Look],
    act: Callable[[], tuple[WeightsReport, str]],
) -> WeightsReport:
    """Do one thing in a thread, tell who listens that it begins or fails, and keep what came of it."""
    began = eyes.now()
    eyes.listen(step_started(name, eyes.speaker, step, doing, began))
    try:
        report, sentence = await asyncio.to_thread(act)
    except LorryError as error:
        eyes.listen(step_failed(name, eyes.speaker, step, error, eyes.now(), began))
        raise
    looks.append(Look(step, doing, sentence, _facts(report), began, eyes.now()))
    return report


async def tell_checked(run: Run, values: Values) -> Values:
    """Write the events of the looks that have been, now that there is a model that they belong to."""
    name = run.model.name
    for look in values["looks"]:
        began, ended = (datetime.fromisoformat(look[key]) for key in ("began", "ended"))
        await run.world.journal.write(step_started(name, run.source, look["step"], look["doing"], began))
        await run.save(step=look["step"])
        await run.tell(
            step_done(name, run.source, look["step"], look["sentence"], ended, began, look["facts"])
        )
    return {"done": True}


def model_from(values: Values) -> TrainedModel:
    """Give the model again that `TrainedModel.as_dict` wrote down."""
    return TrainedModel(**{**values, "created_at": datetime.fromisoformat(values["created_at"])})


def _complete(report: WeightsReport, base: str | None) -> WeightsReport:
    """Refuse what can't be placed anywhere; a family without a named base stands for itself.

    A whole model gets its digest here: the check reads no more of it than its headers.
    """
    summary = report.summary
    if not report.ok:
        return report
    if summary.kind == "checkpoint" and summary.digest is None:
        folder = _folder_of(summary)
        summary = replace(summary, file=str(folder), digest=digest_of(folder))
    summary = replace(summary, base=summary.base or base)
    if summary.digest and (summary.family or summary.base):
        return replace(report, summary=summary)
    unknown = Finding(
        "BASE_UNKNOWN",
        Severity.ERROR,
        f"It can't be told which base model {Path(summary.file).name} was trained on.",
        "Add `--base OWNER/NAME`, or write it into the file's metadata or its adapter_config.json.",
    )
    return replace(report, findings=(unknown, *report.findings))


def _folder_of(summary: WeightsSummary) -> Path:
    """Find the folder of a whole model; a model that is not on this machine is not fetched, for its size."""
    for place in (Path(summary.path), Path(summary.file).parent):
        if place.is_dir() and "://" not in summary.path:
            return place
    raise SourceNotFound(
        f"{summary.path} is a whole model that does not lie in a folder on this machine.",
        fix="Download it into a folder (`hf download OWNER/NAME --local-dir DIR`) and ship that.",
        evidence={"source": summary.path},
    )


def _named(copy: WeightsReport, original: WeightsReport) -> WeightsReport:
    """Keep what the copy does not say any more, as its neighbours stayed behind: trigger word and base."""
    told, before = copy.summary, original.summary
    return replace(
        copy,
        summary=replace(told, trigger=told.trigger or before.trigger, base=told.base or before.base),
    )


def model_of(summary: WeightsSummary, name: str, at: datetime) -> TrainedModel:
    """Give a model as its files tell of it.

    Args:
        summary: What the check found.
        name: Lorry's name for it.
        at: When it was seen, UTC.
    """
    return TrainedModel(
        name=name,
        source=str(Path(summary.file).absolute()),
        digest=summary.digest or "",
        family=summary.family or "",
        base=_base(summary),
        trigger=summary.trigger,
        modules=summary.modules,
        created_at=at,
        kind=summary.kind or "image-lora",
    )


def _sentence(report: WeightsReport) -> str:
    summary = report.summary
    rank = f", rank {summary.rank}" if summary.rank else ""
    warnings = sum(finding.severity is Severity.WARNING for finding in report.findings)
    more = f"; {warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
    if summary.kind == "checkpoint":
        return f"{(summary.choice or 'A whole model').rstrip('.')}{more}."
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
