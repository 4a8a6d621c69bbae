"""Choose the next token from a model's scores, each request with its own chance."""

from __future__ import annotations

from typing import Any


class Sampler:
    """Draws one answer's tokens.

    Args:
        temperature: 0 takes the likeliest token; less than 1 sharpens, more flattens.
        top_p: Only the likeliest tokens that have this much of the mass together are drawn from
            (nucleus sampling, arXiv:1904.09751).
        seed: Makes the draws repeatable, whatever else is in the batch.
    """

    def __init__(self, temperature: float, top_p: float, seed: int | None) -> None:
        import torch

        self._temperature = temperature
        self._top_p = top_p
        self._chance = torch.Generator()
        if seed is None:
            self._chance.seed()
        else:
            self._chance.manual_seed(seed)

    def draw(self, scores: Any) -> int:
        """Choose a token.

        Args:
            scores: The model's logits for one place, float32 [vocabulary].
        """
        import torch

        if self._temperature == 0:
            return int(scores.argmax())
        # In double precision, or a temperature near 0 would divide the scores into infinities.
        shares = torch.softmax(scores.double() / self._temperature, -1)
        if self._top_p < 1:
            shares = _nucleus(shares, self._top_p)
        return int(torch.multinomial(shares, 1, generator=self._chance))


def _nucleus(shares: Any, mass: float) -> Any:
    """Leave the likeliest tokens that reach the mass together; the likeliest always stays."""
    ordered, places = shares.sort(descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    ordered[before >= mass] = 0
    return shares.new_zeros(shares.shape).scatter_(0, places, ordered)
