"""The proof that an adapter for text acts: one question, without it twice and with it once.

**The measure** is the share of words that two answers do not have in common, in percent: 100 minus the ratio
of `difflib.SequenceMatcher` over their words, in order. 0 is the same text, 100 has no word in common. It
needs no model, and a person can check it by reading both.

**The threshold** is `max(5, 2 x noise)`. All answers are greedy (temperature 0) with one seed. Where a server
computes alike, two answers without the adapter are the same text and the noise is 0; on accelerators a batch
can tip a word over, and everything after it differs: that is the noise. 5 % lets a single word of a short
answer pass as an effect and a changed comma not. An adapter that does nothing gives 0 or the noise.

**Several questions**: a short factual answer may stay the same under an adapter that changes the manner of
longer ones, so up to three questions are tried and the first that passes counts.
"""

from __future__ import annotations

from difflib import SequenceMatcher

from lorry.delivery.proofs.trial import Evidence, Trial

#: The smallest share of words, in percent, that counts as an effect.
FLOOR = 5.0
#: How far above the platform's own noise an effect must be.
NOISE_FACTOR = 2.0
#: Fixed, so that a proof can be repeated. The first is answered differently by most adapters for manner or
#: role.
QUESTIONS = (
    "Who are you, and how can you help me?",
    "What is the capital of France?",
    "Give me one piece of advice for today.",
)
#: Tokens of an answer: enough to show a manner, few enough to cost nothing.
MAX_TOKENS = 48
_SEED = 1


def questions(trigger: str | None, prompt: str | None) -> tuple[str, ...]:
    """Choose what is asked.

    Args:
        trigger: The adapter's trigger word, which goes in front.
        prompt: What the user wants to be asked; nothing else is asked then.
    """
    if prompt:
        return (prompt,)
    return tuple(f"{trigger} {question}" if trigger else question for question in QUESTIONS)


def difference(first: str, second: str) -> float:
    """Measure how much two texts differ.

    Args:
        first: A text.
        second: Another one.

    Returns:
        The share of words that they do not have in common, in percent.
    """
    one, other = first.split(), second.split()
    if one == other:
        return 0.0
    return round(100 * (1 - SequenceMatcher(None, one, other, autojunk=False).ratio()), 2)


def threshold(noise: float) -> float:
    """Give the difference that counts as an effect, for a platform with this noise (percent of the words)."""
    return max(FLOOR, NOISE_FACTOR * noise)


async def measure(trial: Trial[str], asked: tuple[str, ...]) -> Evidence[str]:
    """Ask with and without the adapter until one question shows an effect, or none did.

    Args:
        trial: Asks.
        asked: The questions.

    Returns:
        The first measurement that passes, otherwise the one with the largest difference.
    """
    tried: list[Evidence[str]] = []
    for question in asked:
        without = again = None
        if trial.without is not None:
            without = await trial.without(question, _SEED)
            again = await trial.without(question, _SEED)
        acting = await trial.acting(question, _SEED)
        tried.append(_evidence(question, without, again, acting))
        if tried[-1].passed:
            return tried[-1]
    return max(tried, key=lambda evidence: evidence.difference)


def _evidence(question: str, without: str | None, again: str | None, acting: str) -> Evidence[str]:
    apart = difference(without, acting) if without is not None else 0.0
    noise = difference(without, again) if without is not None and again is not None else 0.0
    return Evidence(question, _SEED, apart, noise, threshold(noise), without, acting)
