"""The services of one engine, each made once from those that it needs."""

from __future__ import annotations

from dataclasses import dataclass

from lorry.engine.control.faults import Faults
from lorry.engine.drawing.port import ImageServing
from lorry.engine.hub.storage import Storage
from lorry.engine.inference.answering import Answering
from lorry.engine.inference.loras import Loras
from lorry.engine.inference.mirroring import Mirrors
from lorry.engine.inference.pictures import Album
from lorry.engine.inference.previews import Previews
from lorry.engine.inference.targets import Targets
from lorry.engine.language_serving import LanguageServing
from lorry.engine.together.ab_experiments import AbExperiments
from lorry.engine.together.attaching import Attaching
from lorry.engine.together.capacity import Capacity
from lorry.engine.together.deployment_requests import Pins
from lorry.engine.together.deployments import Deployments
from lorry.engine.together.endpoints import Endpoints
from lorry.engine.together.events import Events
from lorry.engine.together.lifecycle import Lifecycle
from lorry.engine.together.loading import Loading
from lorry.engine.together.models import Models
from lorry.engine.together.records import Shelves
from lorry.engine.together.remote_uploads import RemoteUploads
from lorry.engine.together.revisions import Revisions
from lorry.engine.together.rolling_out import RollingOut
from lorry.engine.together.shadow_experiments import ShadowExperiments
from lorry.engine.together.validation import Check
from lorry.engine.works import Works


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes of one engine are made from."""

    works: Works
    shelves: Shelves
    serving: ImageServing
    language: LanguageServing
    repositories: Storage
    revisions: Revisions
    models: Models
    remote_uploads: RemoteUploads
    events: Events
    capacity: Capacity
    pins: Pins
    loading: Loading
    lifecycle: Lifecycle
    attaching: Attaching
    deployments: Deployments
    endpoints: Endpoints
    targets: Targets
    loras: Loras
    album: Album
    previews: Previews
    faults: Faults
    rolling: RollingOut
    experiments: AbExperiments
    shadows: ShadowExperiments
    answering: Answering
    mirrors: Mirrors


def assemble(works: Works, serving: ImageServing, language: LanguageServing, check: Check) -> Services:
    """Make the services; nothing is loaded yet.

    Args:
        works: State and time.
        serving: What draws.
        language: What answers in words.
        check: Validates uploaded files for a base model.
    """
    shelves = Shelves(works.documents)
    repositories = Storage(works)
    revisions = Revisions(works, shelves, check)
    models = Models(works, shelves, revisions)
    events = Events(works, shelves)
    capacity = Capacity(works.catalog, shelves)
    pins = Pins(works.catalog, models, revisions)
    loading = Loading(works.catalog, shelves, revisions, serving, language)
    lifecycle = Lifecycle(works, shelves, loading, capacity, events)
    attaching = Attaching(works, shelves, lifecycle, loading, language, events)
    deployments = Deployments(works, shelves, pins, lifecycle, capacity, attaching, events)
    endpoints = Endpoints(works, shelves, deployments, events)
    experiments = AbExperiments(works, shelves, events)
    shadows = ShadowExperiments(works, shelves)
    targets = Targets(
        works.catalog, models, endpoints, deployments, lifecycle, loading, attaching, experiments
    )
    return Services(
        works=works,
        shelves=shelves,
        serving=serving,
        language=language,
        repositories=repositories,
        revisions=revisions,
        models=models,
        remote_uploads=RemoteUploads(works, shelves, models, revisions, repositories),
        events=events,
        capacity=capacity,
        pins=pins,
        loading=loading,
        lifecycle=lifecycle,
        attaching=attaching,
        deployments=deployments,
        endpoints=endpoints,
        targets=targets,
        loras=Loras(works, models, revisions, repositories),
        album=Album(works.pictures),
        previews=Previews(),
        faults=Faults(),
        rolling=RollingOut(works, shelves, deployments, lifecycle, events),
        experiments=experiments,
        shadows=shadows,
        answering=Answering(works, shelves, language),
        mirrors=Mirrors(targets, shadows),
    )
