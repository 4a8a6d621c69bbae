"""The file storage: permission to send a file whole or in parts, and the files (Together API dossier 4.1)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from lorry.engine.api_errors import Refusal, Rpc, invalid, not_found
from lorry.engine.blobs import Blob
from lorry.engine.clock import moment_of, stamp
from lorry.engine.containers.records import ContainerShelves, FileRecord, TransferRecord
from lorry.engine.documents import new_id
from lorry.engine.together.identity import key_check
from lorry.engine.works import Works

#: How long an address to send to is good for.
LIFETIME = timedelta(hours=1)

_CHUNK = 1 << 20

Filename = Annotated[str, Field(min_length=1, max_length=1024)]


class Upload(BaseModel):
    """Body of a request to send a file whole, or of an abort."""

    model_config = ConfigDict(extra="ignore")

    filename: Filename
    upload_id: str = ""


class PartedUpload(BaseModel):
    """Body of a request to send a file in parts."""

    model_config = ConfigDict(extra="ignore")

    filename: Filename
    parts_count: Annotated[int, Field(ge=1, le=10_000)]


class SentPart(BaseModel):
    """A part that was sent, with the ETag that came back."""

    model_config = ConfigDict(extra="ignore")

    part_number: int
    etag: str


class SentUpload(BaseModel):
    """Body of a complete."""

    model_config = ConfigDict(extra="ignore")

    filename: Filename
    upload_id: str
    parts: Annotated[list[SentPart], Field(min_length=1)]


class FileStorage:
    """The files of one engine's containers."""

    def __init__(self, works: Works, shelves: ContainerShelves) -> None:
        self._works = works
        self._shelves = shelves

    def router(self) -> APIRouter:
        """Make the routes; an address to send to is a secret and needs no key."""
        routes = APIRouter(dependencies=[Depends(key_check(self._works.config))])
        for method, path, answer in (
            ("POST", "/v1/storage/upload-request", self.request),
            ("POST", "/v1/storage/multipart/init", self.begin),
            ("POST", "/v1/storage/multipart/complete", self.complete),
            ("POST", "/v1/storage/multipart/abort", self.abort),
            ("GET", "/v1/storage/{filename:path}", self.get),
        ):
            routes.add_api_route(path, answer, methods=[method], response_model=None)
        sending = APIRouter()
        sending.add_api_route(
            "/storage/transfers/{transfer}/{number}", self.receive, methods=["PUT"], response_model=None
        )
        sending.include_router(routes)
        return sending

    def put(self, filename: str, data: bytes) -> None:
        """Store a file at once, for a worker inside the engine."""
        self._store(_checked(filename), self._works.blobs.put(data))

    def file(self, filename: str) -> FileRecord | None:
        """Find a file."""
        return self._shelves.files.get(filename)

    def below(self, prefix: str) -> list[FileRecord]:
        """List the files whose names begin with a folder's."""
        folder = prefix.rstrip("/") + "/"
        return [found for found in self._shelves.files.all() if found.id.startswith(folder)]

    def path(self, record: FileRecord) -> Path:
        """Say where a file's content lies."""
        return self._works.blobs.path(record.sha256)

    def request(self, body: Upload, request: Request) -> dict[str, Any]:
        """Say where a file is to be sent."""
        transfer = self._transfer(body.filename, 0)
        return {"upload_url": _address(request, transfer, 1)}

    def begin(self, body: PartedUpload, request: Request) -> dict[str, Any]:
        """Say where the parts of a file are to be sent."""
        transfer = self._transfer(body.filename, body.parts_count)
        urls = [
            {"part_number": number, **_address(request, transfer, number)}
            for number in range(1, body.parts_count + 1)
        ]
        return {"upload_id": transfer.id, "part_upload_urls": urls}

    async def receive(self, transfer: str, number: int, request: Request) -> Response:
        """Take a file or one of its parts; what comes again replaces what was there."""
        record = await run_in_threadpool(self._open, transfer)
        if not 1 <= number <= max(1, record.parts):
            raise not_found(f"Part {number} of {record.filename}")
        with self._works.blobs.incoming() as incoming:
            try:
                async for chunk in request.stream():
                    incoming.write(chunk)
            except ClientDisconnect as error:
                raise invalid(f"{record.filename} ended before its end.") from error
            if record.parts:
                kept = self._works.blobs.keep_as
                blob = await run_in_threadpool(kept, incoming, self._part(record.id, number))
            else:
                blob = await run_in_threadpool(self._works.blobs.keep, incoming)
                await run_in_threadpool(self._arrived, record, blob)
        return Response(headers={"ETag": f'"{blob.md5}"'})

    def complete(self, body: SentUpload) -> dict[str, Any]:
        """Join the parts of a file."""
        record = self._open(body.upload_id)
        numbers = sorted(part.part_number for part in body.parts)
        if record.filename != body.filename or numbers != list(range(1, record.parts + 1)):
            raise invalid(f"{body.filename} was begun with {record.parts} part(s); name each once.", "parts")
        with self._works.blobs.incoming() as incoming:
            for number in numbers:
                try:
                    with self._part(record.id, number).open("rb") as file:
                        while chunk := file.read(_CHUNK):
                            incoming.write(chunk)
                except FileNotFoundError as error:
                    raise invalid(f"Part {number} of {body.filename} was never sent.", "parts") from error
            self._arrived(record, self._works.blobs.keep(incoming))
        self._drop(record)
        return {"filename": body.filename}

    def abort(self, body: Upload) -> dict[str, Any]:
        """Forget a file that was begun."""
        record = self._shelves.transfers.get(body.upload_id)
        if record is not None and record.filename == body.filename:
            self._drop(record)
        return {}

    def get(self, filename: str) -> FileResponse:
        """Send a file."""
        found = self.file(filename)
        if found is None:
            raise not_found(f"The file {filename}")
        return FileResponse(self.path(found))

    def _transfer(self, filename: str, parts: int) -> TransferRecord:
        now = stamp(self._works.clock.now())
        return self._shelves.transfers.put(TransferRecord(new_id("up"), _checked(filename), parts, now))

    def _open(self, key: str) -> TransferRecord:
        record = self._shelves.transfers.get(key)
        if record is None:
            raise not_found(f"The upload {key}")
        if self._works.clock.now() - moment_of(record.created_at) > LIFETIME:
            raise Refusal(Rpc.PERMISSION_DENIED, f"The upload of {record.filename} has expired; ask again.")
        return record

    def _arrived(self, record: TransferRecord, blob: Blob) -> None:
        self._store(record.filename, blob)
        if not record.parts:
            self._shelves.transfers.delete(record.id)

    def _store(self, filename: str, blob: Blob) -> None:
        now = stamp(self._works.clock.now())
        self._shelves.files.put(FileRecord(filename, blob.sha256, blob.size, now))

    def _drop(self, record: TransferRecord) -> None:
        self._shelves.transfers.delete(record.id)
        for number in range(1, record.parts + 1):
            self._part(record.id, number).unlink(missing_ok=True)

    def _part(self, transfer: str, number: int) -> Path:
        return self._works.config.folder / "transfers" / f"{transfer}-{number}"


def _checked(filename: str) -> str:
    parts = filename.split("/")
    if {"", ".", ".."} & set(parts) or not filename.isprintable():
        raise invalid(f"{filename!r} can't be the name of a file.", "filename")
    return filename


def _address(request: Request, transfer: TransferRecord, number: int) -> dict[str, Any]:
    url = f"{request.base_url}storage/transfers/{transfer.id}/{number}"
    return {"url": url, "method": "PUT", "headers": {}}
