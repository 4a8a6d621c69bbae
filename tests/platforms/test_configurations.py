"""How a base can be run: what the platform's three lists come to."""

from __future__ import annotations

from typing import Any

import pytest
from together.types import SupportedModelDeploymentProfile
from together.types.endpoints import InferenceInstanceType
from together.types.models import Config

from lorry.delivery.ports import AdapterMode, Configuration
from lorry.platforms.together.configurations import configurations, headroom, profile_resource, untold

BASE = "projects/pub/models/ml_b"


def _profile(**fields: Any) -> SupportedModelDeploymentProfile:
    row: dict[str, Any] = {
        "config": "projects/pub/configs/cr_1",
        "model": f"{BASE}/revisions/rv_1",
        "gpuType": "nvidia-h100-80gb",
        "gpuCount": 1,
        "adapterMode": "ADAPTER_MODE_DYNAMIC",
        **fields,
    }
    return SupportedModelDeploymentProfile.construct(**row)


def _config(name: str, count: int = 1, kind: str = "nvidia-h100-80gb", **fields: Any) -> Config:
    selectors = [
        {"key": "accelerator_type", "value": kind},
        {"key": "accelerator_count", "value": str(count)},
        {"key": "adapter_mode", "value": "fixed"},
    ]
    row: dict[str, Any] = {
        "id": name,
        "projectId": "pub",
        "referenceModel": BASE,
        "selectors": selectors,
        **fields,
    }
    return Config.construct(**row)


def _type(name: str, cents: int, *headrooms: dict[str, Any] | None, kind: str = "") -> InferenceInstanceType:
    count, _, rest = name.partition("x")
    regions = [{"name": f"r{n}", "headroom": room} for n, room in enumerate(headrooms)]
    row: dict[str, Any] = {
        "id": f"it_{name}",
        "name": name,
        "gpuType": kind or rest,
        "gpuCount": int(count),
        "priceCentsPerHour": cents,
        "regions": regions,
    }
    return InferenceInstanceType.construct(**row)


ONE = _type("1xnvidia-h100-80gb", 549, {"value": 3, "relation": "RELATION_EQ"})
TWO = _type("2xnvidia-h100-80gb", 1098)


def test_a_profile_has_price_and_room_of_its_hardware() -> None:
    """All that the three lists tell of one configuration is in one value."""
    (found,) = configurations([_profile()], [], [TWO, ONE])
    assert found == Configuration(
        resource="projects/pub/configs/cr_1",
        model=f"{BASE}/revisions/rv_1",
        mode=AdapterMode.DYNAMIC,
        hardware="1xnvidia-h100-80gb",
        accelerators=1,
        cents_per_hour=549,
        headroom=3,
    )


def test_the_cheapest_comes_first_and_an_unknown_price_last() -> None:
    """By price, then by accelerators, then by name; what nobody prices counts as the dearest."""
    configs = [
        _config("cr_unknown", 1, "nvidia-gb300"),
        _config("cr_two", 2),
        _config("cr_b"),
        _config("cr_a"),
    ]
    found = configurations([], configs, [ONE, TWO])
    assert [each.resource.rpartition("/")[2] for each in found] == ["cr_a", "cr_b", "cr_two", "cr_unknown"]
    assert found[-1].cents_per_hour is None
    assert found[-1].hardware == "1xnvidia-gb300"


def test_a_profiles_word_goes_before_that_of_the_list() -> None:
    """One configuration in both lists is one; mode and weights are the profile's, hardware the selectors'."""
    profile = _profile(gpuType="H100", gpuCount=2, adapterMode="ADAPTER_MODE_DISABLED")
    (found,) = configurations([profile], [_config("cr_1", 2)], [ONE, TWO])
    assert (found.mode, found.hardware, found.cents_per_hour) == (
        AdapterMode.DISABLED,
        "2xnvidia-h100-80gb",
        1098,
    )
    assert found.model == f"{BASE}/revisions/rv_1"


def test_what_is_certified_for_the_base_and_in_no_profile_is_found_too() -> None:
    """An adapter is deployed by its base's configurations; one that failed its certification is none."""
    good = {"certificationType": "CERTIFICATION_TYPE_CERTIFIED", "model": BASE}
    bad = {"certificationType": "CERTIFICATION_TYPE_UNCERTIFIED", "model": BASE}
    configs = [
        _config("cr_good", certifications=[bad, good]),
        _config("cr_bad", certifications=[bad]),
        _config("cr_untold", certifications=[]),
    ]
    found = configurations([_profile()], configs, [])
    names = {each.resource.rpartition("/")[2]: each for each in found}
    assert set(names) == {"cr_1", "cr_good", "cr_untold"}
    assert names["cr_good"].mode is AdapterMode.FIXED
    assert names["cr_good"].model == BASE


