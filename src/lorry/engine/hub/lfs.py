"""Routes of Git LFS: which objects are missing, their upload in one piece or in parts, verification.

Protocol: git-lfs "Batch API" with the transfers `basic` and the Hub's own `multipart`. Every object's SHA-256
is computed while it arrives; one that is not what it was announced as is refused and not kept.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import re
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from lorry.engine.hub.answers import body_of, number_of, refusal, require_token, rows_of, visible_repo
from lorry.engine.hub.storage import Storage

_OID = re.compile(r"[0-9a-f]{64}")
#: Objects above this are sent in parts.
PART = 64 * 1024 * 1024
_CHUNK = 1024 * 1024


class Lfs:
    """Where large files arrive.

    Args:
        storage: Where repositories lie.
        part: Bytes of a part; objects above it are sent in parts.
    """

    def __init__(self, storage: Storage, part: int = PART) -> None:
        self._storage = storage
        self._part = part
        # An upload's address is permission enough, as a signed address of the Hub's own storage is; so it
        # must not follow from the digest alone. It lasts as long as this process: clients ask for each try.
        self._secret = secrets.token_bytes(32)

    def router(self) -> APIRouter:
        """Make the routes."""
        router = APIRouter()
        for method, path, answer in (
            ("POST", "/{owner}/{name}.git/info/lfs/objects/batch", self.batch),
            ("PUT", "/api/lfs/{sign}/{oid}", self.put),
            ("PUT", "/api/lfs/{sign}/{oid}/parts/{number}", self.put_part),
            ("POST", "/api/lfs/{sign}/{oid}/complete", self.complete),
            ("POST", "/api/lfs/{sign}/{oid}/verify", self.verify),
        ):
            router.add_api_route(path, answer, methods=[method], response_model=None)
        return router

    async def batch(self, request: Request, owner: str, name: str) -> dict[str, Any]:
        """Say for each object where it goes; one that is here already needs no upload."""
        require_token(request, self._storage.works)
        visible_repo(self._storage, request, owner, name)
        body = await body_of(request)
        multipart = "multipart" in (body.get("transfers") or [])
        base = str(request.base_url).rstrip("/")
        objects = [self._object(wanted, base, multipart=multipart) for wanted in rows_of(body, "objects")]
        return {"transfer": "multipart" if multipart else "basic", "objects": objects, "hash_algo": "sha256"}

    def _object(self, wanted: dict[str, Any], base: str, *, multipart: bool) -> dict[str, Any]:
        oid, size = str(wanted.get("oid")), number_of(wanted, "size")
        if not _OID.fullmatch(oid):
            raise refusal(422, f"{oid!r} is no SHA-256.")
        if self._storage.works.blobs.has(oid):
            return {"oid": oid, "size": size}
        url = f"{base}/api/lfs/{self._sign(oid)}/{oid}"
        upload: dict[str, Any] = {"href": url}
        if multipart and size > self._part:
            count = math.ceil(size / self._part)
            parts = {f"{number:05d}": f"{url}/parts/{number}" for number in range(1, count + 1)}
            upload = {"href": f"{url}/complete", "header": {"chunk_size": str(self._part), **parts}}
        return {"oid": oid, "size": size, "actions": {"upload": upload, "verify": {"href": f"{url}/verify"}}}

    async def put(self, request: Request, sign: str, oid: str) -> Response:
        """Receive a whole object."""
        self._check(sign, oid)
        blobs = self._storage.works.blobs
        with blobs.incoming() as receiving:
            async for chunk in request.stream():
                receiving.write(chunk)
            self._match(oid, receiving.blob.sha256, receiving.size)
            blobs.keep(receiving)
        return Response(status_code=200)

    async def put_part(self, request: Request, sign: str, oid: str, number: int) -> Response:
        """Receive one part; it waits beside the others until the upload is complete."""
        self._check(sign, oid)
        if not 1 <= number <= 10_000:
            raise refusal(400, f"There is no part {number}.")
        blobs = self._storage.works.blobs
        with blobs.incoming() as receiving:
            async for chunk in request.stream():
                receiving.write(chunk)
            kept = blobs.keep_as(receiving, self._parts(oid) / f"{number:05d}")
        return Response(status_code=200, headers={"ETag": f'"{kept.md5}"'})

    async def complete(self, request: Request, sign: str, oid: str) -> dict[str, Any]:
        """Put the parts together and compare with the announced digest."""
        self._check(sign, oid)
        body = await body_of(request)
        numbers = sorted({number_of(part, "partNumber") for part in rows_of(body, "parts")})
        if numbers != list(range(1, len(numbers) + 1)):
            raise refusal(400, f"The parts of {oid[:12]} are not numbered 1, 2, 3 and so on.")
        await asyncio.to_thread(self._join, oid, numbers)
        return {"oid": oid}

    def _join(self, oid: str, numbers: Sequence[int]) -> None:
        paths = [self._parts(oid) / f"{number:05d}" for number in numbers]
        if not paths or not all(path.is_file() for path in paths):
            raise refusal(400, f"Not all parts of {oid[:12]} were uploaded.")
        blobs = self._storage.works.blobs
        try:
            with blobs.incoming() as receiving:
                for path in paths:
                    with path.open("rb") as part:
                        while chunk := part.read(_CHUNK):
                            receiving.write(chunk)
                self._match(oid, receiving.blob.sha256, receiving.size)
                blobs.keep(receiving)
        finally:
            shutil.rmtree(self._parts(oid), ignore_errors=True)

    async def verify(self, request: Request, sign: str, oid: str) -> dict[str, Any]:
        """Confirm that an object has arrived in its full size."""
        self._check(sign, oid)
        size = number_of(await body_of(request), "size")
        blobs = self._storage.works.blobs
        if not blobs.has(oid):
            raise refusal(404, f"The object {oid[:12]} was not uploaded.")
        if blobs.path(oid).stat().st_size != size:
            raise refusal(422, f"The object {oid[:12]} does not have {size} bytes.")
        return {"oid": oid, "size": size}

    def _parts(self, oid: str) -> Path:
        return self._storage.works.config.folder / "lfs-parts" / oid

    def _sign(self, oid: str) -> str:
        return hmac.digest(self._secret, oid.encode(), "sha256").hex()

    def _check(self, sign: str, oid: str) -> None:
        if not _OID.fullmatch(oid) or not hmac.compare_digest(sign.encode(), self._sign(oid).encode()):
            raise refusal(403, "This is not the address of an upload that was asked for.")

    @staticmethod
    def _match(oid: str, found: str, size: int) -> None:
        if found != oid:
            raise refusal(
                422,
                f"The {size} bytes that arrived have the SHA-256 {found[:12]}, not {oid[:12]} as announced.",
            )
