"""Uploads in parts: create, PUT each part, complete (Together API dossier 2.3).

A file is named by its hash: the MD5 of its bytes, or for several parts the MD5 of the parts' binary MD5s with
`-N` behind it. Nothing becomes part of a revision before its bytes were compared with that hash.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from lorry.engine.api_errors import Refusal, Rpc, invalid, not_found
from lorry.engine.blobs import Blob, Incoming
from lorry.engine.clock import moment_of, stamp
from lorry.engine.documents import new_id
from lorry.engine.together.models import Models
from lorry.engine.together.records import ContentRecord, Shelves, UploadRecord
from lorry.engine.together.revisions import RevisionFile, Revisions, check_path
from lorry.engine.together.wire import Body, project_router
from lorry.engine.works import Works

#: How long the URLs of parts are good for; an upload that is older is swept away.
UPLOAD_LIFETIME = timedelta(hours=24)

_HASH = re.compile(r"[0-9a-f]{32}(?:-([1-9][0-9]{0,4}))?")
_CHUNK = 1 << 20


class NewFile(Body):
    """A file that somebody wants to upload."""

    path: str
    hash: str
    num_parts: Annotated[int, Field(ge=1, le=10_000)]


class NewUpload(Body):
    """Body of a create."""

    object_id: str
    files: Annotated[list[NewFile], Field(min_length=1, max_length=10_000)]


class SentPart(Body):
    """A part that was sent, with the ETag that came back."""

    part_number: int
    hash: str


class UploadDetails(Body):
    """What was sent of one file."""

    upload_id: str
    parts: list[SentPart]


class SentFile(Body):
    """A file that was sent, or skipped since its content is here."""

    path: str
    hash: str
    upload_details: UploadDetails | None = None
    skip_upload: bool = False


class SentUpload(Body):
    """Body of a complete."""

    object_id: str
    files: Annotated[list[SentFile], Field(min_length=1, max_length=10_000)]


class Uploads:
    """Uploads into the models of one engine."""

    def __init__(self, works: Works, shelves: Shelves, models: Models, revisions: Revisions) -> None:
        self._works = works
        self._shelves = shelves
        self._models = models
        self._revisions = revisions
        self._sweep()

    def router(self) -> APIRouter:
        """Make the routes; the URL of a part is a secret and needs no key."""
        routes = project_router(
            self._works.config,
            [
                ("POST", "/models/upload/create", self.create),
                ("POST", "/models/upload/complete", self.complete),
            ],
        )
        parts = APIRouter()
        parts.add_api_route("/uploads/{upload}/{number}", self.receive, methods=["PUT"], response_model=None)
        parts.include_router(routes)
        return parts

    def create(self, body: NewUpload, request: Request) -> dict[str, Any]:
        """Say for each file where its parts go, or that its content is here."""
        model = self._models.record(body.object_id)
        paths = [check_path(file.path) for file in body.files]
        if len(set(paths)) < len(paths):
            raise invalid("The same path is named twice.", "files")
        with self._works.documents.transaction():
            return {"files": [self._plan(model.id, file, str(request.base_url)) for file in body.files]}

    def _plan(self, model: str, file: NewFile, base_url: str) -> dict[str, Any]:
        match = _HASH.fullmatch(file.hash)
        if match is None or int(match[1] or 1) != file.num_parts:
            raise invalid(
                f"The hash {file.hash!r} of {file.path} is no MD5 of {file.num_parts} part(s) in hex.", "hash"
            )
        if self._stored(file.hash):
            return {"path": file.path, "uploadId": "", "skipUpload": True, "parts": []}
        upload = self._shelves.uploads.put(
            UploadRecord(
                id=new_id("up"),
                model_id=model,
                path=file.path,
                hash=file.hash,
                parts=file.num_parts,
                created_at=stamp(self._works.clock.now()),
            )
        )
        parts = [
            {"partNumber": number, "url": f"{base_url}uploads/{upload.id}/{number}", "headers": {}}
            for number in range(1, file.num_parts + 1)
        ]
        return {"path": file.path, "uploadId": upload.id, "parts": parts}

    async def receive(self, upload: str, number: int, request: Request) -> Response:
        """Take one part; a part that comes again replaces the one before."""
        record = await run_in_threadpool(self._open, upload)
        if not 1 <= number <= record.parts:
            raise not_found(f"Part {number} of the upload {upload}")
        with self._works.blobs.incoming() as incoming:
            try:
                async for chunk in request.stream():
                    incoming.write(chunk)
            except ClientDisconnect as error:
                raise invalid(f"Part {number} of {record.path} ended before its end.") from error
            blob = await run_in_threadpool(self._keep_part, record, number, incoming, request)
        return Response(headers={"ETag": f'"{blob.md5}"'})

    def _keep_part(self, record: UploadRecord, number: int, incoming: Incoming, request: Request) -> Blob:
        found = incoming.blob.md5
        for wanted in _announced(record, request):
            if wanted != found:
                raise invalid(
                    f"Part {number} of {record.path} was damaged on its way: MD5 {found} came, not {wanted}."
                )
        return self._works.blobs.keep_as(incoming, self._part(record.id, number))

    def complete(self, body: SentUpload) -> dict[str, Any]:
        """Compare everything with its hashes, store it, and make one revision of it."""
        model = self._models.record(body.object_id)
        paths = [check_path(file.path) for file in body.files]
        if len(set(paths)) < len(paths):
            raise invalid("The same path is named twice.", "files")
        files = [self._finish(model.id, path, file) for path, file in zip(paths, body.files, strict=True)]
        revision = self._revisions.create(model, files)
        for file in body.files:
            if file.upload_details:
                self._drop(file.upload_details.upload_id)
        return {"revisionId": revision.id}

    def _finish(self, model: str, path: str, file: SentFile) -> RevisionFile:
        content = self._stored(file.hash)
        if file.upload_details is not None:
            record = self._open(file.upload_details.upload_id)
            if (record.model_id, record.hash) != (model, file.hash) or check_path(record.path) != path:
                raise invalid(f"The upload {record.id} was opened for another file than {path}.", "uploadId")
            content = content or self._join(record, file.upload_details.parts)
        elif content is None:
            raise invalid(f"The content {file.hash} of {path} is not stored here; upload it.", "skipUpload")
        return RevisionFile(path, file.hash, content.sha256, content.size)

    def _join(self, record: UploadRecord, sent: list[SentPart]) -> ContentRecord:
        given = {part.part_number: part.hash.strip('"') for part in sent}
        if sorted(given) != list(range(1, record.parts + 1)):
            raise invalid(f"{record.path} has {record.parts} part(s); {len(given)} are named.", "parts")
        digests: list[bytes] = []
        with self._works.blobs.incoming() as incoming:
            for number in range(1, record.parts + 1):
                digest = _copy(self._part(record.id, number), incoming, record.path, number)
                if digest.hex() != given[number]:
                    raise invalid(
                        f"Part {number} of {record.path} has the ETag {digest.hex()}, not {given[number]}.",
                        "parts",
                    )
                digests.append(digest)
            found = _etag(digests)
            if found != record.hash:
                raise invalid(
                    f"{record.path} is not what was announced: its hash is {found}, not {record.hash}."
                )
            blob = self._works.blobs.keep(incoming)
        return self._shelves.contents.put(ContentRecord(record.hash, blob.sha256, blob.size))

    def _stored(self, content_hash: str) -> ContentRecord | None:
        content = self._shelves.contents.get(content_hash)
        return content if content and self._works.blobs.has(content.sha256) else None

    def _open(self, upload: str) -> UploadRecord:
        record = self._shelves.uploads.get(upload)
        if record is None:
            raise not_found(f"The upload {upload}")
        if self._expired(record):
            raise Refusal(Rpc.PERMISSION_DENIED, f"The upload {upload} has expired; create it again.")
        return record

    def _expired(self, record: UploadRecord) -> bool:
        return self._works.clock.now() - moment_of(record.created_at) > UPLOAD_LIFETIME

    def _drop(self, upload: str) -> None:
        self._shelves.uploads.delete(upload)
        shutil.rmtree(self._parts / upload, ignore_errors=True)

    def _sweep(self) -> None:
        for record in self._shelves.uploads.all():
            if self._expired(record):
                self._drop(record.id)
        open_now = {record.id for record in self._shelves.uploads.all()}
        for folder in self._parts.glob("*"):
            if folder.name not in open_now:
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def _parts(self) -> Path:
        return self._works.config.folder / "uploads"

    def _part(self, upload: str, number: int) -> Path:
        return self._parts / upload / str(number)


def _announced(record: UploadRecord, request: Request) -> list[str]:
    wanted = [record.hash] if record.parts == 1 else []
    if header := request.headers.get("content-md5"):
        try:
            wanted.append(base64.b64decode(header, validate=True).hex())
        except binascii.Error as error:
            raise invalid(f"The header Content-MD5 {header!r} is no base64.") from error
    return wanted


def _copy(part: Path, incoming: Incoming, path: str, number: int) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with part.open("rb") as file:
            while chunk := file.read(_CHUNK):
                incoming.write(chunk)
                digest.update(chunk)
    except FileNotFoundError as error:
        raise invalid(f"Part {number} of {path} was never sent.", "parts") from error
    return digest.digest()


def _etag(digests: list[bytes]) -> str:
    if len(digests) == 1:
        return digests[0].hex()
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"
