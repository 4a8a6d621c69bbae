"""An adapter as its layers: tensors grouped by the module that they change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lorry.model.report import RankSpan
from lorry.weights.adapter.keys import Part, Place, Role, pattern, read_ending, read_place
from lorry.weights.files.header import Header, Tensor


class Module(NamedTuple):
    """One layer's tensors by role, and what they say about the layer's size.

    A tuple, as a file has hundreds of them and a frozen dataclass takes three times as long to make.
    """

    name: str
    layout: str
    part: Part
    flat: bool
    spelling: str
    adapter: str | None
    tensors: dict[Role, tuple[Tensor, ...]]

    def one(self, role: Role) -> Tensor | None:
        """Give the tensor of a role that a layer has once."""
        found = self.tensors.get(role)
        return found[0] if found else None

    @property
    def paired(self) -> bool:
        """Whether it has both matrices of a LoRA."""
        return Role.DOWN in self.tensors and Role.UP in self.tensors

    @property
    def sound(self) -> bool:
        """Whether both matrices are there, are matrices, and can be multiplied."""
        tensors = self.tensors
        if _DOWN not in tensors or _UP not in tensors:
            return False
        down, up = tensors[_DOWN][0].shape, tensors[_UP][0].shape
        return len(down) > 1 < len(up) and down[0] == up[1] and 0 not in down and 0 not in up

    @property
    def rank(self) -> int | None:
        """The rank, as the input matrix has it."""
        tensors = self.tensors
        if _DOWN not in tensors:
            return None
        shape = tensors[_DOWN][0].shape
        return shape[0] if len(shape) > 1 else None

    @property
    def size(self) -> tuple[int | None, int | None]:
        """The layer's inputs and outputs, each `None` where the tensors don't say."""
        if Role.LOKR in self.tensors:
            return _kronecker_size(self.tensors[Role.LOKR])
        if Role.LOHA in self.tensors:
            return _hadamard_size(self.tensors[Role.LOHA])
        down, up = self.one(Role.DOWN), self.one(Role.UP)
        inputs = down.shape[1] if down is not None and len(down.shape) > 1 else None
        outputs = up.shape[0] if up is not None and len(up.shape) > 1 else None
        return inputs, outputs


@dataclass(frozen=True, slots=True)
class Adapter:
    """All modules of a file, those of the transformer or U-Net among them, and the tensors of none."""

    modules: tuple[Module, ...]
    denoiser: tuple[Module, ...]
    strangers: tuple[Tensor, ...]
    embeddings: tuple[Tensor, ...]

    @property
    def layout(self) -> str | None:
        """Who spells the keys like this: the most frequent layout."""
        return _most_frequent(module.layout for module in self.denoiser or self.modules)

    @property
    def spelling(self) -> str:
        """`lora_A` or `lora_down`, whichever is more frequent."""
        return _most_frequent(module.spelling for module in self.denoiser if module.spelling) or ""

    @property
    def has_alpha(self) -> bool:
        """Whether any layer of the denoiser has an alpha tensor."""
        return any(Role.ALPHA in module.tensors for module in self.denoiser)

    @property
    def roles(self) -> frozenset[Role]:
        """What the tensors are to their layers, over all modules."""
        return frozenset().union(*{frozenset(module.tensors) for module in self.modules})

    @property
    def algorithm(self) -> str | None:
        """`lora`, `dora`, `lokr`, `loha`, `oft`, `diff` or `other`."""
        roles = self.roles
        for role in (Role.LOKR, Role.LOHA, Role.OFT, Role.OTHER, Role.DORA):
            if role in roles:
                return str(role)
        if Role.DOWN in roles or Role.UP in roles:
            return "lora"
        return "diff" if Role.DIFF in roles else None

    @property
    def ranks(self) -> RankSpan | None:
        """The span of ranks over all modules."""
        found = sorted([rank for module in self.modules if (rank := module.rank) is not None])
        return RankSpan(found[0], found[(len(found) - 1) // 2], found[-1]) if found else None


@dataclass(frozen=True, slots=True)
class Signature:
    """Modules whose names differ in their numbers only and whose sizes are equal."""

    pattern: str
    flat: bool
    inputs: int | None
    outputs: int | None
    members: tuple[tuple[tuple[int, ...], Module], ...]

    @property
    def corners(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The lowest and the highest number at each place: a box that holds all members."""
        places = list(zip(*(numbers for numbers, _ in self.members), strict=True))
        return tuple(min(place) for place in places), tuple(max(place) for place in places)


