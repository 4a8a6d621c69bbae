"""A result that is kept: pictures and words, read out of what places answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from lorry.errors import AnswerUnusable, LorryError, OptionInvalid
from lorry.generation.asking import Ask, Form
from lorry.generation.gateway.attempts import Attempt, ask_place, may_have_acted
from lorry.generation.gateway.composing import Outgoing
from lorry.generation.gateway.replies import Budget, length_of, object_of, read_whole, usage_of
from lorry.generation.gateway.sink import Request
from lorry.generation.ports import Reply, Upstream
from lorry.generation.prompt import with_trigger
from lorry.generation.service import Draws, picture_order
from lorry.model.serving import Place

#: Requests at once for the pictures of one request: what the API itself draws for one (dossier 3.1).
_AT_ONCE = 4
#: Bytes that an answer of unknown length is counted as.
_GUESS = 4 * 1024 * 1024

_KINDS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"RIFF", "image/webp"))


@dataclass(frozen=True, slots=True)
class Made:
    """One picture: its bytes, its seed where each was asked for by itself, its kind, its SHA-256 in hex."""

    content: bytes
    seed: int | None
    media: str
    digest: str


@dataclass(slots=True)
class Result:
    """What a place gave.

    Attributes:
        pictures: In order.
        meta: The other fields of the answer, as values.
        text: The answer of a model for words.
        finish: Why it ended.
        tokens: Read and written.
        body: The whole answer, in the form `chat`.
        missing: Pictures that did not come: seed and error.
        prompt: The prompt as it was sent.
        trigger_added: Whether the trigger word had to be put in.
    """

    pictures: list[Made] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    text: str | None = None
    finish: str = ""
    tokens: tuple[int, int] = (0, 0)
    body: bytes | None = None
    missing: list[dict[str, Any]] = field(default_factory=list)
    prompt: str = ""
    trigger_added: bool = False


class _Item(msgspec.Struct):
    b64_json: bytes


class _Message(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


_ITEMS = msgspec.json.Decoder(list[_Item])
_CHOICES = msgspec.json.Decoder(list[_Choice])


@dataclass(slots=True)
class Fetching:
    """Asks places for whole results.

    Attributes:
        upstream: The HTTP client.
        clock: Seconds that only grow.
        budget: Bytes of answers in memory at once.
        painter_of: Gives who draws through a queue, for containers.
        draw: Gives a seed below its argument.
    """

    upstream: Upstream
    clock: Callable[[], float]
    budget: Budget
    painter_of: Callable[[Place], Awaitable[Draws]]
    draw: Callable[[int], int]

    async def fetch(self, request: Request, ask: Ask, attempt: Attempt) -> Result:
        """Ask a place, and read its whole answer.

        Raises:
            LorryError: It refused, failed, or its answer is no result.
        """
        place = attempt.place
        if place.route == "together-container":
            result = await self._by_jobs(ask, place)
        elif place.model.kind != "image-lora":
            result = await self._ask(request, ask, attempt, _read_words)
        elif ask.form is Form.GENERATE:
            result = await self._one_by_one(request, ask, attempt)
        else:
            result = await self._ask(request, ask, attempt, _read_pictures)
        attempt.pictures, attempt.tokens = len(result.pictures), result.tokens
        return result

    async def _ask(
        self,
        request: Request,
        ask: Ask,
        attempt: Attempt,
        understand: Callable[[bytes, Ask], Result],
        seed: int | None = None,
    ) -> Result:
        async def read(reply: Reply, out: Outgoing) -> Result:
            length = length_of(reply)
            size = length or _GUESS
            await self.budget.take(size)
            try:
                result = understand(await read_whole(reply, length), ask)
            finally:
                await self.budget.give_back(size)
            result.prompt, result.trigger_added = out.prompt, out.trigger_added
            return result

        return await ask_place(self.upstream, self.clock, request, ask, attempt, read, seed=seed)

    async def _one_by_one(self, request: Request, ask: Ask, attempt: Attempt) -> Result:
        """Ask for each picture by itself: the API does not say which seeds the others of a request get."""
        first = self.draw(2**31 - ask.count) if ask.seed is None else ask.seed
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(seed: int) -> Result | LorryError:
            async with gate:
                try:
                    return await self._ask(request, ask, attempt, _read_pictures, seed)
                except LorryError as error:
                    return error

        seeds = [first + number for number in range(ask.count)]
        answers = await asyncio.gather(*map(one, seeds))
        failed = [answer for answer in answers if isinstance(answer, LorryError)]
        made = [answer for answer in answers if isinstance(answer, Result)]
        unknown = sum(map(may_have_acted, failed))
        if not made:
            # Where any of them may have been drawn, that is what decides: it may be owed.
            raise max(failed, key=may_have_acted)
        result = Result(meta=made[0].meta, prompt=made[0].prompt, trigger_added=made[0].trigger_added)
        for seed, answer in zip(seeds, answers, strict=True):
            if isinstance(answer, LorryError):
                result.missing.append({"seed": seed, "error": answer.as_dict()})
            else:
                result.pictures += [replace(picture, seed=seed) for picture in answer.pictures[:1]]
        attempt.cents *= (len(result.pictures) + unknown) / ask.count
        return result

    async def _by_jobs(self, ask: Ask, place: Place) -> Result:
        if ask.width != ask.height:
            raise OptionInvalid(
                f"{place.model.name} draws square pictures in its container.",
                fix=f"Ask for {ask.width}x{ask.width}.",
            )
        prompt, added = with_trigger(ask.prompt, place.model.trigger)
        first = self.draw(2**31 - ask.count) if ask.seed is None else ask.seed
        order = picture_order(place.placement, prompt, first, ask.steps, ask.width, ask.count, ask.scale)
        pictures = await (await self.painter_of(place)).paint(order)
        made = [made_of(picture.png, picture.seed) for picture in pictures]
        return Result(made, prompt=prompt, trigger_added=added)


def made_of(content: bytes, seed: int | None) -> Made:
    """Take a picture as it came.

    Raises:
        AnswerUnusable: It is none.
    """
    return Made(content, seed, _kind(content), hashlib.sha256(content).hexdigest())


def _read_pictures(body: bytes, _ask: Ask) -> Result:
    fields = object_of(body)
    try:
        items = _ITEMS.decode(fields["data"])
    except (KeyError, msgspec.DecodeError) as error:
        raise AnswerUnusable(f"The platform's answer holds no pictures ({error}).") from error
    if not items:
        raise AnswerUnusable("The platform's answer holds no picture.")
    pictures = [made_of(item.b64_json, None) for item in items]
    meta = {name: msgspec.json.decode(raw) for name, raw in fields.items() if name not in ("data", "model")}
    return Result(pictures, meta)


def _kind(content: bytes) -> str:
    for begins, media in _KINDS:
        if content.startswith(begins):
            return media
    raise AnswerUnusable(f"The platform's answer holds no picture (it begins with {content[:4].hex()}).")


def _read_words(body: bytes, ask: Ask) -> Result:
    fields = object_of(body)
    if ask.form is Form.CHAT:
        fields["model"] = msgspec.Raw(msgspec.json.encode(ask.model))
        return Result(body=msgspec.json.encode(fields), tokens=usage_of(fields))
    try:
        choice = _CHOICES.decode(fields["choices"])[0]
    except (KeyError, IndexError, msgspec.DecodeError) as error:
        raise AnswerUnusable(f"The platform's answer holds no words ({error}).") from error
    return Result(text=choice.message.content, finish=choice.finish_reason or "", tokens=usage_of(fields))
