"""The services of one engine, each made once from those that it needs."""

from __future__ import annotations

from dataclasses import dataclass

from lorry.engine.hub.storage import Storage
from lorry.engine.inference.loras import Loras
from lorry.engine.inference.pictures import Album
from lorry.engine.inference.targets import Targets
from lorry.engine.serving import Serving
from lorry.engine.together.deployment_requests import Pins
from lorry.engine.together.deployments import Deployments
from lorry.engine.together.endpoints import Endpoints
from lorry.engine.together.events import Events
from lorry.engine.together.lifecycle import Lifecycle
from lorry.engine.together.models import Models
from lorry.engine.together.records import Shelves
from lorry.engine.together.remote_uploads import RemoteUploads
from lorry.engine.together.revisions import Check, Revisions
from lorry.engine.works import Works


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes of one engine are made from."""

    works: Works
    shelves: Shelves
    serving: Serving
    repositories: Storage
    revisions: Revisions
    models: Models
    remote_uploads: RemoteUploads
    events: Events
    lifecycle: Lifecycle
    deployments: Deployments
    endpoints: Endpoints
    targets: Targets
    loras: Loras
    album: Album


def assemble(works: Works, serving: Serving, check: Check) -> Services:
    """Make the services; nothing is loaded yet.

    Args:
        works: State and time.
        serving: What draws.
        check: Validates uploaded files for a base model.
    """
    shelves = Shelves(works.documents)
    repositories = Storage(works)
    revisions = Revisions(works, shelves, check)
    models = Models(works, shelves, revisions)
    events = Events(works, shelves)
    lifecycle = Lifecycle(works, shelves, revisions, serving, events)
    deployments = Deployments(works, shelves, Pins(models, revisions), lifecycle, events)
    endpoints = Endpoints(works, shelves, deployments, events)
    return Services(
        works=works,
        shelves=shelves,
        serving=serving,
        repositories=repositories,
        revisions=revisions,
        models=models,
        remote_uploads=RemoteUploads(works, shelves, models, revisions, repositories),
        events=events,
        lifecycle=lifecycle,
        deployments=deployments,
        endpoints=endpoints,
        targets=Targets(shelves, endpoints, deployments, lifecycle),
        loras=Loras(works, models, revisions, repositories),
        album=Album(works.pictures),
    )
