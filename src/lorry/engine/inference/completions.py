"""`POST /v1/completions`: a text goes on (the SDK's `completion.py` and `completion_chunk.py`)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from lorry.engine.documents import new_id
from lorry.engine.inference.answering import Answering, usage
from lorry.engine.inference.events import as_events
from lorry.engine.inference.mirroring import Mirrors
from lorry.engine.inference.targets import Target, Targets
from lorry.engine.inference.words import Sampling, orders, refuse_pictures, refuse_unsupported
from lorry.engine.language.port import TextAnswer, TextRequest
from lorry.engine.together.identity import key_check
from lorry.engine.works import Works


class CompletionRequest(Sampling):
    """Body of a request."""

    prompt: str


class Completions:
    """Goes on with texts."""

    def __init__(self, works: Works, targets: Targets, answering: Answering, mirrors: Mirrors) -> None:
        self._works = works
        self._targets = targets
        self._answering = answering
        self._mirrors = mirrors

    def router(self) -> APIRouter:
        """Make the route."""
        routes = APIRouter(dependencies=[Depends(key_check(self._works.config))])
        routes.add_api_route("/v1/completions", self.complete, methods=["POST"], response_model=None)
        return routes

    async def complete(self, body: CompletionRequest) -> dict[str, Any] | StreamingResponse:
        """Go on with a text, whole or as a stream of pieces."""
        refuse_unsupported(body)
        target = await run_in_threadpool(self._targets.find, body.model, body.sticky or body.prompt)
        refuse_pictures(target, body.model)
        asked = orders(body, target, prompt=body.prompt)

        async def again(mirror: Target) -> None:
            await self._answering.whole(mirror, orders(body, mirror, prompt=body.prompt))

        self._mirrors.send(target, body.sticky or body.prompt, again)
        head = {
            "id": new_id("cmpl"),
            "created": int(self._works.clock.now().timestamp()),
            "model": body.model,
        }
        if body.stream:
            return await as_events(self._chunks(target, asked, head))
        answers = await self._answering.whole(target, asked)
        choices = [
            {
                "index": number,
                "text": answer.text,
                "finish_reason": answer.finish_reason,
                "seed": order.seed,
                "logprobs": None,
            }
            for number, (order, answer) in enumerate(zip(asked, answers, strict=True))
        ]
        return {
            **head,
            "object": "text.completion",
            "choices": choices,
            "prompt": [],
            "usage": usage(answers),
        }

    async def _chunks(
        self, target: Target, asked: list[TextRequest], head: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any]]:
        head = {**head, "object": "completion.chunk"}
        answers: list[TextAnswer] = []
        for number, order in enumerate(asked):
            async for piece in self._answering.pieces(target, order):
                if isinstance(piece, str):
                    yield {**head, **_chunk(number, piece)}
                    continue
                answers.append(piece)
                count = {"usage": usage(answers)} if len(answers) == len(asked) else {}
                last = _chunk(number, "", finish_reason=piece.finish_reason, seed=order.seed)
                yield {**head, **last, **count}


def _chunk(number: int, text: str, **more: Any) -> dict[str, Any]:
    # The client's type wants a token in each chunk. A piece may be several of them; their ids are not told.
    token = {"id": 0, "text": text, "logprob": 0.0, "special": False}
    delta = {"role": "assistant", "content": text}
    choice = {"index": number, "text": text, "delta": delta}
    return {"token": token, "choices": [choice], "finish_reason": None, **more}
