"""From the bytes of a body to a request, or to all that is wrong with it at once."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

import msgspec

from lorry.errors import BodyInvalid
from lorry.generation.asking.ask import Ask, Form
from lorry.generation.asking.fields import ChatBody, GenerateBody, ImagesBody
from lorry.generation.options import MAX_SEED

_Body = TypeVar("_Body", ImagesBody, ChatBody, GenerateBody)
_Raw = dict[str, msgspec.Raw]

_RAW = msgspec.json.Decoder(_Raw)
_IMAGES = msgspec.json.Decoder(ImagesBody)
_CHAT = msgspec.json.Decoder(ChatBody)
_GENERATE = msgspec.json.Decoder(GenerateBody)

#: ` - at `$.n``: where msgspec found it; `$` alone says nothing.
_WHERE = re.compile(r" - at `\$\.?([^`]*)`$")


def read_images(body: bytes) -> Ask:
    """Read a request in the form of the image API.

    Args:
        body: JSON.

    Raises:
        BodyInvalid: With every problem at once.
    """
    known, raw = _decoded(body, _IMAGES, ImagesBody, _between)
    width, height = _size(known.size, known.width, known.height)
    return Ask(
        Form.IMAGES,
        known.model,
        raw,
        prompt=known.prompt,
        width=width,
        height=height,
        steps=known.steps,
        seed=known.seed,
        count=known.n or 1,
        scale=known.lora_scale,
        address=known.response_format in (None, "url"),
        loras=bool(known.image_loras),
    )


def read_chat(body: bytes) -> Ask:
    """Read a request in the form of the chat API.

    Args:
        body: JSON.

    Raises:
        BodyInvalid: With every problem at once.
    """
    known, raw = _decoded(body, _CHAT, ChatBody, lambda _known: [])
    return Ask(Form.CHAT, known.model, raw, stream=bool(known.stream))


def read_generate(body: bytes) -> Ask:
    """Read a request in Lorry's own form.

    Args:
        body: JSON.

    Raises:
        BodyInvalid: With every problem at once.
    """
    known, raw = _decoded(body, _GENERATE, GenerateBody, _between, whole=True)
    size = f"{known.size}x{known.size}" if isinstance(known.size, int) else known.size
    width, height = _size(size, known.width, known.height)
    passed = ("negative_prompt", "guidance_scale", "max_tokens", "temperature", "system")
    more = {name: value for name in passed if (value := getattr(known, name)) is not None}
    return Ask(
        Form.GENERATE,
        known.model,
        raw,
        prompt=known.prompt,
        width=width,
        height=height,
        steps=known.steps,
        seed=known.seed,
        count=known.n or 1,
        scale=known.scale,
        address=known.response_format in (None, "url"),
        more={**more, "output_format": known.format or "png", **_shown(known.preview)},
        webhook=known.webhook,
    )


def _shown(preview: str | None) -> dict[str, str]:
    return {"preview_id": preview} if preview else {}


def fingerprint(form: Form, body: bytes) -> str:
    """Give what two requests have in common that ask for the same, whatever the order of their fields.

    Args:
        form: Their form.
        body: JSON that was read before.
    """
    plain = msgspec.json.encode(msgspec.json.decode(body), order="deterministic")
    return hashlib.sha256(form.value.encode() + b"\0" + plain).hexdigest()


def _decoded(
    body: bytes,
    decoder: msgspec.json.Decoder[_Body],
    kind: type[_Body],
    more: Callable[[_Body], list[str]],
    *,
    whole: bool = False,
) -> tuple[_Body, _Raw]:
    """Decode a body twice: into the fields that are known, and into what each of them was."""
    try:
        raw: _Raw = _RAW.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(["the body is no JSON object"]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid([f"the body is no JSON: {str(error) or 'nested too deeply'}"]) from error
    unknown: list[str] = _unknown(raw, kind) if whole else []
    try:
        known: _Body = decoder.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise _invalid([*_each(raw, kind), *unknown]) from None
    if problems := more(known) + unknown:
        raise _invalid(problems)
    return known, raw


def _each(raw: _Raw, kind: type[msgspec.Struct]) -> Iterator[str]:
    """Name every field that can't be used: the decoder itself stops at the first."""
    for name, (wanted, needed) in _types(kind).items():
        if name not in raw:
            if needed:
                yield f"{name} is missing"
            continue
        try:
            msgspec.json.decode(raw[name], type=wanted)
        except (msgspec.DecodeError, RecursionError) as error:
            yield f"{name}: {_said(str(error))}"


@cache
def _types(kind: type[msgspec.Struct]) -> dict[str, tuple[Any, bool]]:
    from typing import get_type_hints

    hints = get_type_hints(kind, include_extras=True)
    return {field.name: (hints[field.name], field.required) for field in msgspec.structs.fields(kind)}


def _said(message: str) -> str:
    """Put a decoder's sentence into words."""
    inside = _WHERE.search(message)
    text = _WHERE.sub("", message).replace("`", "").replace("Expected", "expected", 1).replace(" | null", "")
    return f"{text} (at {inside[1]})" if inside and inside[1] else text


def _unknown(raw: _Raw, kind: type[msgspec.Struct]) -> list[str]:
    names = [field.name for field in msgspec.structs.fields(kind)]
    problems = []
    for name in raw.keys() - set(names):
        near = difflib.get_close_matches(name, names, 1)
        problems.append(f"there is no field {name[:60]!r}{f', did you mean {near[0]!r}?' if near else ''}")
    return sorted(problems)


def _invalid(problems: list[str]) -> BodyInvalid:
    shown = problems[:20]
    sentence = "; ".join(shown)
    return BodyInvalid(f"{sentence[0].upper()}{sentence[1:]}.", evidence={"problems": shown})


def _between(known: ImagesBody | GenerateBody) -> list[str]:
    """Name what does not go together."""
    problems = []
    if known.size is not None and (known.width is not None or known.height is not None):
        problems.append("size is given beside width or height; one of the two says it")
    elif (known.width is None) != (known.height is None):
        problems.append("width and height go together")
    if known.seed is not None and known.seed + (known.n or 1) - 1 > MAX_SEED:
        problems.append(f"seed + n - 1 is above {MAX_SEED}")
    return problems


def _size(text: str | None, width: int | None, height: int | None) -> tuple[int | None, int | None]:
    if text is None or text == "auto":
        return width, height
    wide, _, high = text.partition("x")
    return int(wide), int(high)
