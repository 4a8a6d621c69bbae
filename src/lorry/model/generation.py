"""A request for pictures and what comes back."""

from __future__ import annotations

from dataclasses import dataclass


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
    """

    target: str
    prompt: str
    seed: int
    steps: int | None = None
    size: int | None = None
    count: int = 1
    adapter: str | None = None
    scale: float | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as PNG bytes, with the seed that gives it again."""

    png: bytes
    seed: int


@dataclass(frozen=True, slots=True)
class Generation:
    """Pictures of one request, and how they came about.

    Attributes:
        model: Lorry's name of the model.
        prompt: The prompt as it was sent.
        trigger_added: Whether the trigger word had to be put in.
        route: Which route served it.
        pictures: In order of their seeds.
        seconds: Time from request to answer.
    """

    model: str
    prompt: str
    trigger_added: bool
    route: str
    pictures: tuple[Picture, ...]
    seconds: float
