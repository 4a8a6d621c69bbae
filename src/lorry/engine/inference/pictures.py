"""Pictures on their way out: enlarged, encoded, and kept for a while under an address of their own."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import FileResponse

from lorry.engine.api_errors import not_found
from lorry.engine.blobs import Blobs

if TYPE_CHECKING:
    from lorry.engine.renderers.port import Picture

#: Pictures that stay; the oldest leave first.
KEPT_PICTURES = 2000

#: Between two sweeps this many pictures may come in.
_SWEEP_EVERY = 100

_JPEG_QUALITY = 92
_TYPES = {"png": ("PNG", "image/png"), "jpeg": ("JPEG", "image/jpeg")}


def encode(picture: Picture, size: tuple[int, int], form: str) -> bytes:
    """Enlarge a picture and write it as a file.

    Args:
        picture: uint8 [height, width, 3], RGB.
        size: Width and height of the result in pixels.
        form: `png` or `jpeg`.
    """
    from PIL import Image

    image = Image.fromarray(picture, "RGB")
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, format=_TYPES[form][0], quality=_JPEG_QUALITY)
    return out.getvalue()


class Album:
    """The pictures that were answered as addresses."""

    def __init__(self, pictures: Blobs) -> None:
        self._pictures = pictures
        self._arrived = 0

    def router(self) -> APIRouter:
        """Make the route; an address is a digest and can't be guessed, so it needs no key."""
        routes = APIRouter()
        routes.add_api_route("/pictures/{name}", self.get, methods=["GET"], response_model=None)
        return routes

    def get(self, name: str) -> FileResponse:
        """Send one picture."""
        digest, _, form = name.partition(".")
        known = form in _TYPES and len(digest) == 64 and set(digest) <= set("0123456789abcdef")
        if not known or not self._pictures.has(digest):
            raise not_found(f"The picture {name}")
        return FileResponse(
            self._pictures.path(digest),
            media_type=_TYPES[form][1],
            headers={"Cache-Control": "private, max-age=86400, immutable"},
        )

    def rows(
        self, encoded: Sequence[tuple[int, bytes]], form: str, base_url: str | None
    ) -> list[dict[str, Any]]:
        """Write pictures as the API does.

        Args:
            encoded: Seed and file of each.
            form: `png` or `jpeg`.
            base_url: Where this engine was asked, to answer with addresses; `None` answers with the bytes.
        """
        rows: list[dict[str, Any]] = []
        for index, (seed, data) in enumerate(encoded):
            if base_url is None:
                kind: dict[str, Any] = {"type": "b64_json", "b64_json": base64.b64encode(data).decode()}
            else:
                digest = self._pictures.put(data).sha256
                kind = {"type": "url", "url": f"{base_url}pictures/{digest}.{form}"}
            rows.append({"index": index, **kind, "seed": seed})
        if base_url is not None:
            self._sweep(len(rows))
        return rows

    def _sweep(self, arrived: int) -> None:
        self._arrived += arrived
        if self._arrived < _SWEEP_EVERY:
            return
        self._arrived = 0
        for path in self._pictures.oldest_first()[:-KEPT_PICTURES]:
            path.unlink(missing_ok=True)
