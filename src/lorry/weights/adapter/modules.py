"""An adapter as its layers: tensors grouped by the module that they change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median_low

from lorry.model.report import RankSpan
from lorry.weights.adapter.keys import Key, Part, Role, pattern, read_key
from lorry.weights.files.header import Header, Tensor


@dataclass(frozen=True, slots=True)
class Module:
    """One layer's tensors by role, and what they say about the layer's size."""

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
        down, up = self.one(Role.DOWN), self.one(Role.UP)
        if down is None or up is None or len(down.shape) < 2 or len(up.shape) < 2:
            return False
        return down.shape[0] == up.shape[1] and 0 not in (*down.shape, *up.shape)

    @property
    def rank(self) -> int | None:
        """The rank, as the input matrix has it."""
        down = self.one(Role.DOWN)
        return down.shape[0] if down is not None and len(down.shape) > 1 else None

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
    def algorithm(self) -> str | None:
        """`lora`, `dora`, `lokr`, `loha`, `diff` or `other`."""
        roles = {role for module in self.modules for role in module.tensors}
        for role in (Role.LOKR, Role.LOHA, Role.OTHER, Role.DORA):
            if role in roles:
                return str(role)
        if Role.DOWN in roles or Role.UP in roles:
            return "lora"
        return "diff" if Role.DIFF in roles else None

    @property
    def ranks(self) -> RankSpan | None:
        """The span of ranks over all modules."""
        found = sorted(module.rank for module in self.modules if module.rank is not None)
        return RankSpan(found[0], median_low(found), found[-1]) if found else None


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
    groups: dict[tuple[str, Part, str], tuple[Key, dict[Role, tuple[Tensor, ...]]]] = {}
    words: dict[tuple[str, Part, str], tuple[str, str | None]] = {}
    strangers: list[Tensor] = []
    embeddings: list[Tensor] = []
    for tensor in header.tensors:
        key = read_key(tensor.name)
        if key.part is Part.EMBEDDING:
            embeddings.append(tensor)
        elif key.role is Role.UNKNOWN:
            strangers.append(tensor)
        else:
            place = key.layout, key.part, key.module
            _, tensors = groups.setdefault(place, (key, {}))
            tensors[key.role] = (*tensors.get(key.role, ()), tensor)
            if key.spelling:
                words[place] = key.spelling, key.adapter or words.get(place, ("", None))[1]
    modules = tuple(
        Module(key.module, key.layout, key.part, key.flat, *words.get(place, ("", None)), tensors)
        for place, (key, tensors) in groups.items()
    )
    denoiser = tuple(module for module in modules if module.part is Part.DENOISER)
    return Adapter(modules, denoiser, tuple(strangers), tuple(embeddings))


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
