"""Open what is to be converted: small faults around the weights are mended on the way in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lorry.errors import ConversionRefused, OptionInvalid
from lorry.weights.adapter.keys import Part, Role
from lorry.weights.adapter.modules import Adapter, Module, read_adapter
from lorry.weights.adapter.text import TextAdapter, is_text, straightened
from lorry.weights.bases.families import families, families_named, family
from lorry.weights.bases.identify import Fit, fit_to, identify
from lorry.weights.catalogue import StructureFault, counted, some
from lorry.weights.convert.options import Options
from lorry.weights.convert.strengths import Statements, statements
from lorry.weights.files.document import read_document
from lorry.weights.files.header import Header, Tensor, read_header
from lorry.weights.files.magic import recognise
from lorry.weights.files.source import ByteSource
from lorry.weights.judging.context import Context
from lorry.weights.judging.text import config_of
from lorry.weights.trainers.recognise import recognise as recognise_training

_MENDED = frozenset({"META_NOT_STRING", "DATA_TRAILING"})
_PADDING = b"\0\r\n\x1a \t"  # what preallocation, text-mode copies and old DOS tools leave at the end
_TAIL = 1 << 20


@dataclass(frozen=True, slots=True)
class Patched:
    """A file whose header was written again; the weights are read from where they are."""

    inner: ByteSource
    head: bytes
    data_start: int
    size: int

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.inner.name

    @property
    def reach(self) -> int:
        """Bytes that can be read."""
        return self.size

    def read(self, offset: int, count: int) -> bytes:
        """Read up to `count` bytes from `offset`."""
        buffer = bytearray(max(min(count, self.size - offset), 0))
        return bytes(buffer[: self.read_into(offset, memoryview(buffer))])

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`."""
        piece = self.head[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        rest = buffer[len(piece) : max(self.size - offset, 0)]
        if not rest:
            return len(piece)
        moved = offset + len(piece) - len(self.head) + self.data_start
        return len(piece) + self.inner.read_into(moved, rest)


@dataclass(frozen=True, slots=True)
class Given:
    """A source, read as far as its header goes.

    Attributes:
        source: The bytes, with small faults mended.
        header: The header.
        adapter: Its modules as the check sees them.
        modules: The same, each text encoder's apart.
        fit: How they lie on the family of base models; `None` where that is unknown, and with text.
        text: The adapter with the plain names of its layers, where it is one for a language model.
        stated: What is said about strength.
        config: The fields of adapter_config.json beside it.
        steps: What was mended, in words.
    """

    source: ByteSource
    header: Header
    adapter: Adapter
    modules: tuple[Module, ...]
    fit: Fit | None
    text: TextAdapter | None
    stated: Statements
    config: Mapping[str, Any]
    steps: tuple[str, ...]


def read_given(source: ByteSource, context: Context, options: Options) -> Given:
    """Read what is to be converted.

    Args:
        source: The file.
        context: What is known besides its bytes.
        options: What is asked for.

    Raises:
        ConversionRefused: It is no safetensors file that can be read, or has no adapter in it.
        OptionInvalid: The base that was named is unknown.
    """
    foreign = recognise(source)
    if foreign is not None:
        raise ConversionRefused(foreign[1].message, fix=foreign[1].fix)
    source, header, steps = _mended(source)
    adapter = read_adapter(header)
    if not adapter.modules:
        raise ConversionRefused(
            f"{source.name} has {counted(len(header.tensors), 'tensor')}, and none of an adapter."
        )
    config = config_of(context).fields
    text = straightened(adapter) if is_text(adapter, config) else None
    modules = with_encoders_apart((text.adapter if text else adapter).modules)
    fit = None if text else _fit(adapter, header, context, options)
    stated = statements(source, header, modules, config, options.alpha)
    return Given(source, header, adapter, modules, fit, text, stated, config, steps)


def _mended(source: ByteSource) -> tuple[ByteSource, Header, tuple[str, ...]]:
    """Read the header; metadata that is no text and rubbish behind the weights are no reason to stop."""
    try:
        return source, read_header(source), ()
    except StructureFault as broken:
        codes = {found.code for found in broken.findings}
        if not codes <= _MENDED:
            raise ConversionRefused(broken.finding.message, fix=broken.finding.fix) from None
    document = read_document(source)
    steps = []
    fields = document.fields
    metadata = fields.get("__metadata__")
    if "META_NOT_STRING" in codes:
        known = metadata if isinstance(metadata, dict) else {}
        odd = [name for name, value in known.items() if not isinstance(value, str)]
        fields["__metadata__"] = {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in known.items()
        }
        steps.append(f"metadata that was no text written as text: {some(odd) or '__metadata__'}")
    head = json.dumps(fields, separators=(",", ":")).encode()
    end = max((row["data_offsets"][1] for name, row in fields.items() if name != "__metadata__"), default=0)
    extra = source.size - document.data_start - end
    if extra > 0:
        steps.append(_rubbish(source, document.data_start + end, extra))
    head = len(head).to_bytes(8, "little") + head
    patched = Patched(source, head, document.data_start, len(head) + end)
    return patched, read_header(patched), tuple(steps)


def _rubbish(source: ByteSource, start: int, extra: int) -> str:
    """Say what is cut off behind the weights; what is no padding may be anything, and stays a fault."""
    for offset in range(start, start + extra, _TAIL):
        piece = source.read(offset, min(_TAIL, start + extra - offset))
        if piece.strip(_PADDING):
            message = (
                f"{source.name} has {counted(extra, 'byte')} after its last tensor, and not only padding."
            )
            fix = "Copy the file again; another file may have been appended to it."
            raise ConversionRefused(message, fix=fix, evidence={"bytes": extra})
    zeros = not source.read(start, min(_TAIL, extra)).strip(b"\0")
    return f"{counted(extra, 'byte')} of {'zeros' if zeros else 'line ends'} behind the weights cut off"


def _fit(adapter: Adapter, header: Header, context: Context, options: Options) -> Fit | None:
    if options.base is not None:
        named = family(options.base)
        if named is None:
            keys = [known.key for known in families()]
            raise OptionInvalid(
                f"{options.base} is none of the base models in the table.",
                fix=f"Use one of {', '.join(keys)}, or the id of one of their models.",
                evidence={"base": options.base},
            )
        return fit_to(adapter, named)
    labels = recognise_training(header.metadata, context.inside, context.listing).bases
    hints = [found for label in labels if (found := families_named(label))]
    return identify(adapter, hints).best


def with_encoders_apart(modules: tuple[Module, ...]) -> tuple[Module, ...]:
    """Give a file's modules with those of each text encoder by themselves.

    Args:
        modules: The modules as the check groups them.
    """
    return tuple(part for module in modules for part in _encoders(module))


def _encoders(module: Module) -> tuple[Module, ...]:
    """Take modules of two text encoders apart that have one name: `text_encoder.x` and `text_encoder_2.x`."""
    if module.part is Part.DENOISER:
        return (module,)
    groups: dict[str, dict[Role, tuple[Tensor, ...]]] = {}
    for role, tensors in module.tensors.items():
        for tensor in tensors:
            place = groups.setdefault(encoder_prefix(module, tensor), {})
            place[role] = (*place.get(role, ()), tensor)
    return tuple(module._replace(tensors=tensors) for tensors in groups.values())


def encoder_prefix(module: Module, tensor: Tensor | None = None) -> str:
    """Give what stands before a text encoder's module in its tensors' names.

    Args:
        module: The module.
        tensor: One of its tensors.
    """
    name = (tensor or next(iter(module.tensors.values()))[0]).name
    return name.partition(module.name)[0]
