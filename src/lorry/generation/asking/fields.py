"""The fields of the three forms and what each may be: the check and the OpenAPI document at once."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from lorry.generation.options import MAX_COUNT, MAX_SCALE, MAX_SEED, MAX_STEPS

#: Together draws up to 4 pictures for a request (Together API dossier 3.1), and so does the engine.
MOST_AT_PLATFORM = 4
#: Characters of a prompt for pictures: far beyond what any text encoder reads (FLUX's T5 reads 512 tokens).
LONGEST_PROMPT = 10_000
#: The longest edge that any route draws (Together API dossier 3.1), with room to name the nearest valid one.
_LARGEST = 8192

ModelName = Annotated[str, Meta(min_length=1, max_length=100, description="Lorry's name of the model.")]
Prompt = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_PROMPT,
        pattern=r"\S",
        description="What to draw or say; the model's trigger word is added where it is missing.",
    ),
]
Edge = Annotated[int, Meta(ge=1, le=_LARGEST, description="Pixels.")]
Steps = Annotated[int, Meta(ge=1, le=MAX_STEPS, description="Denoising steps.")]
Seed = Annotated[int, Meta(ge=0, le=MAX_SEED, description="The same seed gives the same picture again.")]
Scale = Annotated[
    float, Meta(ge=-MAX_SCALE, le=MAX_SCALE, description="Strength of the LoRA; 0 for none at all.")
]
Negative = Annotated[str, Meta(max_length=LONGEST_PROMPT, description="What the picture should not be.")]
Guidance = Annotated[float, Meta(ge=0, le=50, description="How closely the prompt is followed.")]
SizeText = Annotated[str, Meta(pattern=r"^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$", description="`WIDTHxHEIGHT`.")]


class NamedLora(Struct):
    """An adapter that a caller names by itself; only the scope `admin` may."""

    path: Annotated[str, Meta(min_length=1, max_length=2000, description="Its name there, or its address.")]
    scale: Scale | None = None


class ImagesBody(Struct):
    """A request in the form of Together's and OpenAI's image API; other fields pass through as they are."""

    model: ModelName
    prompt: Prompt
    n: Annotated[int, Meta(ge=1, le=MOST_AT_PLATFORM, description="Number of pictures.")] | None = None
    width: Edge | None = None
    height: Edge | None = None
    size: SizeText | None = None
    steps: Steps | None = None
    seed: Seed | None = None
    negative_prompt: Negative | None = None
    guidance_scale: Guidance | None = None
    lora_scale: Scale | None = None
    response_format: Literal["url", "base64", "b64_json"] | None = None
    output_format: Literal["png", "jpeg"] | None = None
    image_loras: Annotated[list[NamedLora], Meta(max_length=16)] | None = None


class ChatBody(Struct):
    """A request in the form of Together's and OpenAI's chat API; other fields pass through as they are."""

    model: ModelName
    messages: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=10_000)]
    stream: bool | None = None


class GenerateBody(Struct):
    """A request for pictures or words in Lorry's own form.

    A model for pictures takes those fields that are for pictures, one for words the others.
    """

    model: ModelName
    prompt: Prompt
    n: Annotated[int, Meta(ge=1, le=MAX_COUNT, description="Number of pictures.")] | None = None
    size: Edge | SizeText | None = None
    width: Edge | None = None
    height: Edge | None = None
    steps: Steps | None = None
    seed: Seed | None = None
    scale: Scale | None = None
    negative_prompt: Negative | None = None
    guidance_scale: Guidance | None = None
    format: Literal["png", "jpeg"] | None = None
    response_format: Literal["url", "base64"] | None = None
    preview: (
        Annotated[
            str,
            Meta(
                pattern=r"^[A-Za-z0-9_-]{8,64}$",
                description="A name under which the embedded engine shows the picture while it draws it.",
            ),
        ]
        | None
    ) = None
    system: (
        Annotated[str, Meta(max_length=100_000, description="Said to a model for words before.")] | None
    ) = None
    max_tokens: Annotated[int, Meta(ge=1, le=100_000, description="Most tokens of the words.")] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2, description="0 for the likeliest words.")] | None = None
    webhook: (
        Annotated[
            str, Meta(pattern=r"^https?://", max_length=2000, description="Told when it has ended, signed.")
        ]
        | None
    ) = None


#: Fields of `GenerateBody` that make no difference to words, and those that make none to pictures.
FOR_PICTURES = (
    "n", "size", "width", "height", "steps", "scale", "negative_prompt", "guidance_scale", "format",
    "response_format", "preview",
)  # fmt: skip
FOR_WORDS = ("system", "max_tokens", "temperature")
