"""Secrets of containers (Together API dossier 4.1); their values are never answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from lorry.engine.api_errors import invalid, not_found, not_now, taken
from lorry.engine.clock import moment_of, stamp
from lorry.engine.containers.records import ContainerShelves, SecretRecord
from lorry.engine.documents import new_id
from lorry.engine.together.identity import key_check
from lorry.engine.works import Works

_NAME = re.compile(r"[A-Za-z0-9_\-/.]{1,100}")

Seconds = Annotated[int, Field(ge=86_400, le=1_209_600)]
Description = Annotated[str, Field(max_length=500)]


class NewSecret(BaseModel):
    """Body of a create."""

    model_config = ConfigDict(extra="ignore")

    name: str
    value: str
    description: Description = ""
    ttl_seconds: Seconds | None = None


class SecretChange(BaseModel):
    """Body of an update."""

    model_config = ConfigDict(extra="ignore")

    name: str | None = None
    value: str | None = None
    description: Description | None = None
    ttl_seconds: Seconds | None = None


class Secrets:
    """The secrets of one engine.

    Args:
        works: State and time.
        shelves: The records.
        used_by: Names the deployments that refer to a secret.
    """

    def __init__(
        self, works: Works, shelves: ContainerShelves, used_by: Callable[[SecretRecord], list[str]]
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._used_by = used_by

    def router(self) -> APIRouter:
        """Make the routes."""
        routes = APIRouter(
            prefix="/v1/deployments/secrets", dependencies=[Depends(key_check(self._works.config))]
        )
        for method, path, answer in (
            ("POST", "", self.create),
            ("GET", "", self.index),
            ("GET", "/{key:path}", self.get),
            ("PATCH", "/{key:path}", self.change),
            ("DELETE", "/{key:path}", self.delete),
        ):
            routes.add_api_route(path, answer, methods=[method], response_model=None)
        return routes

    def record(self, key: str) -> SecretRecord:
        """Find a secret by its id or name; one whose time is over is gone.

        Raises:
            Refusal: There is none.
        """
        for found in self._present():
            if key in (found.id, found.name):
                return found
        raise not_found(f"The secret {key}")

    def create(self, body: NewSecret) -> dict[str, Any]:
        """Keep a secret."""
        with self._works.documents.transaction():
            self._refuse_name(body.name)
            now = stamp(self._works.clock.now())
            record = SecretRecord(new_id("secret"), body.name, body.value, body.description, now, now)
            return _answer(self._shelves.secrets.put(self._lasting(record, body.ttl_seconds)))

    def index(self) -> dict[str, Any]:
        """List the secrets."""
        return {"object": "list", "data": [_answer(found) for found in self._present()]}

    def get(self, key: str) -> dict[str, Any]:
        """Describe one."""
        return _answer(self.record(key))

    def change(self, key: str, body: SecretChange) -> dict[str, Any]:
        """Change a secret; a new value begins its lifetime anew."""
        with self._works.documents.transaction():
            record = self.record(key)
            if body.name is not None and body.name != record.name:
                self._refuse_name(body.name)
            record = replace(
                record,
                name=body.name or record.name,
                value=record.value if body.value is None else body.value,
                description=record.description if body.description is None else body.description,
                updated_at=stamp(self._works.clock.now()),
            )
            if body.ttl_seconds is not None or body.value is not None:
                record = self._lasting(record, body.ttl_seconds or record.ttl_seconds)
            return _answer(self._shelves.secrets.put(record))

    def delete(self, key: str) -> dict[str, Any]:
        """Forget a secret that no deployment refers to."""
        with self._works.documents.transaction():
            record = self.record(key)
            if users := self._used_by(record):
                raise not_now(f"The secret {record.name} is used by {', '.join(users)}.")
            self._shelves.secrets.delete(record.id)
        return {}

    def _present(self) -> list[SecretRecord]:
        now = self._works.clock.now()
        return [
            found
            for found in self._shelves.secrets.all()
            if found.expires_at is None or moment_of(found.expires_at) > now
        ]

    def _refuse_name(self, name: str) -> None:
        if _NAME.fullmatch(name) is None:
            raise invalid(f"{name!r} can't be the name of a secret.", "name")
        if any(found.name == name for found in self._present()):
            raise taken(f"A secret named {name} already exists.")

    def _lasting(self, record: SecretRecord, seconds: int | None) -> SecretRecord:
        if seconds is None:
            return record
        end = stamp(self._works.clock.now() + timedelta(seconds=seconds))
        return replace(record, ttl_seconds=seconds, expires_at=end)


def _answer(record: SecretRecord) -> dict[str, Any]:
    answer = {
        "object": "secret",
        "id": record.id,
        "name": record.name,
        "description": record.description,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "created_by": "key_local",
        "last_updated_by": "key_local",
        "ttl_seconds": record.ttl_seconds,
        "expires_at": record.expires_at,
    }
    return {name: value for name, value in answer.items() if value is not None}
