"""What a loader's habits mean for a file's spelling, as a finding."""

from __future__ import annotations

from collections.abc import Iterator

from lorry.model.report import Finding
from lorry.model.verdict import Outcome
from lorry.weights.adapter.modules import Adapter
from lorry.weights.bases.fit import Fit
from lorry.weights.catalogue import finding
from lorry.weights.loaders.predict import loaders_for, predict_layout

_WRONG = (Outcome.IGNORED, Outcome.REFUSED, Outcome.PARTIAL)


def layout_outcome(adapter: Adapter, fit: Fit | None) -> Outcome:
    """Tell what the usual loader of a family does with the way that a file is spelled.

    Args:
        adapter: The file's modules.
        fit: How they lie on the family that they are for; `None` when none is known.
    """
    if fit is None:
        return Outcome.UNKNOWN
    return predict_layout(adapter, fit, loaders_for(fit.family)[0]).outcome


def layout_findings(adapter: Adapter, fit: Fit | None) -> Iterator[Finding]:
    """Say when the usual loader of a family does not take the way that a file is spelled.

    Adapters for text have rules of their own (`adapter/peft.py`).

    Args:
        adapter: The file's modules.
        fit: How they lie on the family that they are for; `None` when none is known.
    """
    if fit is None or fit.family.modality == "text":
        return
    told = predict_layout(adapter, fit, loaders_for(fit.family)[0])
    if told.outcome in _WRONG:
        alpha = ", alpha" if adapter.has_alpha else ""
        message = (
            f"{fit.total} modules are spelled in the {adapter.layout} layout ({fit.naming} names, "
            f"{adapter.spelling or adapter.algorithm}{alpha}); for {fit.family.name}, {told.sentence}"
        )
        fix = f"Export again in the diffusers layout: `{fit.family.component}.<layer>.lora_A.weight`."
        outcome = str(told.outcome)
        yield finding(
            "KEYS_PREFIX", message, fix=fix, layout=adapter.layout, outcome=outcome, loader=told.loader
        )
