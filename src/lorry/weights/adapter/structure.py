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
_FLOATS = frozenset({"F16", "BF16", "F32", "F64"})
_BIG_FP32 = 400_000_000  # bytes; LoRA formats dossier, section 6
_ALGORITHMS = {
    Role.LOKR: ("ALGO_LOKR", "LoKr factors"),
    Role.LOHA: ("ALGO_LOHA", "LoHa factors"),
    Role.DORA: ("ALGO_DORA", "DoRA magnitudes"),
    Role.OTHER: ("ALGO_OTHER", "tensors of OFT, GLoRA, IA3 or trained norms"),
    Role.DIFF: ("ALGO_DIFF", "full differences"),
    Role.BIAS: ("ALGO_CONTROL", "biases"),
}


def structure_findings(adapter: Adapter, header: Header) -> Iterator[Finding]:
    """Judge pairs, ranks, names, algorithm and data types.

    Args:
        adapter: The file's modules.
        header: The file's header.
    """
    yield from _pairs(adapter)
    yield from _ranks(adapter)
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


def _pairs(adapter: Adapter) -> Iterator[Finding]:
    for there, missing in ((Role.DOWN, Role.UP), (Role.UP, Role.DOWN)):
        alone = [m for m in adapter.modules if there in m.tensors and missing not in m.tensors]
        if alone:
            have, lack = _word(alone[0], there), _word(alone[0], missing)
            message = f"{_count(alone)} {have} but no {lack}: {some([m.name for m in alone])}."
            yield finding("PAIR_MISSING", message, subject=alone[0].name, modules=[m.name for m in alone])
    odd = [m for m in adapter.modules if any(_is_no_matrix(m, role) for role in (Role.DOWN, Role.UP))]
    if odd:
        message = (
            f"{_count(odd)} a matrix without two dimensions or without rows: {some([m.name for m in odd])}."
        )
        yield finding("PAIR_SHAPE", message, subject=odd[0].name, modules=[m.name for m in odd])
    no_matrices = {module.name for module in odd}
    torn = [
        module
        for module in adapter.modules
        if module.paired and not module.sound and module.name not in no_matrices
    ]
    if torn:
        down, up = torn[0].one(Role.DOWN), torn[0].one(Role.UP)
        ranks = (down.shape[0], up.shape[1]) if down and up else (0, 0)
        message = f"{_count(torn)} matrices of two ranks: {torn[0].name} has {ranks[0]} and {ranks[1]}."
        yield finding("PAIR_RANK", message, subject=torn[0].name, found=ranks, modules=[m.name for m in torn])


def _ranks(adapter: Adapter) -> Iterator[Finding]:
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
    for role, (code, words) in _ALGORITHMS.items():
        having = [module for module in adapter.modules if role in module.tensors]
        if having:
            names = some([module.name for module in having], 2)
            message = f"{len(having)} of {len(adapter.modules)} modules contain {words}: {names}."
            yield finding(code, message, subject=having[0].tensors[role][0].name, modules=len(having))


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
    matrices = [
        t
        for m in adapter.modules
        for role, found in m.tensors.items()
        if role is not Role.ALPHA
        for t in found
    ]
    counts = Counter(tensor.dtype for tensor in matrices)
    said = ", ".join(f"{count} {dtype}" for dtype, count in counts.most_common())
    eight = [tensor for tensor in matrices if tensor.dtype in _FP8]
    if eight:
        yield finding(
            "DTYPE_FP8",
            f"{len(eight)} of {len(matrices)} tensors are {eight[0].dtype}.",
            subject=eight[0].name,
        )
    odd = [tensor for tensor in matrices if tensor.dtype not in _FLOATS | _FP8]
    if odd:
        message = f"{len(odd)} of {len(matrices)} tensors are {odd[0].dtype}."
        yield finding("DTYPE_UNREADABLE", message, subject=odd[0].name)
    if counts["F64"]:
        yield finding(
            "DTYPE_FP64", f"{counts['F64']} of {len(matrices)} tensors are F64.", found=dict(counts)
        )
    if len(counts) > 1:
        yield finding("DTYPE_MIXED", f"The data types are {said}.", found=dict(counts))
    size = header.tensors[-1].end
    if counts["F32"] == len(matrices) and size > _BIG_FP32:
        message = f"{size / 1e6:,.0f} MB of 32-bit floats; bfloat16 would be {size / 2e6:,.0f} MB."
        yield finding("DTYPE_FP32_BIG", message, size=size)


def _is_no_matrix(module: Module, role: Role) -> bool:
    tensor = module.one(role)
    return tensor is not None and (len(tensor.shape) < 2 or 0 in tensor.shape)


def _word(module: Module, role: Role) -> str:
    peft = module.spelling == "lora_A"
    return ("lora_A" if peft else "lora_down") if role is Role.DOWN else ("lora_B" if peft else "lora_up")


def _count(modules: list[Module]) -> str:
    return f"{counted(len(modules), 'module')} {'has' if len(modules) == 1 else 'have'}"
