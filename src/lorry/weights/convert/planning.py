"""Decide what a converted file consists of, from the header alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Module
from lorry.weights.catalogue import counted
from lorry.weights.convert.layouts import SPELLINGS, Spelling, key_name
from lorry.weights.convert.mapping import Piece
from lorry.weights.convert.naming import Named, named
from lorry.weights.convert.numbers import WRITTEN
from lorry.weights.convert.options import Layout, Options
from lorry.weights.convert.reading import Given
from lorry.weights.convert.selecting import Notes, usable
from lorry.weights.files.header import Tensor

#: The rank up to which a LoKr or LoHa is written out exactly without being asked; beyond it the LoRA is many
#: times as large as what it was made of.
LARGEST_EXACT = 128

_PRODUCTS = frozenset({Role.LOKR, Role.LOHA})
_KERNELS = {Role.MID: ("",), Role.LOKR: ("lokr_w2", "lokr_t2"), Role.LOHA: ("hada_t1",)}


@dataclass(frozen=True, slots=True)
class Output:
    """A layer of the result.

    Attributes:
        name: Its tensors' names without what names the matrix.
        layer: The layer's own name, as adapter_config.json calls it.
        rows: Outputs of the layer.
        pieces: Where its rows come from; rows without a piece are zero.
        dtype: The data type of both matrices.
        rank: The rank that it has at most.
        kernel: Shape of a row of the down matrix.
    """

    name: str
    layer: str
    rows: int
    pieces: tuple[Piece, ...]
    dtype: str
    rank: int
    kernel: tuple[int, ...]

    @property
    def modules(self) -> tuple[Module, ...]:
        """The modules that its rows come from, each once."""
        return tuple({id(piece.module): piece.module for piece in self.pieces}.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written.

    Attributes:
        layout: The layout.
        outputs: The layers, in the order in which they are written.
        whole: Tensors that are copied as they are, by their new names: whole layers of a language model.
        steps: What happens to the file, in words, as far as the header tells.
    """

    layout: Layout
    outputs: tuple[Output, ...]
    whole: tuple[tuple[str, Tensor], ...]
    steps: tuple[str, ...]

    @property
    def spelling(self) -> Spelling:
        """The layout's words."""
        return SPELLINGS[self.layout]

    @property
    def sources(self) -> tuple[Module, ...]:
        """The modules of the source that are converted, each once."""
        found = {id(module): module for output in self.outputs for module in output.modules}
        return tuple(found.values())


def plan_for(given: Given, options: Options) -> Plan:
    """Plan a conversion.

    Args:
        given: The source, read as far as its header.
        options: What is asked for.

    Raises:
        ConversionRefused: It can't be done, or not without losing something; with every reason.
    """
    notes = Notes(options.lossy)
    plan = draft(given, options, notes)
    notes.settle()
    return plan


def draft(given: Given, options: Options, notes: Notes) -> Plan:
    """Plan a conversion as far as possible, and note what keeps it from being made.

    Args:
        given: The source.
        options: What is asked for.
        notes: Takes what happens, and what forbids it.
    """
    layout = options.to or (Layout.DIFFUSERS if given.text is None else Layout.PEFT)
    notes.steps += given.steps
    modules = usable(given, layout, notes)
    outputs = tuple(_output(each, options) for each in named(given, layout, modules, options, notes))
    if not outputs and not (notes.doubts or notes.losses):
        notes.refuse(f"Nothing of {given.source.name} is left to write.", "Run `lorry check` on the file.")
    _judge_ranks(outputs, options, notes)
    whole = tuple(
        (f"{key_name(Layout.PEFT, '', name)}.{tensor.name.rpartition('.')[2]}", tensor)
        for name, tensor in (given.text.whole if given.text is not None else ())
    )
    return Plan(layout, outputs, whole, tuple(notes.steps))


def _output(layer: Named, options: Options) -> Output:
    name, own, rows, pieces = layer
    modules = {id(piece.module): piece.module for piece in pieces}.values()
    rank = sum(highest_rank(module) for module in modules)
    if options.rank is not None:
        rank = min(rank, options.rank)
    dtype = WRITTEN[options.dtype] if options.dtype else _dtype(list(modules))
    return Output(name, own, rows, pieces, dtype, rank, _kernel(pieces[0].module))


def _dtype(modules: Sequence[Module]) -> str:
    """Keep a data type that loaders compute with; of several take one that holds them all."""
    kinds = {
        tensor.dtype
        for module in modules
        for role, found in module.tensors.items()
        if role is not Role.ALPHA
        for tensor in found
    }
    if not kinds <= set(WRITTEN.values()):
        return "BF16"
    return kinds.pop() if len(kinds) == 1 else "F32"


def highest_rank(module: Module) -> int:
    """Give the rank that a module's difference has at most.

    Args:
        module: A module of LoRA, LoKr or LoHa.
    """
    if Role.LOKR in module.tensors:
        return math.prod(_factor_ranks(module.tensors[Role.LOKR], ".lokr_"))
    if Role.LOHA in module.tensors:
        return math.prod(_factor_ranks(module.tensors[Role.LOHA], ".hada_"))
    return module.rank or 0


def _factor_ranks(tensors: Sequence[Tensor], word: str) -> Iterator[int]:
    shapes = {tensor.name.rpartition(word)[2]: tensor.shape for tensor in tensors}
    for factor in ("w1", "w2"):
        full = shapes.get(factor)
        if full is not None:
            yield min(full[0], math.prod(full[1:]))
        else:
            yield shapes.get(f"{factor}_b", (0,))[0]


def _kernel(module: Module) -> tuple[int, ...]:
    """Give the shape of a row of the module's down matrix."""
    for role, marks in _KERNELS.items():
        for tensor in module.tensors.get(role, ()):
            if tensor.name.endswith(marks) and len(tensor.shape) > 2:
                return (module.size[0] or 0, *tensor.shape[2:])
    down = module.one(Role.DOWN)
    return (module.size[0] or 0,) if down is None else down.shape[1:]


def _judge_ranks(outputs: Sequence[Output], options: Options, notes: Notes) -> None:
    """Ask for `--lossy` where a rank may have to be cut, and for `--rank` where it would get out of hand."""
    over, large = [], []
    for output in outputs:
        rank = sum(highest_rank(module) for module in output.modules)
        if options.rank is not None and rank > options.rank:
            over.append((rank, output.layer))
        elif rank > LARGEST_EXACT and any(_PRODUCTS & set(module.tensors) for module in output.modules):
            large.append((rank, output.layer))
    if over:
        rank, name = max(over)
        what = f"the rank of {counted(len(over), 'layer')}, up to {rank} in {name}, cut to {options.rank}"
        notes.lose(what, f"Allow it with `--lossy --rank {options.rank}`.")
    if large:
        rank, name = max(large)
        message = f"Written out as a LoRA, {name} may need rank {rank}; without a loss up to {LARGEST_EXACT}."
        notes.losses.append((message, "Choose a rank and allow the loss, such as `--lossy --rank 64`."))
