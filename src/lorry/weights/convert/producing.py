"""Write the planned file, layer by layer, and say in words what happened to the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lorry.weights.adapter.keys import Role
from lorry.weights.catalogue import counted, fault
from lorry.weights.convert.building import Built, built
from lorry.weights.convert.layouts import States
from lorry.weights.convert.matrices import Matrix, computed
from lorry.weights.convert.metadata import new_metadata, without_private_fields
from lorry.weights.convert.numbers import ROUNDING
from lorry.weights.convert.options import Layout, Options
from lorry.weights.convert.peft_file import Layer, adapter_config
from lorry.weights.convert.planning import Output, Plan
from lorry.weights.convert.proving import Allowance
from lorry.weights.convert.reading import Given
from lorry.weights.convert.strengths import Said
from lorry.weights.convert.writing import Room, TensorFile
from lorry.weights.files.header import Tensor

CONFIG = "adapter_config.json"
_PIECE = 1 << 20  # bytes of a whole layer that are copied at a time


@dataclass(frozen=True, slots=True)
class Product:
    """What was written.

    Attributes:
        allowances: By layer, what may differ from the source.
        steps: What was done, in words.
    """

    allowances: Mapping[str, Allowance]
    steps: tuple[str, ...]


@dataclass(slots=True)
class _Tally:
    """What happens to the numbers, counted while it happens."""

    folded: Counter[float] = field(default_factory=Counter)
    rounded: int = 0
    casts: Counter[tuple[str, str]] = field(default_factory=Counter)
    products: Counter[str] = field(default_factory=Counter)
    widened: int = 0
    assumed: int = 0
    stated: Counter[str] = field(default_factory=Counter)


def produce(given: Given, plan: Plan, options: Options, file: Path) -> Product:
    """Write a planned file, and adapter_config.json beside it where the layout has one.

    Args:
        given: The source.
        plan: What to write.
        options: What was asked for.
        file: Where to write it.

    Raises:
        OSError: It can't be written.
        ConversionRefused: A strength can't be multiplied in without numbers becoming infinite.
    """
    metadata, cleaned = new_metadata(given.header.metadata, plan.steps, strip_private=options.strip_private)
    allowances: dict[str, Allowance] = {}
    tally = _Tally()
    layers: list[Layer] = []
    alphas: list[tuple[str, float]] = []
    with file.open("wb", buffering=_PIECE) as opened:
        tensors = TensorFile(opened, list(_rooms(plan)), metadata)
        for made in built(given, plan, options.rank):
            output, pair = made.output, made.pair
            # up may end with the zeros of a part that is not there; a file that does looks interrupted
            tensors.add(output.name + plan.spelling.up, pair.up)
            tensors.add(output.name + plan.spelling.down, pair.down)
            if _states_alpha(plan, made):
                alphas.append((f"{output.name}.alpha", pair.scale * pair.rank))
            allowances[output.name] = Allowance(made.rounding, made.cut)
            layers.append(Layer(output.layer, pair.rank, pair.scale))
            _count(given, made, tally)
        for name, tensor in plan.whole:
            tensors.add_bytes(name, tensor.dtype, tensor.shape, _pieces(given, tensor))
        for name, alpha in alphas:
            tensors.add(name, _scalar(alpha))
        tensors.finish()
    if plan.layout is Layout.PEFT:
        known = given.config
        if options.strip_private:
            known = without_private_fields(known)
        text = adapter_config(layers, known, options.base, text=given.text is not None)
        file.with_name(CONFIG).write_text(text, encoding="utf-8")
    return Product(allowances, (*plan.steps, *_said(tally, plan), *cleaned))


def _states_alpha(plan: Plan, made: Built) -> bool:
    states = plan.spelling.states
    return states is States.ALPHA or (states is States.NEEDED and made.pair.scale != 1.0)


def _scalar(value: float) -> Matrix:
    import numpy as np

    return computed(np.array(value, "<f4"))


def _rooms(plan: Plan) -> Iterator[Room]:
    """List the tensors that will come at most, with the largest shapes that they can have."""
    for output in plan.outputs:
        ones = (1,) * (len(output.kernel) - 1)
        yield output.name + plan.spelling.up, output.dtype, (output.rows, output.rank, *ones)
        yield output.name + plan.spelling.down, output.dtype, (output.rank, *output.kernel)
    for name, tensor in plan.whole:
        yield name, tensor.dtype, tensor.shape
    if plan.spelling.states in (States.ALPHA, States.NEEDED):
        for output in plan.outputs:
            yield f"{output.name}.alpha", "F32", ()


def _pieces(given: Given, tensor: Tensor) -> Iterator[memoryview]:
    for offset in range(tensor.begin, tensor.end, _PIECE):
        count = min(_PIECE, tensor.end - offset)
        piece = given.source.read(given.header.data_start + offset, count)
        if len(piece) < count:
            message = f"{given.source.name} ended inside {tensor.name} while it was read."
            raise fault("FILE_CHANGED", message, subject=tensor.name)
        yield memoryview(piece)


def _count(given: Given, made: Built, tally: _Tally) -> None:
    output = made.output
    modules = output.modules
    for module in modules:
        kinds = {t.dtype for role, found in module.tensors.items() if role is not Role.ALPHA for t in found}
        tally.casts.update((kind, output.dtype) for kind in kinds if kind != output.dtype)
        for role, word in ((Role.LOKR, "LoKr"), (Role.LOHA, "LoHa"), (Role.MID, "Tucker")):
            tally.products[word] += role in module.tensors
        stated = given.stated.of(module)
        tally.stated[stated.said] += 1
        tally.assumed += stated.said is Said.NOBODY and module.spelling == "lora_down"
    if made.folding != 1.0:
        tally.folded[made.folding] += 1
        tally.rounded += made.rounding > 0
    tally.widened += len(modules) > 1 and made.pair.rank > max(module.rank or 0 for module in modules)


def _said(tally: _Tally, plan: Plan) -> Iterator[str]:
    for word, count in tally.products.items():
        if count:
            yield f"{counted(count, f'{word} module')} written out as LoRA"
    if tally.folded:
        factors = ", ".join(f"{scale:.6g}" for scale, _ in tally.folded.most_common(3))
        more = " …" if len(tally.folded) > 3 else ""
        exact = (
            f"rounded to {_kinds(plan)} in {counted(tally.rounded, 'layer')}" if tally.rounded else "exact"
        )
        yield (
            f"the strength (×{factors}{more}) multiplied into the weights of "
            f"{counted(sum(tally.folded.values()), 'layer')}: {exact}"
        )
    if tally.assumed:
        yield f"no alpha is stated for {counted(tally.assumed, 'layer')}: taken as equal to the rank"
    if tally.widened:
        yield f"{counted(tally.widened, 'fused layer')} have the ranks of their parts together"
    for (old, new), count in tally.casts.items():
        yield f"{old} stored as {new} in {counted(count, 'layer')}"


def _kinds(plan: Plan) -> str:
    kinds: list[Output] = list(plan.outputs)
    return " and ".join(
        f"{kind} (at most {100 * ROUNDING[kind]:.2g}% per number)"
        for kind in sorted({k.dtype for k in kinds})
    )
