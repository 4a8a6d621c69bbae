"""Tell which layouts a file can be converted to, and what would get lost: pure, from its header alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lorry.model.report import Mend
from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Adapter
from lorry.weights.adapter.text import is_text, straightened
from lorry.weights.bases.identify import Fit
from lorry.weights.convert.options import Layout, Options
from lorry.weights.convert.planning import draft
from lorry.weights.convert.reading import Given, with_encoders_apart
from lorry.weights.convert.selecting import Notes
from lorry.weights.convert.strengths import Statements, header_config
from lorry.weights.files.header import Header
from lorry.weights.files.source import MemorySource

_RANK = 64  # what is proposed where a rank has to be chosen


@dataclass(frozen=True, slots=True)
class Way:
    """Whether a file can be written in one layout.

    Attributes:
        layout: The layout.
        mend: `convert` when nothing gets lost, `lossy` when something does, `no` when it can't be written.
        option: What to say to `lorry convert`: `--to diffusers`, `--to diffusers --lossy --rank 64`,
            `--to peft --alpha ALPHA` where only the user knows a number; `None` when it can't be written.
        steps: What would happen, in words.
        reasons: Why it can't be written, what would get lost, or what has to be asked.
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
    source = MemorySource("the file", b"")
    given = Given(source, header, adapter, modules, None if text else fit, text, stated, config, ())
    notes = Notes()
    plan = draft(given, Options(to=layout, rank=rank), notes)
    reasons = tuple(sentence for sentence, _ in (*notes.doubts, *notes.questions, *notes.losses))
    if notes.doubts:
        return Way(layout, Mend.NO, None, (), reasons, 0)
    option = f"--to {layout}" + (" --alpha ALPHA" if notes.questions else "")
    if notes.losses:
        cut = rank if rank is not None else _RANK
        asked = any("rank" in sentence for sentence, _ in notes.losses)
        option += f" --lossy --rank {cut}" if asked else " --lossy"
    mend = Mend.LOSSY if notes.losses else Mend.CONVERT
    return Way(layout, mend, option, plan.steps, reasons, len(plan.outputs))
