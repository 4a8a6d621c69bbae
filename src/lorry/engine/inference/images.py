"""`POST /v1/images/generations` (Together API dossier 3.1)."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from lorry.engine.api_errors import Refusal, Rpc, invalid
from lorry.engine.clock import stamp
from lorry.engine.documents import new_id
from lorry.engine.drawing.port import ImageServing
from lorry.engine.inference.leaving import while_connected
from lorry.engine.inference.loras import Chosen, ImageLora, Loras
from lorry.engine.inference.mirroring import Mirrors
from lorry.engine.inference.pictures import Album, encode
from lorry.engine.inference.previews import Previews
from lorry.engine.inference.targets import Target, Targets
from lorry.engine.inference.words import refuse_words
from lorry.engine.renderers.port import Canvas, Picture, RenderRequest
from lorry.engine.together.identity import key_check
from lorry.engine.together.records import RequestRecord, Shelves
from lorry.engine.works import Works
from lorry.errors import AdapterUnusable, EngineBusy, LorryError

#: Sides in px.
Size = tuple[int, int]

_LARGEST_SEED = 2**63 - 1


class ImageRequest(BaseModel):
    """Body of a request; fields that make no difference here are ignored, as Together does."""

    model_config = ConfigDict(extra="ignore")

    model: str
    prompt: Annotated[str, Field(min_length=1, max_length=10_000)]
    negative_prompt: str | None = None
    width: int | None = None
    height: int | None = None
    steps: Annotated[int, Field(ge=1, le=50)] | None = None
    n: Annotated[int, Field(ge=1, le=4)] | None = None
    seed: Annotated[int, Field(ge=0, le=_LARGEST_SEED)] | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)] | None = None
    image_loras: list[ImageLora] | None = None
    response_format: Literal["url", "base64", "b64_json"] | None = None
    output_format: Literal["png", "jpeg"] | None = None
    user: str | None = None
    preview_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")] | None = None


class Images:
    """Draws what is asked for."""

    def __init__(
        self,
        works: Works,
        shelves: Shelves,
        targets: Targets,
        loras: Loras,
        serving: ImageServing,
        album: Album,
        mirrors: Mirrors,
        previews: Previews,
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._targets = targets
        self._loras = loras
        self._serving = serving
        self._album = album
        self._mirrors = mirrors
        self._previews = previews

    def router(self) -> APIRouter:
        """Make the route."""
        routes = APIRouter(dependencies=[Depends(key_check(self._works.config))])
        routes.add_api_route("/v1/images/generations", self.generate, methods=["POST"], response_model=None)
        return routes

    async def generate(self, body: ImageRequest, request: Request) -> dict[str, Any]:
        """Draw pictures and answer with them or with their addresses."""
        size = await run_in_threadpool(self._size, body)
        sticky = body.user or body.prompt
        target = await run_in_threadpool(self._targets.find, body.model, sticky)
        refuse_words(target, body.model)

        async def again(mirror: Target) -> None:
            await self._generated(mirror, body, size, request, shadow=True)

        self._mirrors.send(target, sticky, again)
        return await self._generated(target, body, size, request)

    def _size(self, body: ImageRequest) -> Size:
        try:
            return size_of(self._serving.canvas, body.width, body.height)
        except LorryError as error:
            raise _unavailable(error) from error

    async def _generated(
        self, target: Target, body: ImageRequest, size: Size, request: Request, *, shadow: bool = False
    ) -> dict[str, Any]:
        begun = time.perf_counter()
        status = 500
        try:
            chosen = await run_in_threadpool(
                self._loras.choose, target, body.image_loras or [], request.url.netloc
            )
            orders = _orders(body, chosen, size, self._serving.canvas)
            drawing = self._drawn(orders, chosen, None if shadow else body.preview_id)
            pictures = await (drawing if shadow else while_connected(request, drawing))
            answer = await run_in_threadpool(self._answer, body, orders, pictures, size, request)
            status = 200
        except Refusal as error:
            status = error.status
            raise
        finally:
            spent = (time.perf_counter() - begun) * 1000
            await run_in_threadpool(self._note, target, status, spent, body.n or 1)
        return {**answer, "timings": {"inference": round(spent / 1000, 4)}}

    async def _drawn(self, orders: list[RenderRequest], chosen: Chosen, preview: str | None) -> list[Picture]:
        watch = self._previews.watch(preview, orders[0].steps) if preview else None
        try:
            return await self._serving.render(orders, chosen.needed, watch)
        except EngineBusy as error:
            wait = float(error.evidence["retry_after"])
            raise Refusal(Rpc.UNAVAILABLE, error.message, reason=error.code, retry_after=wait) from error
        except AdapterUnusable as error:
            raise invalid(error.message, "image_loras") from error
        except LorryError as error:
            raise _unavailable(error) from error
        finally:
            if preview:
                self._previews.end(preview)

    def _answer(
        self,
        body: ImageRequest,
        orders: list[RenderRequest],
        pictures: list[Picture],
        size: Size,
        request: Request,
    ) -> dict[str, Any]:
        form = body.output_format or "jpeg"
        encoded = [
            (order.seed, encode(picture, size, form)) for order, picture in zip(orders, pictures, strict=True)
        ]
        base_url = str(request.base_url) if body.response_format in (None, "url") else None
        return {
            "id": new_id("img"),
            "model": body.model,
            "object": "list",
            "data": self._album.rows(encoded, form, base_url),
        }

    def _note(self, target: Target, status: int, milliseconds: float, pictures: int) -> None:
        if target.endpoint is None:
            return
        self._shelves.requests.put(
            RequestRecord(
                id=new_id("req"),
                endpoint_id=target.endpoint,
                deployment_id=target.deployment,
                created_at=stamp(self._works.clock.now()),
                status=status,
                milliseconds=round(milliseconds, 1),
                pictures=pictures,
            )
        )


def _unavailable(error: LorryError) -> Refusal:
    return Refusal(Rpc.UNAVAILABLE, error.message, reason=error.code)


def size_of(canvas: Canvas, width: int | None, height: int | None) -> Size:
    """Give the sides of the pictures that are asked for.

    Args:
        canvas: What the base draws.
        width: In px; as the other side when `None`.
        height: In px.

    Raises:
        Refusal: The base draws no such pictures; every reason at once.
    """
    wide = width if width is not None else height if height is not None else canvas.native
    high = height if height is not None else wide
    asked = f"{wide}x{high} was asked for"
    problems = [f"The pictures are square here; {asked}."] if canvas.square and wide != high else []
    allowed = range(canvas.smallest, canvas.largest + 1, canvas.multiple)
    if not {wide, high} <= set(allowed):
        said = f"{canvas.smallest} to {canvas.largest} in multiples of {canvas.multiple}"
        problems.append(f"The size can be {said}; {f'{wide} was asked for' if wide == high else asked}.")
    if problems:
        raise invalid(" ".join(problems), "width")
    return wide, high


def _orders(body: ImageRequest, chosen: Chosen, size: Size, canvas: Canvas) -> list[RenderRequest]:
    first = body.seed if body.seed is not None else secrets.randbelow(2**31)
    return [
        RenderRequest(
            prompt=body.prompt,
            seed=first + number,
            steps=body.steps or canvas.steps,
            guidance=canvas.guidance if body.guidance_scale is None else body.guidance_scale,
            negative_prompt=body.negative_prompt or "",
            adapters=chosen.uses,
            width=size[0] if canvas.own else None,
            height=size[1] if canvas.own else None,
        )
        for number in range(body.n or 1)
    ]
