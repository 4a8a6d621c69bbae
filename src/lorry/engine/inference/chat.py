"""`POST /v1/chat/completions`: a conversation goes on (Together API dossier 2.0; the SDK's chat types)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from lorry.engine.api_errors import invalid
from lorry.engine.documents import new_id
from lorry.engine.inference.answering import Answering, usage
from lorry.engine.inference.events import as_events
from lorry.engine.inference.mirroring import Mirrors
from lorry.engine.inference.targets import Target, Targets
from lorry.engine.inference.words import Sampling, orders, refuse_pictures, refuse_unsupported
from lorry.engine.language.port import Message, TextAnswer, TextRequest
from lorry.engine.together.identity import key_check
from lorry.engine.works import Works

_ROLES = ("system", "user", "assistant")


class Part(BaseModel):
    """A part of a message in the structured form."""

    model_config = ConfigDict(extra="ignore")

    type: str
    text: str | None = None


class Turn(BaseModel):
    """One message of the conversation."""

    model_config = ConfigDict(extra="ignore")

    role: str
    content: str | list[Part] | None = None


class ChatRequest(Sampling):
    """Body of a request."""

    messages: Annotated[list[Turn], Field(min_length=1, max_length=1000)]


class Chat:
    """Answers conversations."""

    def __init__(self, works: Works, targets: Targets, answering: Answering, mirrors: Mirrors) -> None:
        self._works = works
        self._targets = targets
        self._answering = answering
        self._mirrors = mirrors

    def router(self) -> APIRouter:
        """Make the route."""
        routes = APIRouter(dependencies=[Depends(key_check(self._works.config))])
        routes.add_api_route("/v1/chat/completions", self.complete, methods=["POST"], response_model=None)
        return routes

    async def complete(self, body: ChatRequest) -> dict[str, Any] | StreamingResponse:
        """Answer a conversation, whole or as a stream of pieces."""
        refuse_unsupported(body)
        messages = conversation(body.messages)
        sticky = body.sticky or messages[-1].content
        target = await run_in_threadpool(self._targets.find, body.model, sticky)
        refuse_pictures(target, body.model)
        asked = orders(body, target, messages=messages)

        async def again(mirror: Target) -> None:
            await self._answering.whole(mirror, orders(body, mirror, messages=messages))

        self._mirrors.send(target, sticky, again)
        head = {
            "id": new_id("chat"),
            "created": int(self._works.clock.now().timestamp()),
            "model": body.model,
        }
        if body.stream:
            return await as_events(self._chunks(target, asked, head))
        answers = await self._answering.whole(target, asked)
        pairs = zip(asked, answers, strict=True)
        choices = [_choice(number, order, answer) for number, (order, answer) in enumerate(pairs)]
        return {
            **head,
            "object": "chat.completion",
            "choices": choices,
            "prompt": [],
            "usage": usage(answers),
        }

    async def _chunks(
        self, target: Target, asked: list[TextRequest], head: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any]]:
        """Stream the choices one after the other; the very last chunk brings the usage."""
        head = {**head, "object": "chat.completion.chunk"}
        answers: list[TextAnswer] = []
        for number, order in enumerate(asked):
            async for piece in self._answering.pieces(target, order):
                if isinstance(piece, str):
                    yield {**head, "choices": [_delta(number, piece)]}
                    continue
                answers.append(piece)
                last = _delta(number, "", finish_reason=piece.finish_reason, seed=order.seed)
                count = {"usage": usage(answers)} if len(answers) == len(asked) else {}
                yield {**head, "choices": [last], **count}


def conversation(turns: list[Turn]) -> tuple[Message, ...]:
    """Read the messages of a request.

    Raises:
        Refusal: One has a role or a part that this engine does not have.
    """
    return tuple(Message(_role(turn), _text(turn)) for turn in turns)


def _role(turn: Turn) -> str:
    if turn.role not in _ROLES:
        raise invalid(f"A message has the role {turn.role!r}; here it is {', '.join(_ROLES)}.", "messages")
    return turn.role


def _text(turn: Turn) -> str:
    if turn.content is None or isinstance(turn.content, str):
        return turn.content or ""
    other = next((part.type for part in turn.content if part.type != "text"), None)
    if other:
        raise invalid(f"A message has a part of type {other!r}; this model reads text only.", "messages")
    return "".join(part.text or "" for part in turn.content)


def _choice(number: int, order: TextRequest, answer: TextAnswer) -> dict[str, Any]:
    return {
        "index": number,
        "message": {"role": "assistant", "content": answer.text, "tool_calls": []},
        "finish_reason": answer.finish_reason,
        "seed": order.seed,
        "logprobs": None,
        "text": "",
    }


def _delta(number: int, text: str, **more: Any) -> dict[str, Any]:
    return {
        "index": number,
        "delta": {"role": "assistant", "content": text},
        "finish_reason": None,
        "logprobs": None,
        **more,
    }
