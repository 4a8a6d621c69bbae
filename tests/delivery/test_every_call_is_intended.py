"""Every call that creates, changes or deletes something is made while an intent for it is open."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest

from lorry.delivery import ports
from lorry.delivery.intents import digest_of_arguments
from lorry.errors import ProofNoEffect
from tests.delivery.conftest import Bench
from tests.delivery.laws import on

#: Port by the name under which its calls are noted.
PORTS = {
    "registry": ports.Registry,
    "endpoints": ports.Endpoints,
    "deployments": ports.Deployments,
    "attachments": ports.Attachments,
    "containers": ports.Containers,
    "queue": ports.Queue,
    "legacy": ports.Legacy,
    "painter": ports.Painter,
    "writer": ports.Writer,
    "publisher": ports.Publisher,
}

#: Verbs that create, change or delete.
ACTS = {
    *("registry.create", "registry.upload", "registry.fetch", "registry.delete"),
    *("endpoints.create", "endpoints.route", "endpoints.delete"),
    *("deployments.create", "deployments.start", "deployments.stop", "deployments.delete"),
    *("attachments.attach", "attachments.detach"),
    *("containers.create", "containers.destroy"),
    *("legacy.upload", "legacy.create", "legacy.delete"),
    *("publisher.publish", "publisher.withdraw"),
}

#: Verbs that only look.
LOOKS = {
    *("registry.base", "registry.find", "registry.imports", "registry.revisions"),
    *("endpoints.find", "endpoints.events"),
    *("deployments.list", "deployments.look", "deployments.validate"),
    *("attachments.list", "containers.find", "containers.look", "containers.logs"),
    *("queue.look", "queue.metrics"),
    *("legacy.job", "legacy.find_job", "legacy.hardware", "legacy.find", "legacy.look"),
}

#: Verbs that draw or write: they cost a picture or some words, and leave nothing at the platform that can be
#: found by a name. (A container's job is one picture; it is cancelled when nobody waits for it.)
DRAWS = {"painter.paint", "writer.write", "writer.stream", "queue.submit", "queue.cancel"}

#: How each route is set: kind of model, options, and what the ground needs.
ROUTES: dict[str, tuple[str, dict[str, Any]]] = {
    "local": ("image-lora", {}),
    "together-attached": ("text-lora", {}),
    "together-merged": ("text-lora", {"remote": "hub"}),
    "together-url": ("image-lora", {"public": True}),
    "together-container": ("image-lora", {"public": True, "image": "registry.example/worker:1"}),
    "together-v1": ("text-lora", {}),
}


def test_every_verb_of_every_port_is_classed() -> None:
    """A new verb has to be said to act, to look or to draw, before anything else is tested with it."""
    verbs = {
        f"{name}.{verb}"
        for name, port in PORTS.items()
        for verb, found in vars(port).items()
        if inspect.isfunction(found) and not verb.startswith("_")
    }
    assert verbs == ACTS | LOOKS | DRAWS
    assert not ACTS & LOOKS
    assert not (ACTS | LOOKS) & DRAWS


class Watch:
    """Sees which intents are open when a call is made."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.unintended: list[str] = []
        self.acted: set[str] = set()

    def __call__(self, verb: str) -> None:
        """See a call."""
        if verb not in ACTS:
            return
        self.acted.add(verb)
        open_ = [each for each in self._bench.store.intents() if each["result"] is None]
        if not open_ or not all(_carries_its_digest(each["what"]) for each in open_):
            self.unintended.append(verb)


def _carries_its_digest(what: dict[str, Any]) -> bool:
    asked = {name: value for name, value in what.items() if name != "digest"}
    return bool(what["digest"] == digest_of_arguments(asked))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("fails", [False, True])
async def test_no_call_of_a_route_acts_without_an_intent(bench: Bench, route: str, fails: bool) -> None:
    """Shipping, stopping what bills after a failure, and retiring; every intent is closed in the end."""
    kind, options = ROUTES[route]
    watch = Watch(on(bench, route, kind, **options))
    bench.ground = replace(bench.ground, watch=watch, effect=0 if fails else 40)
    if fails:
        with pytest.raises(ProofNoEffect):
            await bench.walk()
    else:
        await bench.walk()
    assert [each for each in bench.store.intents() if each["result"] is None] == []
    assert await bench.retire() is None
    assert watch.unintended == []
    assert {"publisher.publish", "registry.create"} & watch.acted
    assert len(watch.acted) >= 2
    assert bench.store.intents() == []


async def test_a_deployment_that_was_made_otherwise_is_not_adopted(bench: Bench) -> None:
    """One of ours that runs with another configuration is stopped and replaced, never taken for it."""
    on(bench, "together-merged", "text-lora")
    await bench.walk()
    (row,) = bench.ground.things["deployments"].values()
    row["config"] = "projects/public/configs/cr_other"
    await bench.walk()
    (left,) = bench.ground.things["deployments"].values()
    assert left["config"] != "projects/public/configs/cr_other"
    assert bench.ground.calls.count("deployments.delete") == 1
