"""Write answers token by token, several at once, each until its own end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from lorry.engine.language.port import TextAnswer, TextRequest
from lorry.engine.language.sampling import Sampler
from lorry.engine.language.stopping import StopWatch


class Row:
    """One answer that is being written.

    Args:
        request: What was asked.
        prompt: Tokens of the prompt.
        limit: Most tokens of the answer.
        ends: Tokens that end it.
        tokenizer: Of the `tokenizers` library; turns tokens into text.
    """

    def __init__(
        self, request: TextRequest, prompt: list[int], limit: int, ends: frozenset[int], tokenizer: Any
    ) -> None:
        from tokenizers.decoders import DecodeStream

        self.request = request
        self.prompt = prompt
        #: The token that the model reads next.
        self.last = prompt[-1]
        #: `stop` or `length` when the answer has ended.
        self.ended: str | None = None
        self._limit = limit
        self._ends = ends
        self._tokenizer = tokenizer
        # A character may take several tokens; it comes when its last one does. Half of one at the very end is
        # left out.
        self._characters = DecodeStream(skip_special_tokens=True)
        self._sampler = Sampler(request.temperature, request.top_p, request.seed)
        self._watch = StopWatch(request.stop)
        self._count = 0

    def take(self, scores: Any) -> str:
        """Choose the next token and give the text that may be shown by now.

        Args:
            scores: The model's logits for it, float32 [vocabulary].
        """
        self.last = self._sampler.draw(scores)
        self._count += 1
        if self.last in self._ends:
            return self._end("stop")
        piece = self._watch.feed(self._characters.step(self._tokenizer, self.last) or "")
        if self._watch.stopped:
            return piece + self._end("stop")
        if self._count == self._limit:
            return piece + self._end("length")
        return piece

    def answer(self) -> TextAnswer:
        """Give the whole answer."""
        return TextAnswer(self._watch.text, len(self.prompt), self._count, self.ended or "length")

    def _end(self, reason: str) -> str:
        self.ended = reason
        return self._watch.finish()


class Forward(Protocol):
    """A language model, as transformers calls it, with an adapter for each row of the batch."""

    def __call__(self, adapters: Sequence[str | None], **inputs: Any) -> Any:
        """Compute the scores of the next tokens; the inputs are those of a causal model of transformers."""


def write(forward: Forward, cache: Any, rows: Sequence[Row]) -> Iterator[list[str]]:
    """Write all rows to their ends; after each token give the new piece of every row that went on.

    Args:
        forward: The model.
        cache: An empty cache for its keys and values; rows that have ended leave it.
        rows: The answers to write.
    """
    if not rows:
        return
    batch = _Batch(forward, cache, rows)
    while batch.rows:
        yield batch.step()


class _Batch:
    """The rows that go on, with what the model remembers of them: all padded on the left to one length."""

    def __init__(self, forward: Forward, cache: Any, rows: Sequence[Row]) -> None:
        import torch

        self.rows = list(rows)
        self._forward = forward
        self._cache = cache
        length = max(len(row.prompt) for row in rows)
        pads = [length - len(row.prompt) for row in rows]
        self._tokens = torch.tensor([[0] * pad + row.prompt for pad, row in zip(pads, rows, strict=True)])
        self._mask = torch.tensor([[0] * pad + [1] * (length - pad) for pad in pads])

    def step(self) -> list[str]:
        """Let the model read what is new, and each row choose its next token."""
        import torch

        with torch.inference_mode():
            scores = self._scores()
            pieces = [row.take(each) for row, each in zip(self.rows, scores, strict=True)]
            self._go_on()
        return pieces

    def _scores(self) -> Any:
        places = (self._mask.cumsum(-1) - 1).clamp(min=0)[:, -self._tokens.shape[1] :]
        answer = self._forward(
            [row.request.adapter for row in self.rows],
            input_ids=self._tokens,
            attention_mask=self._mask,
            position_ids=places,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return answer.logits[:, -1].float()

    def _go_on(self) -> None:
        """Leave out the rows that have ended, and make room for the next token of the others."""
        import torch

        staying = [number for number, row in enumerate(self.rows) if row.ended is None]
        if len(staying) < len(self.rows):
            self.rows = [self.rows[number] for number in staying]
            kept = torch.tensor(staying, dtype=torch.long)
            self._mask = self._mask[kept]
            if staying:
                self._cache.batch_select_indices(kept)
        self._tokens = torch.tensor([[row.last] for row in self.rows])
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self.rows), 1)], -1)
