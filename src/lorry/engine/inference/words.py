"""What requests for words have in common: their parameters, and which of them this engine has."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from lorry.engine.api_errors import Refusal, Rpc, invalid
from lorry.engine.inference.targets import Target
from lorry.engine.language.port import DEFAULT_MAX_TOKENS, Message, TextRequest

#: Completions of one request; Together names no number, and each costs a place in a batch.
MOST_CHOICES = 8

#: Characters of a whole question; far beyond what the base's context holds.
MOST_CHARACTERS = 200_000

_SEED = 2**63 - 1
_DEFAULT_TEMPERATURE = 0.7

#: Parameters of the API that would change an answer and that this engine does not have, with the values that
#: change nothing (Together API dossier 5.1; the SDK's `completion_create_params.py`).
UNSUPPORTED: Mapping[str, tuple[Any, ...]] = {
    "echo": (False,),
    "logprobs": (0, False),
    "logit_bias": ({},),
    "min_p": (0,),
    "top_k": (0, -1),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("auto", "none"),
    "function_call": ("auto", "none"),
}


class Sampling(BaseModel):
    """The parameters that both kinds of requests have; what makes no difference here is ignored."""

    model_config = ConfigDict(extra="allow")

    model: str
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=0, le=_SEED)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    stream: bool | None = None
    user: str | None = None
    prompt_cache_key: str | None = None

    @property
    def sticky(self) -> str | None:
        """What ties requests to one deployment (Together API dossier 2.9)."""
        return self.prompt_cache_key or self.user


def refuse_unsupported(body: Sampling) -> None:
    """Refuse what would change the answer and is not offered here.

    Raises:
        Refusal: 400, naming the parameter.
    """
    given = body.model_extra or {}
    for name, neutral in UNSUPPORTED.items():
        value = given.get(name)
        if value is not None and not any(value == each for each in neutral):
            raise invalid(f"This engine does not support {name}; leave it out.", name)


def refuse_pictures(target: Target, model: str) -> None:
    """Refuse a target that draws.

    Raises:
        Refusal: 400.
    """
    if target.base.draws:
        raise invalid(
            f"The model {model} draws pictures; ask for them at POST /v1/images/generations.", "model"
        )


def refuse_words(target: Target, model: str) -> None:
    """Refuse a target that answers in words.

    Raises:
        Refusal: 400.
    """
    if not target.base.draws:
        raise invalid(f"The model {model} answers in words; ask it at POST /v1/chat/completions.", "model")


def orders(
    body: Sampling, target: Target, messages: tuple[Message, ...] = (), prompt: str = ""
) -> list[TextRequest]:
    """Write what a request asks of the language model: one order for each choice, each with its own seed.

    Args:
        body: The request.
        target: What answers it.
        messages: A conversation.
        prompt: Or a text to go on with.

    Raises:
        Refusal: It asks for more tokens than the model's context has, or is far longer than that.
    """
    length = target.base.context_length
    if body.max_tokens is not None and body.max_tokens > length:
        raise invalid(
            f"max_tokens is {body.max_tokens}; the context of {target.base.name} has {length} tokens.",
            "max_tokens",
        )
    characters = len(prompt) + sum(len(message.content) for message in messages)
    if characters > MOST_CHARACTERS:
        raise Refusal(
            Rpc.INVALID_ARGUMENT,
            f"The prompt has {characters} characters; the context of {target.base.name} has {length} tokens.",
            reason="context_length_exceeded",
            param="messages" if messages else "prompt",
        )
    first = body.seed if body.seed is not None else secrets.randbelow(2**31)
    return [
        TextRequest(
            messages=messages,
            prompt=prompt,
            adapter=target.adapter.key if target.adapter else None,
            max_tokens=body.max_tokens or min(DEFAULT_MAX_TOKENS, length),
            temperature=_DEFAULT_TEMPERATURE if body.temperature is None else body.temperature,
            top_p=1.0 if body.top_p is None else body.top_p,
            seed=first + number,
            stop=_stops(body.stop),
        )
        for number in range(body.n or 1)
    ]


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    given = [stop] if isinstance(stop, str) else stop or []
    return tuple(text for text in given if text)
