"""Pictures from the platform (Together API dossier 3.1 and 3.3)."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from together.types import ImageFile

from lorry.delivery.ports import Queue
from lorry.model.generation import Picture, PictureOrder
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.jobs import paint_by_jobs
from lorry.platforms.together.picture_fields import picture_options

#: Requests at once: the most pictures that the API draws for one request (3.1), so no new load.
_AT_ONCE = 4

_PNG = b"\x89PNG\r\n\x1a\n"


class TogetherPainter:
    """The port `Painter`.

    Args:
        connection: Where to.
        queue: Takes the orders that go to a container.
    """

    def __init__(self, connection: Connection, queue: Queue) -> None:
        self._at = connection
        self._queue = queue

    async def paint(self, order: PictureOrder) -> tuple[Picture, ...]:
        """Draw the ordered pictures, in order of their seeds.

        The API takes one seed for up to four pictures and does not say which seeds the others get. So each
        picture is a request of its own: its seed gives it again.
        """
        if order.container is not None:
            return await paint_by_jobs(self._queue, order)
        options = picture_options(order)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(seed: int) -> Picture:
            async with gate:
                return await self._one(order, options, seed)

        tasks = [asyncio.create_task(one(order.seed + index)) for index in range(order.count)]
        try:
            return tuple(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, order: PictureOrder, options: dict[str, Any], seed: int) -> Picture:
        doing = f"draw a picture with {order.target}"
        with self._at.faults.translated(doing):
            answer = await self._at.client.images.generate(
                model=order.target,
                prompt=order.prompt,
                seed=seed,
                response_format="base64",
                output_format="png",
                **options,
            )
        return Picture(self._at.read(doing, _png, answer), seed)


def _png(answer: ImageFile) -> bytes:
    if len(answer.data) != 1:
        raise ValueError(f"it holds {len(answer.data)} pictures where one was ordered")
    encoded = getattr(answer.data[0], "b64_json", None)
    if not isinstance(encoded, str):
        raise ValueError("the picture is not inside it, though it was ordered as base64")  # noqa: TRY004
    picture = base64.b64decode(encoded, validate=True)
    if not picture.startswith(_PNG):
        raise ValueError(f"the picture is no PNG (it begins with {picture[:4].hex()})")
    return picture
