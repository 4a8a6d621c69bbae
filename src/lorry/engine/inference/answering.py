"""Asks the language model for a request, whole or piece by piece, and notes what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.concurrency import run_in_threadpool

from lorry.engine.api_errors import Refusal, Rpc, invalid
from lorry.engine.clock import stamp
from lorry.engine.documents import new_id
from lorry.engine.inference.targets import Target
from lorry.engine.language.port import TextAnswer, TextRequest
from lorry.engine.language_serving import LanguageServing
from lorry.engine.together.lifecycle import told
from lorry.engine.together.records import RequestRecord, Shelves
from lorry.engine.works import Works
from lorry.errors import AdapterUnusable, LorryError, OptionInvalid


class Answering:
    """The way of a request for words through one engine."""

    def __init__(self, works: Works, shelves: Shelves, language: LanguageServing) -> None:
        self._works = works
        self._shelves = shelves
        self._language = language

    async def whole(self, target: Target, asked: list[TextRequest]) -> list[TextAnswer]:
        """Answer all choices of a request.

        Raises:
            Refusal: The model can't be opened, or can't take the adapter.
        """
        begun = time.perf_counter()
        answers: list[TextAnswer] = []
        status = 500
        try:
            answers = await asyncio.gather(*(self._language.answer(target.weights, each) for each in asked))
            status = 200
        except LorryError as error:
            refusal = as_refusal(error)
            status = refusal.status
            raise refusal from error
        finally:
            await run_in_threadpool(self._note, target, status, begun, answers)
        return answers

    async def pieces(self, target: Target, asked: TextRequest) -> AsyncGenerator[str | TextAnswer]:
        """Give the pieces of one choice as they come, and the whole answer last.

        Raises:
            Refusal: The model can't be opened, or can't take the adapter.
        """
        begun = time.perf_counter()
        first = 0.0
        whole: list[TextAnswer] = []
        status = 499  # nginx's number for a client that left, until the answer is whole
        try:
            async with aclosing(self._language.stream(target.weights, asked)) as pieces:
                async for piece in pieces:
                    first = first or time.perf_counter() - begun
                    if isinstance(piece, TextAnswer):
                        whole, status = [piece], 200
                    yield piece
        except LorryError as error:
            refusal = as_refusal(error)
            status = refusal.status
            raise refusal from error
        finally:
            self._note(target, status, begun, whole, first)

    def _note(
        self, target: Target, status: int, begun: float, answers: list[TextAnswer], first: float = 0.0
    ) -> None:
        if target.endpoint is None:
            return
        self._shelves.requests.put(
            RequestRecord(
                id=new_id("req"),
                endpoint_id=target.endpoint,
                deployment_id=target.deployment,
                created_at=stamp(self._works.clock.now()),
                status=status,
                milliseconds=round((time.perf_counter() - begun) * 1000, 1),
                pictures=0,
                prompt_tokens=sum(answer.prompt_tokens for answer in answers),
                completion_tokens=sum(answer.completion_tokens for answer in answers),
                first_token_ms=round(first * 1000, 1),
            )
        )


def as_refusal(error: LorryError) -> Refusal:
    """Say as an answer of the API what went wrong in the language model."""
    if isinstance(error, AdapterUnusable):
        return invalid(error.message, "model")
    if isinstance(error, OptionInvalid):  # the conversation is too long, or the model takes no such one
        reason = "context_length_exceeded" if "context_length" in error.evidence else "invalid_request_error"
        return Refusal(Rpc.INVALID_ARGUMENT, error.message, reason=reason)
    return Refusal(Rpc.UNAVAILABLE, told(error), reason=error.code)


def usage(answers: list[TextAnswer]) -> dict[str, int]:
    """Count tokens: the prompt once, all choices together."""
    prompt = max((answer.prompt_tokens for answer in answers), default=0)
    completion = sum(answer.completion_tokens for answer in answers)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
