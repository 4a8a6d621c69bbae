"""Tell which layouts a file can be converted to, and what a conversion mends: pure, from its header alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorry.model.report import Mend, WeightsReport
from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Adapter
from lorry.weights.adapter.text import is_text, straightened
from lorry.weights.bases.identify import Fit
from lorry.weights.convert.conversion import convert
from lorry.weights.convert.options import Conversion, Layout, Options
from lorry.weights.convert.planning import draft
from lorry.weights.convert.reading import Given, with_encoders_apart
from lorry.weights.convert.selecting import Notes
from lorry.weights.convert.strengths import Statements, header_config
from lorry.weights.files.header import Header
from lorry.weights.files.source import MemorySource
from lorry.weights.trainers.labels import Neighbours

_RANK = 64  # what is proposed where a rank has to be chosen
#: Errors that a conversion mends only with a number that the user has to say.
_ASKS = frozenset({"META_JSON", "PEFT_CONFIG_MISSING", "PEFT_CONFIG_JSON", "FILE_ARCHIVE"})
#: Warnings that change what a file does, so that shipping it as it is would be wrong.
_WORTH = frozenset({"ALPHA_DROPPED", "KEYS_MIXED"})


@dataclass(frozen=True, slots=True)
class Way:
    """Whether a file can be written in one layout.

    Attributes:
        layout: The layout.
        mend: `convert` when nothing gets lost, `lossy` when something does, `no` when it can't be written.
        option: What to say to `lorry convert`: `--to diffusers`, `--to diffusers --lossy --rank 64`; `None`
            when it can't be written.
        steps: What would happen, in words.
        reasons: Why it can't be written, or what would get lost.
        modules: Layers that the result would have.
    """

    layout: Layout
    mend: Mend
    option: str | None
    steps: tuple[str, ...]
    reasons: tuple[str, ...]
    modules: int


def way_to(
    layout: Layout,
    header: Header,
    adapter: Adapter,
    fit: Fit | None,
    config: Mapping[str, Any],
    *,
    rank: int | None = None,
) -> Way:
    """Tell whether a file can be written in a layout, from its header.

    Args:
        layout: The layout.
        header: The file's header.
        adapter: Its modules, as `read_adapter` groups them.
        fit: How they lie on the family of base models, where that is known.
        config: The fields of adapter_config.json beside it; empty where there is none.
        rank: The rank that no layer may exceed, where a loader has such a limit.
    """
    text = straightened(adapter) if is_text(adapter, config) else None
    modules = with_encoders_apart((text.adapter if text else adapter).modules)
    # An alpha's number decides nothing here but whether it is one, which the check says by itself.
    alphas = {tensor.name: 1.0 for module in modules for tensor in module.tensors.get(Role.ALPHA, ())}
    fields = header_config(header.metadata)
    stated = Statements(alphas, fields or {}, config, None, fields is None)
    source, beside = MemorySource("the file", b""), Neighbours(adapter_config=config)
    given = Given(source, header, adapter, modules, None if text else fit, text, stated, beside, ())
    notes = Notes()
    plan = draft(given, Options(to=layout, rank=rank), notes)
    reasons = tuple(sentence for sentence, _ in (*notes.doubts, *notes.losses))
    if notes.doubts:
        return Way(layout, Mend.NO, None, (), reasons, 0)
    option = f"--to {layout}"
    if notes.losses:
        cut = rank if rank is not None else _RANK
        option += f" --lossy --rank {cut}" if any("rank" in reason for reason in reasons) else " --lossy"
    mend = Mend.LOSSY if notes.losses else Mend.CONVERT
    return Way(layout, mend, option, plan.steps, reasons, len(plan.outputs))


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
