"""An image LoRA by its address (`together-url`): nothing is made but a repository, and nothing runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lorry.delivery.doubles import Fault
from lorry.delivery.routes import plan_of
from lorry.delivery.run import Run
from lorry.errors import AnswerLost, BaseNotServed, OptionInvalid, ProofNoEffect
from lorry.model.names import provider_name
from lorry.model.placement import PlacementState
from tests.delivery.conftest import Bench
from tests.delivery.laws import forecast, on, shipped, steps

ROUTE = "together-url"
KIND = "image-lora"
NOTHING = dict.fromkeys(("models", "revisions", "endpoints", "deployments", "repos"), 0)
ADDRESS = "https://files.example/tok.safetensors?signature=secret"


@pytest.fixture
def by_url(bench: Bench) -> Bench:
    """Give a bench whose LoRA is published for everybody and fetched with each request."""
    return on(bench, ROUTE, KIND, public=True)


async def test_a_public_repository_is_all_that_is_made(by_url: Bench) -> None:
    """The file is published and its address with the commit is given to the base; nothing runs of its own."""
    ids = (await shipped(by_url)).ids
    name = provider_name("tok", by_url.model.digest)
    assert await steps(by_url) == ["check", "publish", "address", "prove", "ready"]
    assert by_url.ground.counts() == {**NOTHING, "repos": 1}
    assert ids.address == f"memory://hub/someone/{name}/resolve/{ids.hub_commit}/tok.safetensors"
    assert (ids.base_name, ids.endpoint, ids.deployment) == ("icons", None, None)


async def test_an_address_of_the_user_is_taken_as_it_is(bench: Bench) -> None:
    """With an address nothing is published; its permission goes to the platform and is told nowhere."""
    ids = (await shipped(on(bench, ROUTE, KIND, address=ADDRESS))).ids
    assert await steps(bench) == ["check", "address", "prove", "ready"]
    assert bench.ground.counts() == NOTHING
    assert ids.address == ADDRESS
    assert not [event for event in await bench.store.read("tok") if "secret" in str(event.as_dict())]


async def test_a_lost_answer_publishes_once(by_url: Bench) -> None:
    """Publishing again is free: a lost answer leaves one repository."""
    by_url.ground.faults.append(Fault("publisher.publish", AnswerLost("Lost."), acts=True, times=3))
    await shipped(by_url)
    assert by_url.ground.counts() == {**NOTHING, "repos": 1}


async def test_a_private_repository_is_refused_before_it_is_made(bench: Bench) -> None:
    """What the platform could not fetch is refused at once, with both ways out; nothing is published."""
    on(bench, ROUTE, KIND)
    async with bench.open() as deliveries:
        with pytest.raises(OptionInvalid, match="private repository needs a login") as caught:
            await deliveries.ship(bench.source, "tok", bench.wish)
    assert "--public" in caught.value.fix
    assert "--address" in caught.value.fix
    assert bench.ground.counts() == NOTHING
    assert [each.code for each in (await forecast(bench)).obstacles] == [OptionInvalid.code]


async def test_a_lora_never_goes_onto_a_base_of_another_family(by_url: Bench) -> None:
    """A family that the route has no base for is refused with the bases that it has; nothing is published."""
    by_url.check.family, by_url.check.base = "other", "other"
    async with by_url.open() as deliveries:
        with pytest.raises(BaseNotServed, match="takes LoRAs by address for icons only") as caught:
            await deliveries.ship(by_url.source, "tok", by_url.wish)
    assert caught.value.evidence["bases"] == ["icons"]
    assert by_url.ground.counts() == NOTHING


async def test_the_proof_decides(by_url: Bench) -> None:
    """An address that the platform takes and ignores is no success: the pictures are the same."""
    by_url.ground.effect = 0
    with pytest.raises(ProofNoEffect):
        await by_url.walk()
    assert (await by_url.placement()).state is PlacementState.FAILED
    by_url.ground.effect = 40
    await shipped(by_url)


async def test_no_agreement_is_asked_for(by_url: Bench) -> None:
    """It bills by the picture, when one is drawn: shipping starts nothing that costs."""
    async with by_url.open() as deliveries:
        placement = await deliveries.ship(by_url.source, "tok", by_url.wish)
    assert placement.state is PlacementState.READY


@pytest.mark.parametrize("options", [{"public": True}, {"address": ADDRESS}])
async def test_retiring_leaves_nothing(bench: Bench, options: dict[str, object]) -> None:
    """The repository goes when Lorry made one; a file of the user's is not asked for."""
    await shipped(on(bench, ROUTE, KIND, **options))
    assert await bench.retire() is None
    assert bench.ground.counts() == NOTHING
    assert await steps(bench, "retire") == ["repository", "forget"]
    assert ("publisher.withdraw" in bench.ground.calls) == ("public" in options)


async def test_a_kill_while_publishing_leaves_nothing_behind(by_url: Bench) -> None:
    """A repository whose answer never came is looked for by its name when the model is retired."""
    by_url.ground.faults.append(Fault("publisher.publish", AnswerLost("Lost."), acts=True, times=9))
    with pytest.raises(AnswerLost):
        await by_url.walk()
    assert (await by_url.placement()).ids.hub_repo is None
    assert by_url.ground.counts()["repos"] == 1
    assert await by_url.retire() is None
    assert by_url.ground.counts() == NOTHING


async def test_a_forecast_says_where_it_would_be_drawn(by_url: Bench) -> None:
    """The base, and the repository with who may see it."""
    told, name = await forecast(by_url), provider_name("tok", by_url.model.digest)
    assert (told.runs, told.target) == (True, "icons")
    assert told.creates == (f"the public repository {name} on the Hub",)
    on(by_url, ROUTE, KIND, address=ADDRESS)
    assert (await forecast(by_url)).creates == ()


async def test_a_forecast_refuses_another_family(by_url: Bench) -> None:
    """A LoRA of another family is an obstacle, with the code of the error that shipping would give."""
    place = await by_url.places.place(ROUTE, rehearsal=False)
    model = replace(by_url.model, family="other")
    told = await plan_of(ROUTE, KIND).forecast(
        Run(by_url.world, place, model, "forecast", by_url.wish.options)
    )
    assert ([each.code for each in told.obstacles], told.runs) == ([BaseNotServed.code], False)
