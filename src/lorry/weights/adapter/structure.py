"""What is wrong with an adapter's tensors, whatever its base: pairs, ranks, spelling, kind, data types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lorry.model.report import Finding
from lorry.weights.adapter.keys import Part, Role
from lorry.weights.adapter.modules import Adapter, Module
from lorry.weights.catalogue import counted, finding, some
from lorry.weights.files.header import Header

_FP8 = frozenset({"F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})
_SMALL = frozenset({"F4", "F6_E2M3", "F6_E3M2"})
_FLOATS = frozenset({"F16", "BF16", "F32", "F64"})
_BIG_FP32 = 400_000_000  # bytes; LoRA formats dossier, section 6
_ALGORITHMS = {
    Role.LOKR: ("ALGO_LOKR", "LoKr factors"),
    Role.LOHA: ("ALGO_LOHA", "LoHa factors"),
    Role.DORA: ("ALGO_DORA", "DoRA magnitudes"),
    Role.OFT: ("ALGO_OFT", "rotations of OFT"),
    Role.OTHER: ("ALGO_OTHER", "tensors of GLoRA, IA3, embeddings or trained norms"),
    Role.DIFF: ("ALGO_DIFF", "full differences"),
    Role.BIAS: ("ALGO_CONTROL", "biases"),
}
_CONTROL_NORMS = (
    "norm.query_norm.scale",
    "norm.key_norm.scale",
)  # LoRA formats dossier, section 1.2, BFL Control


def structure_findings(adapter: Adapter, header: Header) -> Iterator[Finding]:
    """Judge pairs, ranks, names, algorithm and data types.

    Args:
        adapter: The file's modules.
        header: The file's header.
    """
    yield from pair_findings(adapter)
    yield from rank_findings(adapter)
    yield from _names(adapter)
    yield from _algorithms(adapter)
    yield from _text_encoders(adapter)
    yield from _dtypes(adapter, header)


def nothing_to_use(adapter: Adapter, header: Header) -> Finding | None:
    """Say why a file has no adapter in it, or give `None` when it has one.

    Args:
        adapter: The file's modules.
        header: The file's header.
    """
    if not header.tensors:
        return finding("LORA_NO_TENSORS", "The header is sound and lists no tensors.")
    if adapter.modules:
        return None
    names = [tensor.name for tensor in header.tensors]
    message = f"{counted(len(names), 'tensor')}, none of a LoRA: this looks like {_guess(names)}."
    return finding("LORA_NONE", message, subject=names[0], tensors=len(names))


def _guess(names: list[str]) -> str:
    if any("first_stage_model" in name or name.startswith("decoder.") for name in names):
        return "a VAE or a full checkpoint with its VAE"
    if len(names) <= 4:
        return "a textual-inversion embedding or a single tensor"
    if sum(name.endswith(".weight") for name in names) > 20:
        return "a full checkpoint"
    return "another kind of file"


def pair_findings(adapter: Adapter) -> Iterator[Finding]:
    """Judge what makes the two matrices of each module a pair: both there, both matrices, of one rank.

    Args:
        adapter: The file's modules.
    """
    unsound = [module for module in adapter.modules if not module.sound]
    no_up = [m for m in unsound if Role.DOWN in m.tensors and Role.UP not in m.tensors]
    no_down = [m for m in unsound if Role.UP in m.tensors and Role.DOWN not in m.tensors]
    odd = [m for m in unsound if any(_is_no_matrix(m, role) for role in (Role.DOWN, Role.UP))]
    no_matrices = {module.name for module in odd}
    torn = [m for m in unsound if m.paired and m.name not in no_matrices]
    for alone, there, missing in ((no_up, Role.DOWN, Role.UP), (no_down, Role.UP, Role.DOWN)):
        if alone:
            have, lack = _word(alone[0], there), _word(alone[0], missing)
            message = f"{_count(alone)} {have} but no {lack}: {_some(alone)}."
            yield finding("PAIR_MISSING", message, subject=alone[0].name, modules=[m.name for m in alone])
    if odd:
        message = f"{_count(odd)} a matrix without two dimensions or without rows: {_some(odd)}."
        yield finding("PAIR_SHAPE", message, subject=odd[0].name, modules=[m.name for m in odd])
    if torn:
        down, up = torn[0].one(Role.DOWN), torn[0].one(Role.UP)
        ranks = (down.shape[0], up.shape[1]) if down and up else (0, 0)
        message = f"{_count(torn)} matrices of two ranks: {torn[0].name} has {ranks[0]} and {ranks[1]}."
        yield finding("PAIR_RANK", message, subject=torn[0].name, found=ranks, modules=[m.name for m in torn])


def rank_findings(adapter: Adapter) -> Iterator[Finding]:
    """Say when modules have different ranks.

    Args:
        adapter: The file's modules.
    """
    ranks = adapter.ranks
    if ranks is not None and ranks.min != ranks.max:
        message = f"Ranks go from {ranks.min} to {ranks.max} (median {ranks.median})."
        yield finding("RANK_VARIES", message, min=ranks.min, median=ranks.median, max=ranks.max)


def _names(adapter: Adapter) -> Iterator[Finding]:
    named = [module for module in adapter.modules if module.adapter is not None]
    if named:
        message = (
            f"{_count(named)} the adapter name {named[0].adapter!r} left in the keys; "
            "diffusers would load random memory instead of the weights."
        )
        yield finding("KEYS_ADAPTER_NAME", message, subject=named[0].name, modules=len(named))
    for axis, words in (
        ("prefixes", Counter(module.layout for module in adapter.denoiser)),
        (
            "words for the matrices",
            Counter(module.spelling for module in adapter.denoiser if module.spelling),
        ),
    ):
        if len(words) > 1:
            said = ", ".join(f"{count} {word}" for word, count in words.most_common())
            yield finding(
                "KEYS_MIXED", f"The keys have {len(words)} kinds of {axis}: {said}.", found=dict(words)
            )


def _algorithms(adapter: Adapter) -> Iterator[Finding]:
    roles = adapter.roles
    for role, (code, words) in _ALGORITHMS.items():
        if role not in roles:
            continue
        having = [module for module in adapter.modules if role in module.tensors]
        names = some([module.name for module in having], 2)
        message = f"{len(having)} of {len(adapter.modules)} modules contain {words}: {names}."
        norms = [tensor.name for tensor in adapter.strangers if tensor.name.endswith(_CONTROL_NORMS)]
        if role is Role.BIAS and norms:
            message = (
                f"{message[:-1]}; {counted(len(norms), 'trained norm')} beside them show a BFL Control LoRA."
            )
        yield finding(code, message, subject=having[0].tensors[role][0].name, modules=len(having))
    if Role.DORA in roles:
        yield from _per_input(adapter)


def _per_input(adapter: Adapter) -> Iterator[Finding]:
    """Report magnitudes `[1, in]` where loaders know `[out, 1]` (LoRA formats dossier, section 1.1)."""
    turned = [module for module in adapter.modules if _is_per_input(module)]
    if turned:
        tensor = turned[0].tensors[Role.DORA][0]
        message = f"{_count(turned)} one magnitude for each input: {tensor.name} is {list(tensor.shape)}."
        yield finding("DORA_PER_INPUT", message, subject=tensor.name, modules=len(turned))


def _is_per_input(module: Module) -> bool:
    inputs, outputs = module.size
    shapes = [tensor.shape for tensor in module.tensors.get(Role.DORA, ())]
    return any(len(shape) > 1 and shape[0] == 1 and shape[1] == inputs and outputs != 1 for shape in shapes)


def _text_encoders(adapter: Adapter) -> Iterator[Finding]:
    for part, code, words in ((Part.CLIP, "TE_CLIP", "a CLIP"), (Part.T5, "TE_T5", "the T5")):
        modules = [module for module in adapter.modules if module.part is part]
        if modules:
            message = f"{len(modules)} of {len(adapter.modules)} modules belong to {words} text encoder."
            yield finding(code, message, subject=modules[0].name, modules=len(modules))
    if adapter.embeddings:
        message = f"{counted(len(adapter.embeddings), 'tensor')} of the file hold bundled embeddings."
        yield finding("BUNDLED_EMBEDDING", message, subject=adapter.embeddings[0].name)


def _dtypes(adapter: Adapter, header: Header) -> Iterator[Finding]:
    alpha = Role.ALPHA
    tensors = [
        tensor
        for module in adapter.modules
        for role, found in module.tensors.items()
        if role is not alpha
        for tensor in found
    ]
    counts = Counter([tensor.dtype for tensor in tensors])
    total = len(tensors)
    for code, types in (
        ("DTYPE_FP8", _FP8),
        ("DTYPE_F6F4", _SMALL),
        ("DTYPE_UNREADABLE", frozenset(counts) - _FLOATS - _FP8 - _SMALL),
        ("DTYPE_FP64", frozenset({"F64"})),
    ):
        having = {dtype: counts[dtype] for dtype in counts if dtype in types}
        if having:
            message = f"{sum(having.values())} of {total} tensors are {' or '.join(having)}."
            first = next(tensor for tensor in tensors if tensor.dtype in having)
            yield finding(code, message, subject=first.name, found=having)
    if len(counts) > 1:
        said = ", ".join(f"{count} {dtype}" for dtype, count in counts.most_common())
        yield finding("DTYPE_MIXED", f"The data types are {said}.", found=dict(counts))
    size = header.tensors[-1].end
    if counts["F32"] == total and size > _BIG_FP32:
        message = f"{size / 1e6:,.0f} MB of 32-bit floats; bfloat16 would be {size / 2e6:,.0f} MB."
        yield finding("DTYPE_FP32_BIG", message, size=size)


def _is_no_matrix(module: Module, role: Role) -> bool:
    tensor = module.one(role)
    return tensor is not None and (len(tensor.shape) < 2 or 0 in tensor.shape)


def _some(modules: list[Module]) -> str:
    return some([module.name for module in modules])


def _word(module: Module, role: Role) -> str:
    peft = module.spelling == "lora_A"
    return ("lora_A" if peft else "lora_down") if role is Role.DOWN else ("lora_B" if peft else "lora_up")


def _count(modules: list[Module]) -> str:
    return f"{counted(len(modules), 'module')} {'has' if len(modules) == 1 else 'have'}"