@pytest.mark.parametrize(
    ("fields", "resource"),
    [
        ({}, "projects/pub/configs/cr_1"),
        ({"config": "", "certifiedConfigRevisionId": "cr_9"}, "projects/pub/configs/cr_9"),
        ({"config": "", "certifiedConfigRevisionId": ""}, None),
        ({"config": "", "certifiedConfigRevisionId": "cr_9", "model": ""}, None),
        ({"config": None, "certifiedConfigRevisionId": None, "model": None}, None),
    ],
)
def test_a_profile_that_pins_no_configuration_is_left_out(
    fields: dict[str, Any], resource: str | None
) -> None:
    """Nothing can be deployed with such a profile; the others of the base are not spoiled by it."""
    profile = _profile(**fields)
    assert profile_resource(profile) == resource
    assert [each.resource for each in configurations([profile], [], [])] == ([resource] if resource else [])


@pytest.mark.parametrize(
    ("kind", "count", "hardware"),
    [
        ("nvidia-h100-80gb", 1, "1xnvidia-h100-80gb"),
        ("h100-80gb", 1, "1xnvidia-h100-80gb"),
        ("H100-80GB", 2, "2xnvidia-h100-80gb"),
        ("1xnvidia-h100-80gb", 1, "1xnvidia-h100-80gb"),
        ("B200", 1, "1xnvidia-b200-180gb"),
    ],
)
def test_hardware_is_known_by_any_of_its_names(kind: str, count: int, hardware: str) -> None:
    """With the maker and without, as a name of the type or as the kind of accelerator."""
    types = [ONE, TWO, _type("1xnvidia-b200-180gb", 899, kind="B200")]
    profile = _profile(gpuType=kind, gpuCount=count)
    (found,) = configurations([profile], [], types)
    assert found.hardware == hardware
    assert found.cents_per_hour is not None
    assert untold([profile], [], types) == ()


def test_a_kind_that_several_types_have_tells_no_price_until_its_selectors_are_read() -> None:
    """Two types with H100s: none is guessed; the configuration has to be looked up, and then it is told."""
    types = [
        _type("1xnvidia-h100-80gb", 549, kind="H100"),
        _type("1xnvidia-h100-40gb-mig", 300, kind="H100"),
    ]
    profile = _profile(gpuType="H100")
    assert configurations([profile], [], types)[0].cents_per_hour is None
    assert untold([profile], [], types) == ("projects/pub/configs/cr_1",)
    read = [_config("cr_1", 1, "nvidia-h100-40gb-mig")]
    assert untold([profile], read, types) == ()
    assert configurations([profile], read, types)[0].cents_per_hour == 300


@pytest.mark.parametrize(
    ("rooms", "fits"),
    [
        ([], None),
        ([None], None),
        ([{"value": 2, "relation": "RELATION_EQ"}, {"value": 5, "relation": "RELATION_GTE"}], 7),
        ([{"relation": "RELATION_EQ"}], 0),
        ([{"relation": "RELATION_GTE"}], None),
        ([{"relation": "RELATION_EQ"}, {"value": 1, "relation": "RELATION_EQ"}], 1),
    ],
)
def test_headroom_is_summed_over_regions(rooms: list[dict[str, Any] | None], fits: int | None) -> None:
    """A number that is missing is 0 where it would be exact (the wire leaves zeros out), else not told."""
    assert headroom(_type("1xa", 1, *rooms)) == fits


def test_a_configuration_without_an_id_can_not_be_read() -> None:
    """What has to be there is asked for by name."""
    with pytest.raises(ValueError, match="no id"):
        configurations([], [Config.construct(projectId="pub")], [])


@pytest.mark.parametrize(
    ("said", "mode"),
    [
        ("ADAPTER_MODE_DYNAMIC", AdapterMode.DYNAMIC),
        ("ADAPTER_MODE_FIXED", AdapterMode.FIXED),
        ("ADAPTER_MODE_DISABLED", AdapterMode.DISABLED),
        ("ADAPTER_MODE_UNKNOWN", AdapterMode.DISABLED),
        (None, AdapterMode.DISABLED),
    ],
)
def test_every_adapter_mode_is_read(said: str | None, mode: AdapterMode) -> None:
    """The three of the dossier (2.5); what we do not know takes no adapters."""
    assert configurations([_profile(adapterMode=said)], [], [])[0].mode is mode
