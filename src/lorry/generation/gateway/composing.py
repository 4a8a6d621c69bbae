"""What is sent to a place for a request: its own fields, and all others as they came."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, cast

import msgspec

from lorry.errors import OptionInvalid, TokenNotAllowed
from lorry.generation.asking import Ask, Form
from lorry.generation.gateway.callers import Caller
from lorry.generation.ports import Line, Shipment
from lorry.generation.prompt import with_trigger
from lorry.generation.routing.sizes import sizes_of
from lorry.generation.service import picture_order
from lorry.model.serving import Place, Scope

_ENCODER = msgspec.json.Encoder()

#: Fields of ours that no platform knows.
_OURS = ("lora_scale", "size")

_cached_trigger = lru_cache(maxsize=4096)(with_trigger)


class Outgoing(msgspec.Struct):
    """A request as a place gets it.

    Attributes:
        url: Where to.
        body: JSON.
        model: What the place calls the model.
        trigger_added: Whether the trigger word had to be put in.
        prompt: The prompt as it is sent; empty in a conversation.
    """

    url: str
    body: bytes
    model: str
    trigger_added: bool
    prompt: str


def compose(ask: Ask, place: Place, line: Line, *, seed: int | None = None) -> Outgoing:
    """Write the request for a place.

    Args:
        ask: What was asked for.
        place: Who shall answer.
        line: The way there.
        seed: Of the one picture that this request is for, in the form `generate`.

    Raises:
        OptionInvalid: The place can't do this.
    """
    if place.model.kind == "image-lora":
        return _pictures(ask, place, line, seed)
    return _words(ask, place, line)


def _pictures(ask: Ask, place: Place, line: Line, seed: int | None) -> Outgoing:
    require_size(ask, place)
    prompt, added = _cached_trigger(ask.prompt, place.model.trigger)
    shipment = _shipment(ask, place, line)
    fields: dict[str, Any] = {**_passed_through(ask), **shipment.fields, "prompt": prompt}
    if ask.width is not None:
        fields |= {"width": ask.width, "height": ask.height}
    if ask.form is Form.GENERATE:
        known = (*_PICTURE_FIELDS, *_EMBEDDED_FIELDS) if place.embedded else _PICTURE_FIELDS
        more = {name: value for name, value in ask.more.items() if name in known}
        fields |= {"seed": seed, **more}
        if ask.steps is not None:
            fields["steps"] = ask.steps
    if ask.loras and ask.form is Form.IMAGES:
        fields["image_loras"] = [
            *shipment.fields.get("image_loras", ()),
            *msgspec.json.decode(ask.raw["image_loras"]),
        ]
    fields["response_format"] = "base64"
    return Outgoing(shipment.url, _ENCODER.encode(fields), str(shipment.fields["model"]), added, prompt)


def _shipment(ask: Ask, place: Place, line: Line) -> Shipment:
    """Give what the platform says of a place's model; without a scale it is the same for every request."""
    if ask.scale is None and (known := place.facts.get("shipment")) is not None:
        return cast("Shipment", known)
    # Prompt, steps and size go along as they came; the order is for how the adapter is named.
    shipment = line.pictures(picture_order(place.placement, "", 0, None, None, 1, ask.scale))
    if ask.scale is None:
        place.facts["shipment"] = shipment
    return shipment


_PICTURE_FIELDS = ("negative_prompt", "guidance_scale", "output_format")
_EMBEDDED_FIELDS = ("preview_id",)
_WORD_FIELDS = ("max_tokens", "temperature")


def _words(ask: Ask, place: Place, line: Line) -> Outgoing:
    ids = place.placement.ids
    target = (ids.adapter_name if ids.attachment else None) or ids.endpoint_name or ""
    shipment = line.words(target)
    fields: dict[str, Any] = {**_passed_through(ask), **shipment.fields}
    if ask.form is Form.CHAT:
        added = _into_messages(fields, place.model.trigger)
        return Outgoing(shipment.url, _ENCODER.encode(fields), target, added, "")
    prompt, added = _cached_trigger(ask.prompt, place.model.trigger)
    system = ask.more.get("system")
    before = [{"role": "system", "content": system}] if system else []
    fields["messages"] = [*before, {"role": "user", "content": prompt}]
    fields |= {name: value for name, value in ask.more.items() if name in _WORD_FIELDS}
    if ask.seed is not None:
        fields["seed"] = ask.seed
    return Outgoing(shipment.url, _ENCODER.encode(fields), target, added, prompt)


def _passed_through(ask: Ask) -> dict[str, Any]:
    """Give the fields that go along as they came; of our own form, none does."""
    if ask.form is Form.GENERATE:
        return {}
    return {name: value for name, value in ask.raw.items() if name not in _OURS}


def _into_messages(fields: dict[str, Any], trigger: str | None) -> bool:
    """Put the trigger word into the last message of the user, where the model has one and it lacks it."""
    if not trigger:
        return False
    messages = msgspec.json.decode(fields["messages"])
    for message in reversed(messages):
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, str) and message.get("role") == "user":
            message["content"], added = with_trigger(content, trigger)
            fields["messages"] = messages
            return added
    return False


def require_size(ask: Ask, place: Place) -> None:
    """Accept a size that a place draws.

    Args:
        ask: What was asked for.
        place: Who shall draw it.

    Raises:
        OptionInvalid: It does not; names the nearest size that it does.
    """
    if ask.width is None or ask.height is None:
        return
    sizes = sizes_of(place)
    nearest = sizes.nearest(ask.width, ask.height)
    if nearest != (ask.width, ask.height):
        form = "square, " if sizes.square else ""
        asked, valid = f"{ask.width}x{ask.height}", f"{nearest[0]}x{nearest[1]}"
        raise OptionInvalid(
            f"{place.model.name} draws no {asked} on the route {place.route}: its edges are {form}"
            f"{sizes.least} to {sizes.most} in steps of {sizes.step}; the nearest size is {valid}.",
            fix=f"Ask for {valid}.",
            evidence={"size": asked, "nearest": valid, "route": place.route},
        )


def require_own_loras(ask: Ask, caller: Caller) -> None:
    """Refuse adapters that a caller names by itself, unless it may ask for anything.

    A name or an address among them could be another owner's model.

    Raises:
        TokenNotAllowed: It may not.
    """
    if ask.loras and not caller.may(Scope.ADMIN):
        raise TokenNotAllowed(
            "The request names adapters in `image_loras`, which needs the scope 'admin'.",
            fix="Leave `image_loras` out: the model's own adapter is added by the gateway.",
        )


def renamed(part: bytes, theirs: str, ours: str) -> bytes:
    """Put Lorry's name of the model where an answer has the platform's.

    Inside a text of the answer the quotes would be escaped, so nothing that a model says is changed.

    Args:
        part: The beginning of the answer, or events of it.
        theirs: What the platform calls the model.
        ours: What Lorry calls it.
    """
    return _model(theirs).sub(lambda found: found[1] + json.dumps(ours).encode(), part)


@lru_cache(maxsize=4096)
def _model(name: str) -> re.Pattern[bytes]:
    return re.compile(rb'("model"\s*:\s*)' + re.escape(json.dumps(name).encode()))


def pixels_of(ask: Ask, place: Place) -> tuple[int, int]:
    """Give the size that a picture will have, pixels."""
    native = sizes_of(place).native
    return ask.width or native, ask.height or native
