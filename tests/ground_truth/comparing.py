"""Compare what we foretell of a file with what the real loader did with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lorry.model.verdict import Outcome, Prediction
from lorry.weights.adapter.modules import read_adapter
from lorry.weights.bases.families import Family
from lorry.weights.bases.identify import fit_to
from lorry.weights.files.header import Header, Tensor
from lorry.weights.loaders.predict import predict
from tools.ground_truth.adapters import Shapes
from tools.ground_truth.real import STRENGTH, Loaded, RealLoader


@dataclass(frozen=True, slots=True)
class Case:
    """A file to try: what it is, its tensors and its metadata."""

    name: str
    shapes: Shapes
    metadata: Mapping[str, str] | None = None


def foretell(known: Family, case: Case) -> Prediction:
    """Foretell what diffusers does with a case."""
    header = Header(tuple(Tensor(name, "F32", shape, 0, 0) for name, shape in case.shapes.items()), {}, 0)
    adapter = read_adapter(header)
    return predict(adapter, fit_to(adapter, known), "diffusers", case.metadata)


def disagreement(known: Family, real: RealLoader, case: Case) -> str | None:
    """Load a case with the real loader and say where we foretold something else; `None` where we did not."""
    foretold = foretell(known, case)
    loaded = real.load(case.shapes, case.metadata)
    wrong = _wrong(foretold, loaded)
    return f"{case.name}: {wrong}; we said: {foretold.sentence}" if wrong else None


def _wrong(foretold: Prediction, loaded: Loaded) -> str | None:
    refused = loaded.error is not None or loaded.widened
    if foretold.outcome is Outcome.UNKNOWN:
        return "nothing was foretold"
    if refused or foretold.outcome is Outcome.REFUSED:
        return None if refused and foretold.outcome is Outcome.REFUSED else f"it raised {loaded.error}"
    if foretold.modules != len(loaded.layers):
        return f"it changed {len(loaded.layers)} layers"
    if (foretold.outcome is Outcome.RANDOM) is not bool(loaded.random):
        return f"{len(loaded.random)} layers hold memory that nobody wrote"
    return _strength(foretold, loaded)


def _strength(foretold: Prediction, loaded: Loaded) -> str | None:
    """Compare the strengths, where the outcome says something about them."""
    wanted = {Outcome.ALPHA_DROPPED: {1.0}, Outcome.ALPHA_TWICE: {2 * STRENGTH}}.get(foretold.outcome)
    if wanted is not None and loaded.strengths != wanted:
        return f"the strengths are {sorted(loaded.strengths)}"
    if foretold.outcome is Outcome.MAGNITUDE_DROPPED and not loaded.plain:
        return "the magnitudes act"
    return None
