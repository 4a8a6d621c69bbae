"""Routes of Git LFS: which objects are missing, their upload in one piece or in parts, verification.

Protocol: git-lfs "Batch API" with the transfers `basic` and the Hub's own `multipart`. Every object's SHA-256
is computed while it arrives; one that is not what it was announced as is refused and not kept.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from lorry.engine.hub.answers import refusal, require_token, visible_repo
from lorry.engine.hub.storage import Storage

_OID = re.compile(r"[0-9a-f]{64}")
#: Objects above this are sent in parts.
_PART = 64 * 1024 * 1024
_CHUNK = 1024 * 1024


class Lfs:
    """Where large files arrive.

    Args:
        storage: Where repositories lie.
        part: Bytes of a part; objects above it are sent in parts.
    """

    def __init__(self, storage: Storage, part: int = _PART) -> None:
        self._storage = storage
        self._part = part

    def router(self) -> APIRouter:
        """Make the routes."""
        router = APIRouter()
        for method, path, answer in (
            ("POST", "/{owner}/{name}.git/info/lfs/objects/batch", self.batch),
            ("PUT", "/api/lfs/{oid}", self.put),
            ("PUT", "/api/lfs/{oid}/parts/{number}", self.put_part),
            ("POST", "/api/lfs/{oid}/complete", self.complete),
            ("POST", "/api/lfs/{oid}/verify", self.verify),
        ):
            router.add_api_route(path, answer, methods=[method], response_model=None)
        return router

    async def batch(self, request: Request, owner: str, name: str) -> dict[str, Any]:
        """Say for each object where it goes; one that is here already needs no upload."""
        require_token(request, self._storage.works)
        visible_repo(self._storage, request, owner, name)
        body = await request.json()
        multipart = "multipart" in body.get("transfers", [])
        base = str(request.base_url).rstrip("/")
        objects = [self._object(wanted, base, multipart=multipart) for wanted in body.get("objects", [])]
        return {"transfer": "multipart" if multipart else "basic", "objects": objects, "hash_algo": "sha256"}

    def _object(self, wanted: dict[str, Any], base: str, *, multipart: bool) -> dict[str, Any]:
        oid, size = str(wanted.get("oid")), int(wanted.get("size", -1))
        if not _OID.fullmatch(oid) or size < 0:
            raise refusal(422, f"{oid!r} is no SHA-256 of an object with {size} bytes.")
        if self._storage.works.blobs.has(oid):
            return {"oid": oid, "size": size}
        url = f"{base}/api/lfs/{oid}"
        upload: dict[str, Any] = {"href": url}
        if multipart and size > self._part:
            count = math.ceil(size / self._part)
            parts = {f"{number:05d}": f"{url}/parts/{number}" for number in range(1, count + 1)}
            upload = {"href": f"{url}/complete", "header": {"chunk_size": str(self._part), **parts}}
        return {"oid": oid, "size": size, "actions": {"upload": upload, "verify": {"href": f"{url}/verify"}}}

    async def put(self, request: Request, oid: str) -> Response:
        """Receive a whole object. The address is the proof of permission, as with a presigned one."""
        self._check(oid)
        blobs = self._storage.works.blobs
        with blobs.incoming() as receiving:
            async for chunk in request.stream():
                receiving.write(chunk)
            self._match(oid, receiving.blob.sha256, receiving.size)
            blobs.keep(receiving)
        return Response(status_code=200)

    async def put_part(self, request: Request, oid: str, number: int) -> Response:
        """Receive one part; it waits beside the others until the upload is complete."""
        self._check(oid)
        if not 1 <= number <= 10_000:
            raise refusal(400, f"There is no part {number}.")
        blobs = self._storage.works.blobs
        with blobs.incoming() as receiving:
            async for chunk in request.stream():
                receiving.write(chunk)
            kept = blobs.keep_as(receiving, self._parts(oid) / f"{number:05d}")
        return Response(status_code=200, headers={"ETag": f'"{kept.md5}"'})

    async def complete(self, request: Request, oid: str) -> dict[str, Any]:
        """Put the parts together and compare with the announced digest."""
        self._check(oid)
        body = await request.json()
        numbers = [int(part["partNumber"]) for part in body.get("parts", [])]
        blobs = self._storage.works.blobs
        paths = [self._parts(oid) / f"{number:05d}" for number in sorted(numbers)]
        if not paths or not all(path.is_file() for path in paths):
            raise refusal(400, f"Not all parts of {oid[:12]} were uploaded.")
        with blobs.incoming() as receiving:
            for path in paths:
                with path.open("rb") as part:
                    while chunk := part.read(_CHUNK):
                        receiving.write(chunk)
            self._match(oid, receiving.blob.sha256, receiving.size)
            blobs.keep(receiving)
        for path in paths:
            path.unlink(missing_ok=True)
        self._parts(oid).rmdir()
        return {"oid": oid}

    async def verify(self, request: Request, oid: str) -> dict[str, Any]:
        """Confirm that an object has arrived in its full size."""
        self._check(oid)
        size = int((await request.json()).get("size", -1))
        blobs = self._storage.works.blobs
        if not blobs.has(oid):
            raise refusal(404, f"The object {oid[:12]} was not uploaded.")
        if blobs.path(oid).stat().st_size != size:
            raise refusal(422, f"The object {oid[:12]} does not have {size} bytes.")
        return {"oid": oid, "size": size}

    def _parts(self, oid: str) -> Path:
        return self._storage.works.config.folder / "lfs-parts" / oid

    @staticmethod
    def _check(oid: str) -> None:
        if not _OID.fullmatch(oid):
            raise refusal(404, f"{oid!r} is no object.")

    @staticmethod
    def _match(oid: str, found: str, size: int) -> None:
        if found != oid:
            raise refusal(
                422,
                f"The {size} bytes that arrived have the SHA-256 {found[:12]}, not {oid[:12]} as announced.",
            )
