"""An adapter on a base that others share (`together-attached`): order, slots, lost answers, the way back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lorry.delivery.doubles import Fault, memory_platform
from lorry.delivery.ports import DeploymentOrder, HostedEndpoint
from lorry.errors import AnswerLost, DeploymentFailed, NoConfiguration, RequestRefused, SlotsFull
from lorry.model.names import provider_name
from lorry.model.placement import Placement, PlacementState, ProviderIds
from tests.delivery.conftest import AT, Bench
from tests.delivery.laws import (
    PRICED,
    assert_nothing_is_made_without_agreement,
    assert_one_of_each,
    forecast,
    on,
    shipped,
    steps,
)

ROUTE = "together-attached"
KIND = "text-lora"
SHARED = "lorry-adapters-icons"
ONE = {"models": 1, "revisions": 1, "endpoints": 1, "deployments": 1, "attachments": 1, "repos": 0}
NOTHING = dict.fromkeys(("models", "revisions", "endpoints", "deployments", "repos"), 0)


@pytest.fixture
def attached(bench: Bench) -> Bench:
    """Give a bench that attaches an adapter for text to its base."""
    return on(bench, ROUTE, KIND)


async def _base(bench: Bench, endpoint: str = SHARED) -> tuple[HostedEndpoint, str]:
    """Have the base run already, with its traffic; gives the endpoint and the deployment's id."""
    platform = memory_platform(bench.ground)
    live = bench.ground.configurations[1].resource
    made = await platform.endpoints.create(endpoint)
    order = DeploymentOrder(endpoint, "projects/public/models/ml_icons", live)
    deployment = await platform.deployments.create(made.id, order)
    await platform.endpoints.route(made.id, {deployment.id: 1.0})
    bench.ground.calls.clear()
    return made, deployment.id


async def _neighbour(bench: Bench, name: str, endpoint: str, deployment: str) -> str:
    """Have another adapter sit on the base, known here under a name; gives its attachment's id."""
    found = await memory_platform(bench.ground).attachments.attach(
        endpoint, deployment, f"ml_{name}", "rv", evict=False
    )
    await bench.store.save_model(replace(bench.model, name=name))
    ids = ProviderIds(model=f"ml_{name}", endpoint=endpoint, deployment=deployment)
    await bench.store.save_placement(
        Placement(name, ROUTE, PlacementState.READY, "ready", ids, None, None, AT)
    )
    return found.id


async def test_a_base_is_started_and_the_adapter_loaded(attached: Bench) -> None:
    """Without a running base one is made, with a configuration that takes adapters, and then the adapter."""
    ids = (await shipped(attached)).ids
    assert await steps(attached) == [
        *("check", "register", "upload", "validate", "endpoint", "deploy", "wait", "route"),
        *("attach", "load", "prove", "ready"),
    ]
    assert attached.ground.counts() == ONE
    (deployment,) = attached.ground.things["deployments"].values()
    assert (deployment["name"], deployment["config"]) == (SHARED, "projects/public/configs/cr_live")
    assert ids.attachment in attached.ground.things["attachments"]
    assert ids.adapter_name == f"someone/{SHARED}:someone/{provider_name('tok', attached.model.digest)}"


async def test_a_running_base_is_shared(attached: Bench) -> None:
    """With a running base no second one is made, and what sits there stays."""
    endpoint, deployment = await _base(attached)
    other = await _neighbour(attached, "pirate", endpoint.id, deployment)
    ids = (await shipped(attached)).ids
    assert (ids.endpoint, ids.deployment) == (endpoint.id, deployment)
    assert "deployments.create" not in attached.ground.calls
    assert {other, ids.attachment} == set(attached.ground.things["attachments"])


