"""Scripts and styles: files of ours and of others, under addresses that change with what is in them."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from fastapi import APIRouter, Request
from fastapi.responses import Response

from lorry.errors import NoSuchPath

_MEDIA = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, as it is and compressed.

    Attributes:
        media: Its type.
        content: As it is.
        compressed: With gzip.
        digest: Of its content, short.
    """

    media: str
    content: bytes
    compressed: bytes
    digest: str


def asset_routes(router: APIRouter) -> None:
    """Add the route of all files."""
    router.add_api_route("/static/{digest}/{name}", static, methods=["GET"])
    router.add_api_route("/favicon.ico", favicon, methods=["GET"])


async def static(request: Request, digest: str, name: str) -> Response:
    """Give a file; what its address names never changes."""
    found = assets().get(name)
    if found is None:
        raise NoSuchPath(f"There is no file {name[:60]!r}.")
    lasting = "public, max-age=31536000, immutable" if digest == found.digest else "no-cache"
    headers = {"cache-control": lasting, "x-content-type-options": "nosniff", "vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.compressed, 200, {**headers, "content-encoding": "gzip"}, found.media)
    return Response(found.content, 200, headers, found.media)


async def favicon(request: Request) -> Response:
    """Give the sign that browsers ask for by themselves."""
    return await static(request, "", "lorry.svg")


def address_of_asset(name: str) -> str:
    """Give the address of a file, as templates write it."""
    return f"/static/{assets()[name].digest}/{name}"


@cache
def assets() -> dict[str, Asset]:
    """Read all files once."""
    folder = resources.files("lorry.server.pages").joinpath("static")
    found = {}
    for file in folder.iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in _MEDIA:
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:12]
            found[file.name] = Asset(_MEDIA[suffix], content, gzip.compress(content, 9, mtime=0), digest)
    return found
