"""Base models: what is asked of the platform, and what becomes of a part that it does not tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lorry.delivery.ports import AdapterMode, Platform
from lorry.errors import PlatformFault
from tests.platforms.conftest import BASE
from tests.platforms.stand_in import StandIn

TYPES = "/v2/public/inference-instance-types"
CONFIG = "/v2/projects/pub/configs/cr_9"
JSON = "application/json"

PROFILE = {
    "config": "projects/pub/configs/cr_9",
    "model": "projects/pub/models/ml_b2/revisions/rv_1",
    "gpuType": "H100",
    "gpuCount": 1,
    "adapterMode": "ADAPTER_MODE_DYNAMIC",
}


def _type(name: str, cents: int) -> dict[str, Any]:
    return {"id": f"it_{name}", "name": name, "gpuType": "H100", "gpuCount": 1, "priceCentsPerHour": cents}


def _next(server: StandIn, path: str, body: object, status: int = 200) -> None:
    server.instead.append((path, status, json.dumps(body).encode(), JSON))


@pytest.fixture(autouse=True)
def _profiled(server: StandIn) -> None:
    """Give the base one profile, and no configurations beside it."""
    server.configs.clear()
    server.supported[2]["deploymentProfiles"] = [PROFILE]


async def test_a_profile_is_told_with_the_price_of_the_only_hardware_of_its_kind(
    platform: Platform, server: StandIn
) -> None:
    """Three questions in all: the catalogue, the hardware, the configurations."""
    _next(server, TYPES, {"object": "list", "data": [_type("1xnvidia-h100-80gb", 549)]})
    base = await platform.registry.base(BASE)
    (found,) = base.configurations
    assert (found.resource, found.model) == (PROFILE["config"], PROFILE["model"])
    assert (found.mode, found.hardware, found.cents_per_hour) == (
        AdapterMode.DYNAMIC,
        "1xnvidia-h100-80gb",
        549,
    )
    assert CONFIG not in [one.path for one in server.seen]


async def test_a_profile_of_unclear_hardware_is_looked_up(platform: Platform, server: StandIn) -> None:
    """Two types have its kind of accelerator: the configuration's own selectors tell which it is."""
    types = [_type("1xnvidia-h100-80gb", 549), _type("1xnvidia-h100-40gb-mig", 300)]
    _next(server, TYPES, {"object": "list", "data": types})
    selectors = [
        {"key": "accelerator_type", "value": "nvidia-h100-40gb-mig"},
        {"key": "accelerator_count", "value": "1"},
    ]
    _next(server, CONFIG, {"id": "cr_9", "projectId": "pub", "selectors": selectors})
    (found,) = (await platform.registry.base(BASE)).configurations
    assert (found.hardware, found.cents_per_hour) == ("1xnvidia-h100-40gb-mig", 300)


@pytest.mark.parametrize("status", [403, 404])
async def test_what_may_not_be_read_is_not_told(platform: Platform, server: StandIn, status: int) -> None:
    """Without the hardware and the configuration there is no price, and the base can be used all the same."""
    _next(server, TYPES, {"code": 7, "message": "no"}, status)
    _next(server, CONFIG, {"code": 7, "message": "no"}, status)
    (found,) = (await platform.registry.base(BASE)).configurations
    assert (found.hardware, found.cents_per_hour, found.headroom) == ("1xH100", None, None)


@pytest.mark.parametrize("path", [TYPES, CONFIG])
async def test_what_fails_for_now_is_no_answer(platform: Platform, server: StandIn, path: str) -> None:
    """A price that could be had a moment later is not left out: the error reaches who can try again."""
    _next(server, path, {"message": "it broke"}, 500)
    with pytest.raises(PlatformFault, match="it broke"):
        await platform.registry.base(BASE)


async def test_a_base_answers_without_an_endpoint_under_the_name_that_is_told(
    platform: Platform, server: StandIn
) -> None:
    """Only what the catalogue names as its shared endpoint; a listing alone promises nothing (dossier 9)."""
    assert (await platform.registry.base(BASE)).shared is None
    server.supported[2]["serverlessEndpoint"] = "shared/base"
    assert (await platform.registry.base(BASE)).shared == "shared/base"
    server.supported[2]["baseModelId"] = ""
    base = await platform.registry.base(BASE)
    assert (base.id, base.resource, base.configurations, base.shared) == ("arch_2", "", (), "shared/base")


async def test_a_profile_that_can_not_be_read_is_a_fault(platform: Platform, server: StandIn) -> None:
    """Profiles that are no objects can't be answered with no profiles."""
    server.supported[2]["deploymentProfiles"] = ["cr_9"]
    with pytest.raises(PlatformFault, match="can't be read"):
        await platform.registry.base(BASE)
