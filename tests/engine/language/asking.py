"""Questions in short."""

from __future__ import annotations

from typing import Any

from lorry.engine.language.port import LanguageModel, Message, TextAnswer, TextRequest

QUESTIONS = (
    "What is the capital of France?",
    "Hello!",
    "Write a long story about a dragon, a lorry driver and an umbrella, with all that they say.",
    "Comment ça va ? Réponds en français, s'il te plaît. 🚚",
)


def ask(question: str = QUESTIONS[0], **wishes: Any) -> TextRequest:
    """Write a greedy request of few words."""
    settings = {"temperature": 0, "max_tokens": 16, **wishes}
    return TextRequest(messages=(Message("user", question),), **settings)


def one(model: LanguageModel, request: TextRequest) -> TextAnswer:
    """Ask a single request."""
    (answer,) = model.answer([request])
    return answer
