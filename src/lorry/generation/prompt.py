"""The trigger word in a prompt."""

from __future__ import annotations

import re


def with_trigger(prompt: str, trigger: str | None) -> tuple[str, bool]:
    """Put the trigger word in front of a prompt that lacks it.

    A trigger counts as there when it stands as a whole word (or, of several words, as that phrase with any
    white space between), in whatever case: text encoders lower-case what they read.

    Args:
        prompt: What the user wrote; kept as it is, but for white space at its ends.
        trigger: The model's trigger word or phrase, if it has one.

    Returns:
        The prompt to send, and whether the trigger was added.
    """
    text = prompt.strip()
    words = (trigger or "").split()
    if not words or _phrase(words).search(text):
        return text, False
    phrase = " ".join(words)
    return (f"{phrase}, {text}" if text else phrase), True


def _phrase(words: list[str]) -> re.Pattern[str]:
    # Not \b: a trigger may begin or end with a sign that is no letter, such as <tok>.
    inner = r"\s+".join(map(re.escape, words))
    return re.compile(rf"(?<!\w){inner}(?!\w)", re.IGNORECASE)