async def test_full_slots_name_who_sits_there(attached: Bench) -> None:
    """Without a free slot the error names the adapters by Lorry's names; nothing is thrown out."""
    attached.ground.slots = 1
    endpoint, deployment = await _base(attached)
    other = await _neighbour(attached, "pirate", endpoint.id, deployment)
    with pytest.raises(SlotsFull, match="it holds pirate") as caught:
        await attached.walk()
    assert caught.value.evidence["adapters"] == ["pirate"]
    assert caught.value.evidence["oldest"] == "pirate"
    assert caught.value.fix.startswith("Run `lorry retire pirate`")
    assert "--evict" in caught.value.fix
    assert list(attached.ground.things["attachments"]) == [other]
    assert attached.ground.things["deployments"][deployment]["aim"] == "run"


async def test_strangers_in_the_slots_are_named_by_their_ids(attached: Bench) -> None:
    """An adapter that Lorry does not know is told by the platform's id, and nobody is told to retire it."""
    attached.ground.slots = 1
    endpoint, deployment = await _base(attached)
    attachments = memory_platform(attached.ground).attachments
    await attachments.attach(endpoint.id, deployment, "ml_theirs", "rv", evict=False)
    with pytest.raises(SlotsFull, match="it holds ml_theirs") as caught:
        await attached.walk()
    assert "lorry retire ml_theirs" not in caught.value.fix


async def test_evict_replaces_the_oldest_only(attached: Bench) -> None:
    """With `evict` the oldest adapter leaves, a younger one and the base stay."""
    attached.ground.slots = 2
    endpoint, deployment = await _base(attached)
    for name in ("pirate", "poet"):
        await _neighbour(attached, name, endpoint.id, deployment)
    ids = (await shipped(on(attached, ROUTE, KIND, evict=True))).ids
    left = [row["model"] for row in attached.ground.things["attachments"].values()]
    assert left == ["ml_poet", ids.model]
    events = await attached.store.read("tok")
    assert any("pirate" in event.message and "left for it" in event.message for event in events)


async def test_an_eviction_whose_answer_is_lost_evicts_once(attached: Bench) -> None:
    """An attach that made room and whose answer was lost does not throw a second adapter out."""
    attached.ground.slots = 2
    endpoint, deployment = await _base(attached)
    for name in ("pirate", "poet"):
        await _neighbour(attached, name, endpoint.id, deployment)
    on(attached, ROUTE, KIND, evict=True)
    attached.ground.faults.append(Fault("attachments.attach", AnswerLost("Lost."), acts=True))
    ids = (await shipped(attached)).ids
    left = [row["model"] for row in attached.ground.things["attachments"].values()]
    assert left == ["ml_poet", ids.model]


@pytest.mark.parametrize(
    ("verb", "look"),
    [
        ("registry.create", "registry.find"),
        ("registry.upload", "registry.revisions"),
        ("endpoints.create", "endpoints.find"),
        ("deployments.create", "deployments.list"),
        ("attachments.attach", "attachments.list"),
    ],
)
async def test_lost_answers_make_nothing_twice(attached: Bench, verb: str, look: str) -> None:
    """A call that acted without an answer, and a lost look after it, leave one of each."""
    await assert_one_of_each(attached, verb, look)


async def test_an_adapter_that_can_t_be_loaded_says_why(attached: Bench) -> None:
    """The platform's sentence is the error's; the adapter is taken off and the unused base stops."""
    attached.ground.fail_attachment = "Rank 128 is above 64."
    with pytest.raises(DeploymentFailed, match=r"Rank 128 is above 64\."):
        await attached.walk()
    assert attached.ground.things["attachments"] == {}
    assert [row["aim"] for row in attached.ground.things["deployments"].values()] == ["stop"]
    attached.ground.fail_attachment = ""
    await shipped(attached)
    assert attached.ground.counts() == ONE


async def test_retiring_the_last_adapter_takes_the_base_along(attached: Bench) -> None:
    """The adapter is taken off first; a base that nobody uses any more bills nothing."""
    await shipped(attached)
    assert await attached.retire() is None
    assert attached.ground.counts() == NOTHING
    assert await steps(attached, "retire") == [
        *("detach", "detached", "unroute", "stop", "stopped", "deployment", "endpoint", "model"),
        *("repository", "forget"),
    ]


