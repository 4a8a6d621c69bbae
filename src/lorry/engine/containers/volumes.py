"""Volumes: files of the storage that containers find in a folder (Together API dossier 4.1)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from lorry.engine.api_errors import invalid, not_found, not_now, taken
from lorry.engine.clock import stamp
from lorry.engine.containers.records import ContainerShelves, VolumeRecord
from lorry.engine.containers.storage import FileStorage
from lorry.engine.documents import new_id
from lorry.engine.storage_faults import storage_faults
from lorry.engine.together.identity import key_check
from lorry.engine.works import Works

_NO_S3 = "This engine reaches no S3; fill the volume from a folder of yours."


class Bucket(BaseModel):
    """A place in S3, and the role that may read it."""

    uri: str
    role_arn: str


class Origin(BaseModel):
    """Where files come from that the platform copies by itself."""

    s3: Bucket


class Content(BaseModel):
    """What a volume holds: files of the storage, or a copy from elsewhere."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["files"] = "files"
    source_prefix: Annotated[str, Field(min_length=1)] | None = None
    origin: Origin | None = None


class NewVolume(BaseModel):
    """Body of a create."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    type: Literal["readOnly"]
    content: Content


class VolumeChange(BaseModel):
    """Body of an update; new content is a new version."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["readOnly"] | None = None
    content: Content | None = None


class Volumes:
    """The volumes of one engine.

    Args:
        works: State and time.
        shelves: The records.
        storage: The files.
        mounted_by: Gives the ids of the deployments that mount a version.
    """

    def __init__(
        self,
        works: Works,
        shelves: ContainerShelves,
        storage: FileStorage,
        mounted_by: Callable[[VolumeRecord, int], list[str]],
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._storage = storage
        self._mounted_by = mounted_by

    def router(self) -> APIRouter:
        """Make the routes."""
        routes = APIRouter(
            prefix="/v1/deployments/storage/volumes",
            dependencies=[Depends(key_check(self._works.config))],
        )
        for method, path, answer in (
            ("POST", "", self.create),
            ("GET", "", self.index),
            ("GET", "/{key}", self.get),
            ("PATCH", "/{key}", self.change),
            ("DELETE", "/{key}", self.delete),
        ):
            routes.add_api_route(path, answer, methods=[method], response_model=None)
        return routes

    def record(self, key: str) -> VolumeRecord:
        """Find a volume by its id or name.

        Raises:
            Refusal: There is none.
        """
        for found in self._shelves.volumes.all():
            if key in (found.id, found.name):
                return found
        raise not_found(f"The volume {key}")

    def mountable(self, key: str, version: int | None) -> VolumeRecord:
        """Find a volume that has a version which can be mounted.

        Raises:
            Refusal: There is none, or it is not ready.
        """
        record = self.record(key)
        number = record.current if version is None else version
        content = record.versions.get(str(number))
        if content is None:
            raise invalid(f"The volume {record.name} has no version {number}.", "volumes")
        if content.get("origin"):
            raise not_now(f"The volume {record.name} can't be mounted: {_NO_S3}")
        return record

    def folder(self, key: str, version: int | None) -> Path:
        """Lay out a version's files in a folder under their own names.

        Raises:
            Refusal: There is no such version.
        """
        record = self.mountable(key, version)
        number = record.current if version is None else version
        prefix = record.versions[str(number)]["source_prefix"]
        # Volumes may be made before their files are sent (as jig does), so the folder is laid out anew.
        target = self._works.config.folder / "volumes" / record.id / str(number)
        with storage_faults(str(target)):
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            for found in self._storage.below(prefix):
                place = target / found.id.removeprefix(prefix.rstrip("/") + "/")
                place.parent.mkdir(parents=True, exist_ok=True)
                _link(self._storage.path(found), place)
        return target

    def create(self, body: NewVolume) -> dict[str, Any]:
        """Make a volume with its version 0."""
        with self._works.documents.transaction():
            if any(found.name == body.name for found in self._shelves.volumes.all()):
                raise taken(f"A volume named {body.name} already exists.")
            now = stamp(self._works.clock.now())
            versions = {"0": _content(body.content)}
            record = VolumeRecord(new_id("vol"), body.name, body.type, versions, 0, now, now)
            return self._answer(self._shelves.volumes.put(record))

    def index(self) -> dict[str, Any]:
        """List the volumes."""
        return {"object": "list", "data": [self._answer(found) for found in self._shelves.volumes.all()]}

    def get(self, key: str, version: int | None = None) -> dict[str, Any]:
        """Describe a volume, as it is now or as it was in a version."""
        record = self.record(key)
        if version is not None and str(version) not in record.versions:
            raise not_found(f"Version {version} of the volume {record.name}")
        return self._answer(record, version)

    def change(self, key: str, body: VolumeChange) -> dict[str, Any]:
        """Add a version."""
        with self._works.documents.transaction():
            record = self.record(key)
            if body.content is not None:
                number = record.current + 1
                versions = {**record.versions, str(number): _content(body.content)}
                record = replace(record, versions=versions, current=number)
            record = replace(record, updated_at=stamp(self._works.clock.now()))
            return self._answer(self._shelves.volumes.put(record))

    def delete(self, key: str) -> dict[str, Any]:
        """Forget a volume that nobody mounts; its files stay in the storage."""
        with self._works.documents.transaction():
            record = self.record(key)
            if users := [
                user for number in record.versions for user in self._mounted_by(record, int(number))
            ]:
                raise not_now(f"The volume {record.name} is mounted by {', '.join(users)}.")
            self._shelves.volumes.delete(record.id)
        shutil.rmtree(self._works.config.folder / "volumes" / record.id, ignore_errors=True)
        return {}

    def _answer(self, record: VolumeRecord, version: int | None = None) -> dict[str, Any]:
        number = record.current if version is None else version
        content = record.versions[str(number)]
        return {
            "object": "volume",
            "id": record.id,
            "name": record.name,
            "type": record.type,
            "content": {**content, "files": self._files(content)},
            "current_version": record.current,
            "mounted_by": self._mounted_by(record, number),
            "created_at": record.created_at,
            "updated_at": record.updated_at,
            **_status(content),
            "version_history": {
                key: {
                    "version": int(key),
                    "content": older,
                    "mounted_by": self._mounted_by(record, int(key)),
                    **_status(older),
                }
                for key, older in record.versions.items()
                if int(key) != record.current
            },
        }

    def _files(self, content: dict[str, Any]) -> list[dict[str, Any]]:
        prefix = content.get("source_prefix")
        if prefix is None:
            return []
        return [
            {
                "name": found.id.removeprefix(prefix.rstrip("/") + "/"),
                "size": found.size,
                "last_modified": found.updated_at,
            }
            for found in self._storage.below(prefix)
        ]


def _link(content: Path, place: Path) -> None:
    try:
        os.link(content, place)
    except OSError:  # a file system without links
        shutil.copyfile(content, place)


def _content(content: Content) -> dict[str, Any]:
    if (content.source_prefix is None) == (content.origin is None):
        raise invalid("The content has either a source_prefix or an origin.", "content")
    return content.model_dump(exclude_none=True)


def _status(content: dict[str, Any]) -> dict[str, Any]:
    return {"status": "failed", "status_message": _NO_S3} if content.get("origin") else {"status": "ready"}
