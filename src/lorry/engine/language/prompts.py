"""Turn what is asked into tokens: a conversation by the model's chat template, or a bare text."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lorry.engine.language.port import TextRequest
from lorry.errors import OptionInvalid


class Prompts:
    """Reads requests for one model.

    Args:
        name: The model, for the sentences.
        tokenizer: Its tokenizer, of the transformers library.
        context_length: Most tokens of a prompt and its answer together.
    """

    def __init__(self, name: str, tokenizer: Any, context_length: int) -> None:
        self._name = name
        self._tokenizer = tokenizer
        self._length = context_length

    def read(self, request: TextRequest) -> list[int]:
        """Give the tokens of a request's prompt, at least one.

        Args:
            request: A conversation or a text.

        Raises:
            OptionInvalid: No room is left for an answer, or the model takes no such conversation.
        """
        if request.messages:
            # The template writes the special tokens itself.
            tokens = self._encode(self._conversation(request), special=False)
        else:
            tokens = self._encode(request.prompt, special=True)
        if len(tokens) >= self._length:
            raise OptionInvalid(
                f"The prompt has {len(tokens)} tokens; the context of {self._name} has {self._length}, "
                "and the answer needs room in it too.",
                fix="Shorten the prompt.",
                evidence={"prompt_tokens": len(tokens), "context_length": self._length},
            )
        return tokens or [self._beginning()]

    def _encode(self, text: str, *, special: bool) -> list[int]:
        tokens: list[int] = self._tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]
        return tokens

    def _conversation(self, request: TextRequest) -> str:
        from jinja2 import TemplateError

        if not self._tokenizer.chat_template:
            raise OptionInvalid(
                f"{self._name} has no chat template, so it takes no conversation.",
                fix="Ask it with a prompt, at POST /v1/completions.",
            )
        messages = [asdict(message) for message in request.messages]
        try:
            text: str = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        except TemplateError as error:
            message = f"The chat template of {self._name} refuses the conversation: {error}."
            raise OptionInvalid(message, fix="Change the messages' roles or their order.") from error
        return text

    def _beginning(self) -> int:
        """Choose what an answer to nothing begins from."""
        first = self._tokenizer.bos_token_id
        return int(self._tokenizer.eos_token_id if first is None else first)
