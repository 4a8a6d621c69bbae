"""Words from the platform: chat completions (Together API dossier 5.1)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from together import AsyncStream, omit
from together.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionUsage

from lorry.model.generation import TextOrder, Words
from lorry.platforms.together.connection import Connection


class TogetherWriter:
    """The port `Writer`.

    Args:
        connection: Where to.
    """

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def write(self, order: TextOrder) -> Words:
        """Give the answer to a prompt."""
        doing = f"answer with {order.target}"
        with self._at.faults.translated(doing):
            answer = await self._at.client.chat.completions.create(**_asked(order))
        return self._at.read(doing, _whole, answer)

    async def stream(self, order: TextOrder) -> AsyncIterator[str | Words]:
        """Give the pieces of an answer as they come, and the whole of it last."""
        doing = f"answer with {order.target}"
        said: list[str] = []
        finish, tokens = "", (0, 0)
        with self._at.faults.translated(doing):
            async with await self._at.client.chat.completions.create(**_asked(order), stream=True) as chunks:
                async for chunk in self._whole_pieces(chunks, doing):
                    piece, ended = self._at.read(doing, _piece, chunk)
                    finish = ended or finish
                    tokens = self._at.read(doing, _tokens, chunk.usage) or tokens
                    if piece:
                        said.append(piece)
                        yield piece
        if not finish:
            raise self._at.faults.unreadable("it ends in the middle, without a reason", doing)
        yield Words("".join(said), finish, tokens)

    async def _whole_pieces(
        self, chunks: AsyncStream[ChatCompletionChunk], doing: str
    ) -> AsyncIterator[ChatCompletionChunk]:
        """Give the pieces of a stream; one that is no JSON is a fault of the platform."""
        try:
            async for chunk in chunks:
                yield chunk
        except json.JSONDecodeError as error:
            raise self._at.faults.unreadable(f"a piece of it is no JSON ({error.msg})", doing) from error


def _asked(order: TextOrder) -> dict[str, Any]:
    messages = [{"role": "system", "content": order.system}] if order.system else []
    return {
        "model": order.target,
        "messages": [*messages, {"role": "user", "content": order.prompt}],
        "max_tokens": order.max_tokens,
        "temperature": omit if order.temperature is None else order.temperature,
        "seed": omit if order.seed is None else order.seed,
    }


def _whole(answer: ChatCompletion) -> Words:
    choice = answer.choices[0]
    words = choice.message.content if choice.message else None
    if not isinstance(words, str):
        raise ValueError("it has no text")  # noqa: TRY004
    return Words(words, str(choice.finish_reason or ""), _tokens(answer.usage) or (0, 0))


def _tokens(usage: ChatCompletionUsage | None) -> tuple[int, int] | None:
    return (usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else None


def _piece(chunk: ChatCompletionChunk) -> tuple[str, str]:
    if not chunk.choices:  # the last one may carry the count of tokens alone
        return "", ""
    choice = chunk.choices[0]
    content = choice.delta.content if choice.delta else None
    return content or "", str(choice.finish_reason or "")
