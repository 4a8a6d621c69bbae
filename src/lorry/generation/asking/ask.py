"""A request as the gateway understands it, whichever form it came in."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec


class Form(StrEnum):
    """The form of a request, which is that of its answer."""

    IMAGES = "images"  # POST /v1/images/generations
    CHAT = "chat"  # POST /v1/chat/completions
    GENERATE = "generate"  # POST /api/generate


class Ask(msgspec.Struct):
    """A request that was read.

    Attributes:
        form: Its form.
        model: Lorry's name of the model.
        raw: The fields as they came, each as the JSON that it was.
        prompt: What to draw or say; empty in a conversation.
        width: Pixels; the place's choice when `None`.
        height: Pixels.
        steps: Denoising steps; the place's choice when `None`.
        seed: Of the first picture, or of the words.
        count: Number of pictures.
        scale: Strength of the adapter; as deployed when `None`.
        address: Whether pictures are answered as addresses and not inside the answer.
        stream: Whether words are answered piece by piece.
        loras: Whether the caller names adapters by itself.
        more: Fields for the platform beside those, from the form `generate`.
        webhook: Where the end of it is told; `None` for nowhere.
    """

    form: Form
    model: str
    raw: Mapping[str, Any]
    prompt: str = ""
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    seed: int | None = None
    count: int = 1
    scale: float | None = None
    address: bool = False
    stream: bool = False
    loras: bool = False
    more: dict[str, Any] = {}
    webhook: str | None = None

    @property
    def words_only(self) -> bool:
        """Whether it is a conversation."""
        return self.form is Form.CHAT
