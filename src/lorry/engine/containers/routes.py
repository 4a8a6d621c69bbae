"""Everything about containers, put together for the engine's application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.routing import Route

from lorry.engine.api_errors import invalid
from lorry.engine.containers.bell import Bell
from lorry.engine.containers.crew import Crew, Posting
from lorry.engine.containers.deployments import ContainerDeployments
from lorry.engine.containers.direct import PATH, Direct
from lorry.engine.containers.jobs import Jobs
from lorry.engine.containers.queue import Queue
from lorry.engine.containers.records import ContainerRecord, ContainerShelves, SecretRecord, VolumeRecord
from lorry.engine.containers.secrets import Secrets
from lorry.engine.containers.states import States
from lorry.engine.containers.storage import FileStorage
from lorry.engine.containers.volumes import Volumes
from lorry.engine.services import Services
from lorry.engine.together.identity import PROJECT_SLUG, key_check


def router(its: Services) -> APIRouter:
    """Make the routes of containers, queues, volumes, secrets and the storage.

    Args:
        its: The services of the engine.
    """
    return _Containers(its).router()


class _Containers:
    def __init__(self, its: Services) -> None:
        self._its = its
        works = its.works
        self._shelves = shelves = ContainerShelves(works.documents)
        bell = Bell()
        self._jobs = Jobs(works, shelves, bell)
        self._storage = FileStorage(works, shelves)
        self._secrets = Secrets(works, shelves, self._users_of)
        self._volumes = Volumes(works, shelves, self._storage, self._mounters_of)
        self._crew = Crew(
            works.catalog.drawn,
            its.serving,
            self._jobs,
            bell,
            self._storage.put,
            lambda container, line: self._states.log(container, line),
            works.config.folder / "lora-cache",
        )
        self._states = States(works, shelves, self._jobs, self._crew, self._posting)
        self._deployments = ContainerDeployments(
            works, shelves, self._states, self._secrets, self._volumes, self._jobs, self._model_folder
        )
        self._queue = Queue(works.config, self._jobs, bell, self._deployments.ask)

    def router(self) -> APIRouter:
        config = self._its.works.config

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            self._crew.open()
            self._states.resume()
            yield
            await self._crew.close()

        routes = APIRouter(lifespan=lifespan)
        # Below `/v1/deployments`, and to be found before `/v1/deployments/{key}`.
        routes.include_router(self._secrets.router())
        routes.include_router(self._volumes.router())
        routes.include_router(self._deployments.router())
        routes.include_router(self._storage.router())
        routes.include_router(self._queue.router())
        routes.routes.append(Route(PATH, Direct(config, self._asked, self._crew.app)))
        routes.add_api_route(
            "/v1/image-repositories/base-path",
            _registry,
            methods=["GET"],
            response_model=None,
            dependencies=[Depends(key_check(config))],
        )
        return routes

    def _asked(self, name: str) -> ContainerRecord | None:
        record = self._deployments.named(name)
        return None if record is None else self._states.ask(record)

    def _posting(self, record: ContainerRecord) -> Posting:
        spec = record.spec
        mounts = {
            row["mount_path"]: self._volumes.folder(row["name"], row["version"]) for row in spec["volumes"]
        }
        mounts |= {
            row["mount_path"]: self._model_folder(row["model_id"], row["revision_id"])
            for row in spec["model_mounts"]
        }
        environment = {row["name"]: self._value(row) for row in spec["environment_variables"]}
        return Posting(record.id, record.name, environment, mounts, record.host)

    def _value(self, row: dict[str, Any]) -> str:
        secret = row["value_from_secret"]
        return str(row["value"]) if secret is None else self._secrets.record(secret).value

    def _model_folder(self, model: str, revision: str | None) -> Path:
        """Find the files of a validated revision of a model, the newest one unless another is named."""
        revisions = self._its.revisions
        record = self._its.models.record(model)
        found = revisions.record(record.id, revision) if revision else revisions.latest(record.id)
        if found is None or found.outcome != "SUCCESS":
            message = f"The model {record.name} has no revision that passed its validation."
            raise invalid(message, "model_mounts")
        return revisions.folder(found.id)

    def _users_of(self, secret: SecretRecord) -> list[str]:
        names = {secret.id, secret.name}
        return [
            record.name
            for record in self._shelves.containers.all()
            if names & {row["value_from_secret"] for row in record.spec["environment_variables"]}
        ]

    def _mounters_of(self, volume: VolumeRecord, version: int) -> list[str]:
        def mounts(row: dict[str, Any]) -> bool:
            number = volume.current if row["version"] is None else row["version"]
            return row["name"] in (volume.id, volume.name) and number == version

        return [
            record.id
            for record in self._shelves.containers.all()
            if any(mounts(row) for row in record.spec["volumes"])
        ]


def _registry(request: Request) -> dict[str, str]:
    """Say where images are pushed to: nowhere here, but the official client asks before it deploys."""
    return {"base-path": f"https://{request.url.netloc}/{PROJECT_SLUG}"}
