"""Words from the platform: chat completions (Together API dossier 5.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from together import omit
from together.types.chat import ChatCompletion, ChatCompletionChunk

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
            chunks = await self._at.client.chat.completions.create(**_asked(order), stream=True)
            async for chunk in chunks:
                piece, ended = self._at.read(doing, _piece, chunk)
                finish = ended or finish
                if chunk.usage is not None:
                    tokens = (chunk.usage.prompt_tokens or 0, chunk.usage.completion_tokens or 0)
                if piece:
                    said.append(piece)
                    yield piece
        if not finish:
            raise self._at.faults.unreadable("it ends in the middle, without a reason", doing)
        yield Words("".join(said), finish, tokens)


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
    usage = answer.usage
    tokens = (usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else (0, 0)
    return Words(words, str(choice.finish_reason or ""), tokens)


def _piece(chunk: ChatCompletionChunk) -> tuple[str, str]:
    if not chunk.choices:  # the last one may carry the count of tokens alone
        return "", ""
    choice = chunk.choices[0]
    content = choice.delta.content if choice.delta else None
    return content or "", str(choice.finish_reason or "")
