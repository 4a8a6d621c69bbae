"""The verdict for one file and one route or loader: runs, runs after conversion, does not run. Pure.

How it works: every limit of the target's profile gives its reasons (`reasons.py`); without a blocking one
the file runs; when `lorry convert` mends every blocking one it runs after conversion, and the command that
mends them all is named; otherwise it does not run. Where nobody knows, it is not said to run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from lorry.model.report import WeightsReport, WeightsSummary
from lorry.model.verdict import Reason, Runs, Verdict
from lorry.platforms.profiles import Profile, chosen
from lorry.platforms.reasons import layout_for, prediction, reasons

# `--to diffusers`, `--rank 64`, `--lossy`: an option with its value, in the order of a command.
_OPTION = re.compile(r"(--[a-z-]+)(?: ([^- ]\S*))?")
_ORDER = ("--to", "--dtype", "--rank", "--alpha", "--lossy")
_ENDINGS = (".safetensors", ".tar.gz", ".tgz", ".tar", ".zip")
_NAMELESS = frozenset({"adapter_model", "pytorch_lora_weights", "lora", "model", "weights"})


def verdicts(report: WeightsReport, targets: Iterable[str]) -> tuple[Verdict, ...]:
    """Judge a file for several routes and loaders, in their own order.

    Args:
        report: What the check said.
        targets: Names of routes and loaders, or `all`.

    Raises:
        OptionInvalid: A name is no route and no loader.
    """
    return tuple(judge(report, profile) for profile in chosen(targets))


def judge(report: WeightsReport, profile: Profile) -> Verdict:
    """Judge a file for one route or loader.

    Args:
        report: What the check said.
        profile: The route or loader.
    """
    found = tuple(sorted(reasons(report, profile), key=_weight))
    blocking = [reason for reason in found if reason.blocks]
    load = prediction(report.summary, profile)
    if not blocking:
        return Verdict(profile.target, profile.kind, Runs.YES, found, None, load.modules if load else None)
    mends = [reason.mend for reason in blocking]
    if any(mend is None for mend in mends):
        return Verdict(profile.target, profile.kind, Runs.NO, found)
    command = _command(report.summary, profile, [mend for mend in mends if mend])
    expected = load.expected if load and load.expected else None
    return Verdict(profile.target, profile.kind, Runs.CONVERTED, found, command, expected)


def as_data(found: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Give verdicts as JSON values; `docs/reference/routes.md` describes them.

    Args:
        found: The verdicts.
    """
    return [asdict(verdict) for verdict in found]


def _weight(reason: Reason) -> int:
    """What blocks for good first, then what can be mended, then what is only to be known."""
    return 2 if not reason.blocks else int(reason.mend is not None)


def _command(summary: WeightsSummary, profile: Profile, mends: Sequence[str]) -> str:
    """Write the command that mends everything; it names the layout, as convert has a default of its own."""
    options = {"--to": layout_for(summary, profile) or "diffusers"}
    for name, value in _OPTION.findall(" ".join(mends)):
        lower = name == "--rank" and name in options and int(options[name]) < int(value)
        options[name] = options[name] if lower else value
    words = [f"{name} {options[name]}".strip() for name in _ORDER if name in options]
    out = _out(summary, options["--to"])
    return " ".join(["lorry convert", shlex.quote(summary.path), "-o", shlex.quote(out), *words])


def _out(summary: WeightsSummary, layout: str) -> str:
    """Name the result after the model: a folder for PEFT, which needs two files; a file for the others."""
    named = re.split(r"[?#]", summary.path)[0].replace("\\", "/").rstrip("/")
    pieces = [piece for piece in re.split(r"[/:]", named) if piece]
    stems = [_stem(piece) for piece in reversed(pieces)]
    stem = next((stem for stem in stems if stem and stem.lower() not in _NAMELESS), "adapter")
    return f"{stem}-{layout}" if layout == "peft" else f"{stem}-{layout}.safetensors"


def _stem(name: str) -> str:
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
            break
    return name.partition("@")[0].strip(".")