def read_adapter(header: Header) -> Adapter:
    """Group a file's tensors by the layers that they change.

    Args:
        header: The file's header.
    """
    found = _Layers()
    # Nearly every file lists a layer's second matrix right behind the first: its name is guessed, not read.
    guess, pair = "", dict[Role, tuple[Tensor, ...]]()
    for tensor in header.tensors:
        if tensor.name == guess:
            pair[_UP] = (tensor,)
            continue
        layer, role, spelling, adapter = read_ending(tensor.name)
        matrices = found.layers.get(layer)
        if matrices is None or role is _UNKNOWN:
            matrices = found.begin(layer, role, tensor)
            if matrices is None:
                continue
        matrices[role] = (*matrices[role], tensor) if role in matrices else (tensor,)
        if spelling:
            found.spelled[layer] = spelling
            if role is _DOWN and _UP not in matrices:
                pair, guess = matrices, layer + _SECOND[spelling]
        if adapter is not None:
            found.leaked[layer] = adapter
    modules = found.modules()
    denoiser = tuple(module for module in modules if module.part is Part.DENOISER)
    return Adapter(modules, denoiser, tuple(found.strangers), tuple(found.embeddings))


class _Layers:
    """A file's layers while their tensors are gathered, each by its name with the prefix."""

    def __init__(self) -> None:
        self.layers: dict[str, dict[Role, tuple[Tensor, ...]]] = {}
        self.spelled: dict[str, str] = {}
        self.leaked: dict[str, str] = {}
        self.strangers: list[Tensor] = []
        self.embeddings: list[Tensor] = []
        self._homes: dict[Place, str] = {}
        self._aliases: dict[str, str] = {}  # the same layer with another prefix, and how it was called first

    def begin(self, layer: str, role: Role, tensor: Tensor) -> dict[Role, tuple[Tensor, ...]] | None:
        """Make room for a layer that was not seen before; `None` when the tensor belongs to none."""
        place = read_place(layer)
        if place[1] is Part.EMBEDDING:
            self.embeddings.append(tensor)
            return None
        if role is _UNKNOWN:
            self.strangers.append(tensor)
            return None
        first = self._homes.setdefault(place, layer)
        if first is not layer:
            self._aliases[layer] = first
        matrices = self.layers[layer] = {} if first is layer else self.layers[first]
        return matrices

    def modules(self) -> tuple[Module, ...]:
        """Give the layers as modules."""
        for layer, first in self._aliases.items():
            self.spelled[first] = self.spelled.get(layer, self.spelled.get(first, ""))
            if layer in self.leaked:
                self.leaked[first] = self.leaked[layer]
        spelled, leaked, layers = self.spelled.get, self.leaked.get, self.layers
        rows = (
            (module, layout, part, flat, spelled(layer, ""), leaked(layer), layers[layer])
            for (layout, part, module, flat), layer in self._homes.items()
        )
        return tuple([_make(Module, row) for row in rows])


_DOWN, _UP, _UNKNOWN = Role.DOWN, Role.UP, Role.UNKNOWN  # looked up once: an enum's members are slow to reach
_SECOND = {"lora_A": ".lora_B.weight", "lora_down": ".lora_up.weight"}
_make = tuple.__new__  # what a named tuple's constructor calls, without its detour through Python


def signatures(adapter: Adapter) -> Iterator[Signature]:
    """Group the denoiser's modules by name pattern and size: some 14 groups for 494 modules.

    Args:
        adapter: The adapter.
    """
    groups: dict[tuple[str, bool, int | None, int | None], list[tuple[tuple[int, ...], Module]]] = {}
    for module in adapter.denoiser:
        words, numbers = pattern(module.name, module.flat)
        groups.setdefault((words, module.flat, *module.size), []).append((numbers, module))
    for place, members in groups.items():
        yield Signature(*place, tuple(members))


def _most_frequent(words: Iterator[str]) -> str | None:
    counted = Counter(words).most_common(1)
    return counted[0][0] if counted else None


def _kronecker_size(tensors: tuple[Tensor, ...]) -> tuple[int | None, int | None]:
    """kron(w1, w2): the layer's size is the product of the factors' sizes (dossier 1.1)."""
    shapes = {tensor.name.rpartition(".lokr_")[2]: tensor.shape for tensor in tensors}
    factors: list[tuple[int, int]] = []
    for name in ("w1", "w2"):
        full, left, right = (shapes.get(name + end) for end in ("", "_a", "_b"))
        if full is not None and len(full) > 1:
            factors.append((full[1], full[0]))
        elif left is not None and right is not None and len(left) > 1 and len(right) > 1:
            # the factors of a Tucker core (t2) are [rank, outputs] and [rank, inputs]
            factors.append((right[1], left[1] if name == "w2" and "t2" in shapes else left[0]))
        else:
            return None, None
    return factors[0][0] * factors[1][0], factors[0][1] * factors[1][1]


def _hadamard_size(tensors: tuple[Tensor, ...]) -> tuple[int | None, int | None]:
    shapes = {tensor.name.rpartition(".hada_")[2]: tensor.shape for tensor in tensors}
    left, right = shapes.get("w1_a", ()), shapes.get("w1_b", ())
    outputs = left[-1 if "t1" in shapes else 0] if left else None  # beside a Tucker core: [rank, outputs]
    return right[1] if len(right) > 1 else None, outputs