async def test_retiring_leaves_neighbours_alone(attached: Bench) -> None:
    """While another adapter is on the base, only the own one and its model go."""
    endpoint, deployment = await _base(attached)
    other = await _neighbour(attached, "pirate", endpoint.id, deployment)
    await shipped(attached)
    assert await attached.retire() is None
    assert list(attached.ground.things["attachments"]) == [other]
    assert attached.ground.counts() == {**NOTHING, "endpoints": 1, "deployments": 1, "attachments": 1}
    assert attached.ground.things["endpoints"][endpoint.id]["routed"] == {deployment: 1.0}


async def test_a_base_of_the_user_stays(attached: Bench) -> None:
    """On the user's endpoint nothing but the adapter comes and goes, and its traffic is not touched."""
    endpoint, deployment = await _base(attached, "mine")
    await shipped(on(attached, ROUTE, KIND, endpoint="mine"))
    assert not {"endpoints.create", "deployments.create", "endpoints.route"} & set(attached.ground.calls)
    assert await attached.retire() is None
    assert attached.ground.counts() == {**NOTHING, "endpoints": 1, "deployments": 1}
    assert attached.ground.things["deployments"][deployment]["aim"] == "run"
    assert attached.ground.things["endpoints"][endpoint.id]["routed"] == {deployment: 1.0}


async def test_an_endpoint_without_such_a_base_is_refused_before_anything_is_made(attached: Bench) -> None:
    """A user's endpoint that takes no adapters is told at once, by the delivery and by the forecast."""
    await memory_platform(attached.ground).endpoints.create("mine")
    on(attached, ROUTE, KIND, endpoint="mine")
    told = await forecast(attached)
    assert ([each.code for each in told.obstacles], told.runs) == ([RequestRefused.code], False)
    assert not [each for each in told.creates if each.startswith("the deployment")]
    async with attached.open() as deliveries:
        with pytest.raises(RequestRefused, match="no running deployment of icons that takes adapters"):
            await deliveries.ship(attached.source, "tok", attached.wish)
    assert attached.ground.counts() == {**NOTHING, "endpoints": 1}


async def test_without_agreement_nothing_is_made(attached: Bench) -> None:
    """A base that would have to be started costs, and nobody agreed."""
    attached.ground.configurations = PRICED
    await assert_nothing_is_made_without_agreement(attached)


async def test_a_base_that_runs_costs_nothing_more(attached: Bench) -> None:
    """An adapter on a base that runs already needs no agreement, as nothing more bills."""
    attached.ground.configurations = PRICED
    await _base(attached)
    async with attached.open() as deliveries:
        placement = await deliveries.ship(attached.source, "tok", attached.wish)
    assert placement.state is PlacementState.READY


async def test_a_forecast_says_what_would_be_made_and_its_price(attached: Bench) -> None:
    """Without a base: the endpoint, the deployment with its hardware and price, and the adapter on it."""
    attached.ground.configurations = PRICED
    told, name = await forecast(attached), provider_name("tok", attached.model.digest)
    assert told.creates == (
        f"the model {name} with one revision",
        f"the endpoint {SHARED}",
        f"the deployment {SHARED} on 1xh100",
        "the adapter on that deployment",
    )
    assert told.price is not None
    assert (told.price.sentence, told.target, told.runs) == ("$5.49 per replica-hour", "1xh100", True)


async def test_a_forecast_finds_the_base_that_runs(attached: Bench) -> None:
    """With a base: it is found with the number of adapters on it, and nothing more bills."""
    attached.ground.configurations = PRICED
    endpoint, deployment = await _base(attached)
    await _neighbour(attached, "pirate", endpoint.id, deployment)
    told = await forecast(attached)
    assert told.finds[-1] == "1 adapter on it"
    assert told.price is not None
    assert told.price.cents == 0
    assert told.creates[-1] == "the adapter on that deployment"


async def test_a_base_without_a_fitting_configuration_is_an_obstacle(attached: Bench) -> None:
    """A base whose configurations take no adapters is told, and nothing is made."""
    attached.ground.configurations = PRICED[:1]
    assert [each.code for each in (await forecast(attached)).obstacles] == [NoConfiguration.code]
