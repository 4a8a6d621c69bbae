"""Where a delivery stands, as lines of text: its stages, and what the platform says of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from lorry.cli.printing import eta
from lorry.journal import Estimate, Stage, StageState, Status


def status_lines(status: Status, usual: Mapping[str, Estimate], now: datetime) -> list[str]:
    """Write the stages of a delivery that is not through, and the reasons that the platform gives.

    Args:
        status: Where it stands.
        usual: How long its route's steps usually take, by their names.
        now: The time, UTC.
    """
    width = max(len(stage.name) for stage in status.stages)
    lines = [_stage_line(stage, width, usual, now) for stage in status.stages]
    if status.reasons:
        lines += ["", "the platform says"]
        lines += [f"  {reason.at}  {reason.level:<5}  {reason.message}" for reason in status.reasons]
    return lines


def _stage_line(stage: Stage, width: int, usual: Mapping[str, Estimate], now: datetime) -> str:
    words = [stage.said or "", stage.message]
    if stage.state is StageState.RUNNING and stage.step and stage.began:
        left = eta(usual.get(stage.step), (now - stage.began).total_seconds())
        words.append(f"({left})" if left else "")
    told = "  ".join(word for word in words if word)
    return f"  {stage.name:<{width}}  {stage.state:<7}  {told}".rstrip()
