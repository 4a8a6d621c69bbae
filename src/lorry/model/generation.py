"""A request for pictures or words, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoraUse:
    """An adapter that the platform fetches for one request: its address, and its strength."""

    path: str
    scale: float


@dataclass(frozen=True, slots=True)
class PictureOrder:
    """What a platform is asked to draw.

    Attributes:
        target: What the platform calls the model (an endpoint's name, or a base model's id).
        prompt: The text, trigger word included.
        seed: Start of the noise; picture `i` of several uses `seed + i`.
        steps: Denoising steps; `None` leaves it to the platform.
        size: Edge in pixels; `None` leaves it to the platform.
        count: Number of pictures.
        adapter: The adapter whose scale is set, by the platform's name for it; `None` for the deployed one.
        scale: Strength of the adapter, 0 for none at all; `None` leaves the deployed strength.
        loras: Adapters that the platform fetches for this request; beside them `adapter` is not used.
        container: Name of the dedicated container whose queue takes the order, with `loras`; `target` is not
            used then.
    """

    target: str
    prompt: str
    seed: int
    steps: int | None = None
    size: int | None = None
    count: int = 1
    adapter: str | None = None
    scale: float | None = None
    loras: tuple[LoraUse, ...] = ()
    container: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as PNG bytes, with the seed that gives it again."""

    png: bytes
    seed: int


@dataclass(frozen=True, slots=True)
class TextOrder:
    """What a platform is asked to say.

    Attributes:
        target: What the platform calls the model (an endpoint's name, `endpoint:adapter`, or a base model's
            id).
        prompt: What the user says.
        system: What is said to the model before; `None` for nothing.
        max_tokens: Most tokens of the answer.
        temperature: 0 for the likeliest token each time; `None` leaves it to the platform.
        seed: Makes drawing repeatable; `None` leaves it open.
    """

    target: str
    prompt: str
    system: str | None = None
    max_tokens: int = 256
    temperature: float | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """An answer in words; `finish` is why it ended, `tokens` were counted in and out."""

    text: str
    finish: str
    tokens: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Generation:
    """Pictures or words of one request, and how they came about.

    Attributes:
        model: Lorry's name of the model.
        prompt: The prompt as it was sent.
        trigger_added: Whether the trigger word had to be put in.
        route: Which route served it.
        pictures: In order of their seeds; empty for a model that answers in words.
        seconds: Time from request to answer.
        words: The answer of a model for text.
    """

    model: str
    prompt: str
    trigger_added: bool
    route: str
    pictures: tuple[Picture, ...]
    seconds: float
    words: Words | None = None
