"""Pictures while they are drawn: a request names them, and whoever knows the name is shown each step.

What is shown is only ever the newest: who looks slowly misses steps, and nothing waits for anybody.
"""

from __future__ import annotations

import asyncio
import base64
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from lorry.engine.api_errors import not_found
from lorry.engine.config import EngineConfig
from lorry.engine.drawing.port import Watch
from lorry.engine.inference.events import as_events
from lorry.engine.inference.pictures import encode
from lorry.engine.renderers.port import Look
from lorry.engine.together.identity import key_check

#: Previews that are remembered after their pictures were drawn, so that who comes late learns that they are.
_REMEMBERED = 256

#: Seconds that somebody may look for a picture that was not asked for yet.
PATIENCE = 30.0

#: Longest side of what is shown, px.
_LARGEST = 512


class _Show:
    """The pictures of one request."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []  # the newest of each picture
        self.asked = False
        self.ended = False
        self.news = 0
        self.waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []


class Previews:
    """What is being drawn and may be looked at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shows: OrderedDict[str, _Show] = OrderedDict()

    def watch(self, name: str, steps: int) -> Watch:
        """Begin to show the pictures of a request.

        Args:
            name: Under which they can be looked at.
            steps: That each of them takes.
        """
        with self._lock:
            show = self._show(name)
            show.asked, show.ended, show.frames = True, False, []

        def seen(number: int, done: int, look: Look) -> None:
            if not show.waiting:
                return  # nobody looks, and decoding costs time
            with suppress(Exception):  # a preview that fails is no reason to draw no picture
                picture = look()
                high, wide = picture.shape[:2]
                shrink = min(1.0, _LARGEST / max(high, wide))
                data = encode(picture, (round(wide * shrink), round(high * shrink)), "jpeg")
                frame = {"b64_json": base64.b64encode(data).decode(), "index": number, "step": done}
                self._say(show, {"type": "image_generation.partial_image", **frame, "steps": steps})

        return seen

    def end(self, name: str) -> None:
        """Say that a request's pictures are drawn, or never will be."""
        with self._lock:
            show = self._show(name)
            show.ended = True
        self._say(show, None)

    async def frames(self, name: str, patience: float = PATIENCE) -> AsyncGenerator[dict[str, Any]]:
        """Give the pictures of a request as they come, until they are drawn.

        Args:
            name: Under which they were begun, or will be.
            patience: Seconds to wait for that.

        Raises:
            Refusal: Nobody asked for them in that time.
        """
        event, loop, seen = asyncio.Event(), asyncio.get_running_loop(), 0
        with self._lock:
            show = self._show(name)
            show.waiting.append((loop, event))
        try:
            while True:
                event.clear()
                with self._lock:
                    fresh, ended, asked = [f for f in show.frames if f["news"] > seen], show.ended, show.asked
                    seen = show.news
                for frame in fresh:
                    yield {key: value for key, value in frame.items() if key != "news"}
                if ended:
                    yield {"type": "image_generation.completed"}
                    return
                try:
                    await asyncio.wait_for(event.wait(), None if asked else patience)
                except TimeoutError:
                    raise not_found(f"The preview {name}") from None
        finally:
            with self._lock:
                show.waiting.remove((loop, event))

    def _show(self, name: str) -> _Show:
        """Find a show or make it; the lock is held."""
        show = self._shows.setdefault(name, _Show())
        self._shows.move_to_end(name)
        for old in list(self._shows)[: max(0, len(self._shows) - _REMEMBERED)]:
            if not self._shows[old].waiting:
                del self._shows[old]
        return show

    def _say(self, show: _Show, frame: dict[str, Any] | None) -> None:
        with self._lock:
            show.news += 1
            if frame is not None:
                others = [each for each in show.frames if each["index"] != frame["index"]]
                show.frames = [*others, {**frame, "news": show.news}]
            else:
                show.frames = []
            waiting = list(show.waiting)
        for loop, event in waiting:
            with suppress(RuntimeError):  # its loop has ended
                loop.call_soon_threadsafe(event.set)


def router(config: EngineConfig, previews: Previews) -> APIRouter:
    """Make the route.

    Args:
        config: Says which keys are taken.
        previews: What is being drawn.
    """

    async def preview(name: str) -> StreamingResponse:
        """Show the pictures of a request with this `preview_id` while they are drawn, step by step."""
        return await as_events(previews.frames(name))

    routes = APIRouter(dependencies=[Depends(key_check(config))])
    routes.add_api_route("/v1/images/previews/{name}", preview, methods=["GET"], response_model=None)
    return routes
