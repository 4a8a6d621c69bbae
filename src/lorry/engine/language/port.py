"""What answers in words: the port of a language model, with adapters that come and go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

#: Tokens of an answer when a request says nothing.
DEFAULT_MAX_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is `system`, `user` or `assistant`."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class TextRequest:
    """What a language model is asked.

    Attributes:
        messages: The conversation, to be put into the model's chat template; empty for a bare `prompt`.
        prompt: The text to go on with, where there is no conversation.
        adapter: Key of the loaded adapter that acts; `None` for the base alone.
        max_tokens: Most tokens of the answer.
        temperature: 0 for the likeliest token each time (greedy).
        top_p: Mass of the likeliest tokens that are drawn from.
        seed: Makes drawing repeatable; any when `None`.
        stop: Texts at which the answer ends; they are not part of it.
    """

    messages: tuple[Message, ...] = ()
    prompt: str = ""
    adapter: str | None = None
    max_tokens: int = DEFAULT_MAX_TOKENS
    temperature: float = 0.7
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """An answer; `finish_reason` is `stop` or `length`."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str


@dataclass(frozen=True, slots=True)
class LoadedTextAdapter:
    """A loaded adapter: its key, how many layers it changes, and its largest rank."""

    key: str
    modules: int
    rank: int


class LanguageModel(Protocol):
    """A language model that mixes adapters within one batch."""

    name: str

    def load(self, key: str, folder: Path) -> LoadedTextAdapter:
        """Load a PEFT adapter (`adapter_config.json`, `adapter_model.safetensors`) under a key.

        Raises:
            AdapterUnusable: It can't be read, or fits no layer.
        """

    def unload(self, key: str) -> None:
        """Forget an adapter; one that is not loaded is fine."""

    def answer(self, requests: Sequence[TextRequest]) -> list[TextAnswer]:
        """Answer requests in one batch, each with its own adapter, in their order.

        Raises:
            AdapterUnusable: A request names an adapter that is not loaded.
        """

    def stream(self, request: TextRequest) -> Iterator[str | TextAnswer]:
        """Give the pieces of an answer as they come, and the whole answer (a `TextAnswer`) last."""
