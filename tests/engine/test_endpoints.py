"""Endpoints, model records, the catalog and who asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lorry.engine.clock import ManualClock
from tests.engine.conftest import opened
from tests.engine.samples import KEY, PICTURES, PROJECT, WORDS, Api


def test_names_are_unique_and_qualified(api: Api) -> None:
    """A name is taken once, bare or with the project's slug, and comes back qualified; 409 otherwise."""
    assert api.endpoint("tok")["name"] == "local/tok"
    assert api.done("POST", "/endpoints", {"name": "local/other"})["name"] == "local/other"
    for name in ("tok", "local/tok"):
        refused = api.ask("POST", "/endpoints", {"name": name})
        assert (refused.status_code, refused.json()["code"]) == (409, 6)
    assert api.ask("POST", "/endpoints", {"name": "elsewhere/tok"}).status_code == 400
    assert api.model("tok")["name"] == "local/tok"
    body = {"name": "tok", "baseModelId": "ml_flux_icons_64", "type": "adapter"}
    assert api.ask("POST", "/models", body).status_code == 409


@pytest.mark.parametrize("name", ["", "a b", "ä", "a/b/c", "x" * 129, "../x"])
def test_names_that_no_address_can_have_are_refused(api: Api, name: str) -> None:
    """Only letters, digits, dots, hyphens and underscores."""
    assert api.ask("POST", "/endpoints", {"name": name}).status_code == 400


def test_endpoints_are_found_by_name_beyond_the_first_page(api: Api) -> None:
    """The filter looks at all of them, and following the cursors gives each once."""
    for number in range(7):
        api.endpoint(f"ep{number}")
    found = api.done("GET", "/endpoints", filter='name="ep6"', limit=2)
    assert [row["name"] for row in found["data"]] == ["local/ep6"]
    names: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        answer = api.done("GET", "/endpoints", **query)
        names += [row["name"] for row in answer["data"]]
        if answer["next_cursor"] is None:
            break
        query["after"] = answer["next_cursor"]
    assert names == [f"local/ep{number}" for number in range(7)]


def test_an_endpoint_with_deployments_stays(api: Api, weights: Path) -> None:
    """It is deleted once it has none, with its history; a stale etag is 409."""
    endpoint, deployment = api.served(weights)
    path = f"/endpoints/{endpoint['id']}"
    assert "delete" in api.ask("DELETE", path).json()["message"]
    api.route(endpoint["id"], {})
    api.scale(endpoint["id"], deployment["id"], 0)
    api.done("DELETE", f"{path}/deployments/{deployment['id']}")
    assert api.ask("DELETE", path, etag=endpoint["etag"]).status_code == 409
    api.done("DELETE", path)
    assert api.ask("GET", path).status_code == 404
    assert api.done("GET", "/endpoints")["data"] == []


def test_an_empty_split_needs_the_mask(api: Api) -> None:
    """Without `updateMask` an empty split is no field to update; with it, it clears the traffic."""
    path = f"/endpoints/{api.endpoint()['id']}"
    refused = api.ask("PATCH", path, {"trafficSplit": []})
    assert (refused.status_code, "no fields" in refused.json()["message"]) == (400, True)
    assert api.done("PATCH", path, {"trafficSplit": []}, updateMask="trafficSplit")["trafficSplit"] == []


def test_a_mask_writes_only_what_it_names(api: Api) -> None:
    """Fields outside the mask stay as they were, though the body has them."""
    path = f"/endpoints/{api.endpoint()['id']}"
    body = {"name": "renamed", "visibility": "VISIBILITY_INTERNAL"}
    row = api.done("PATCH", path, body, updateMask="visibility")
    assert (row["name"], row["visibility"]) == ("local/tok", "VISIBILITY_INTERNAL")


def test_a_model_record_can_be_changed(api: Api) -> None:
    """Description, name and visibility are written; a name that is taken is not."""
    model, other = api.model("a")["id"], api.model("b")["id"]
    row = api.done("PATCH", f"/models/{model}", {"description": "cats", "name": "c"})
    assert (row["description"], row["name"]) == ("cats", "local/c")
    assert api.ask("PATCH", f"/models/{other}", {"name": "c"}).status_code == 409
    assert (
        api.ask("PATCH", f"/models/{other}", {"visibility": "PUBLIC"}, updateMask="visibility").status_code
        == 400
    )


@pytest.mark.parametrize("change", [{"type": "model"}, {"baseModelId": "ml_other"}, {"name": "a b"}])
def test_a_record_that_could_never_be_served_is_refused(api: Api, change: dict[str, str]) -> None:
    """Full checkpoints, other bases and broken names are a 400 at once, not a surprise later."""
    body = {"name": "tok", "baseModelId": "ml_flux_icons_64", "type": "adapter"} | change
    assert api.ask("POST", "/models", body).status_code == 400


def test_the_catalog_answers_what_a_client_looks_for(api: Api) -> None:
    """A base is found by name, product and modality; its config and hardware are one and free."""
    client = api.client

    def names(**query: str) -> list[str]:
        answer = client.get("/v2/supported-models", params=query, headers=KEY)
        return [row["name"] for row in answer.json()["data"]]

    assert names() == names(product="PRODUCT_DEDICATED") == [PICTURES.name, WORDS.name]
    assert names(search="FLUX") == names(modality="MODALITY_IMAGE") == [PICTURES.name]
    assert names(search="llama") == names(adapterMode="ADAPTER_MODE_DYNAMIC") == [WORDS.name]
    for query in ({"search": "qwen"}, {"modality": "MODALITY_AUDIO"}, {"adapterMode": "ADAPTER_MODE_FIXED"}):
        assert client.get("/v2/supported-models", params=query, headers=KEY).json()["data"] == []
    (config,) = api.done("GET", "/configs", referenceModelId="ml_flux_icons_64")["data"]
    assert api.done("GET", f"/configs/{config['id']}") == config
    assert api.done("GET", "/configs", referenceModel="projects/x/models/y")["data"] == []
    (hardware,) = client.get("/v2/public/inference-instance-types", headers=KEY).json()["data"]
    assert hardware["priceCentsPerHour"] == 0
    public = client.get("/v2/projects/proj_lorry/models/ml_flux_icons_64", headers=KEY).json()
    assert public["name"] == "lorry/flux-icons-64"
    assert [row["id"] for row in client.get("/v1/models", headers=KEY).json()] == names()
    assert api.done("GET", "/placement-profiles")["data"][0]["preferredRegions"] == ["this-machine"]


def test_the_public_project_is_read_only(api: Api) -> None:
    """Nothing is created in the project that owns the base, and other projects do not exist."""
    body = {"name": "tok"}
    refused = api.client.post("/v2/projects/proj_lorry/endpoints", json=body, headers=KEY)
    assert (refused.status_code, refused.json()["code"]) == (403, 7)
    assert api.client.get("/v2/projects/proj_other/models", headers=KEY).status_code == 404


@pytest.mark.parametrize("path", [f"{PROJECT}/models", "/v3/whoami", "/v1/models", "/v2/supported-models"])
def test_without_a_key_nothing_is_answered(api: Api, path: str) -> None:
    """No key, an empty one and another scheme are 401 in the form of the path."""
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Basic abc"}):
        answer = api.client.get(path, headers=headers)
        assert answer.status_code == 401
        assert ("error" in answer.json()) == path.startswith("/v1/")


def test_a_chosen_key_is_the_only_one(home: Path, clock: ManualClock) -> None:
    """With `api_key` set every other key is 401, and that one is not."""
    with opened(home, clock, api_key="secret") as api:
        refused = api.client.get(f"{PROJECT}/models", headers=KEY)
        assert (refused.status_code, refused.json()["code"]) == (401, 16)
        assert "secret" not in refused.text
        right = {"Authorization": "Bearer secret"}
        assert api.client.get(f"{PROJECT}/models", headers=right).status_code == 200


def test_errors_have_the_form_of_their_version(api: Api) -> None:
    """`/v2` answers `{code, message, details}` with the sentence in the details; `/v1` answers `{error}`."""
    answer = api.ask("GET", "/models/ml_none").json()
    assert (answer["code"], answer["details"]) == (5, [{"detail": answer["message"]}])
    error = api.pictures("local/none").json()["error"]
    assert error["code"] == "model_not_available"
    assert set(error) == {"message", "type", "param", "code"}
    unknown = api.client.get("/v2/nothing/here", headers=KEY)
    assert (unknown.status_code, unknown.json()["code"]) == (404, 5)
    assert api.client.put(f"{PROJECT}/models", headers=KEY).status_code == 405
    broken = api.client.post(f"{PROJECT}/models", content="{", headers=KEY)
    assert (broken.status_code, broken.json()["code"]) == (400, 3)
    missing = api.ask("POST", "/endpoints", {})
    assert (missing.status_code, "name" in missing.json()["message"]) == (400, True)


def test_experiments_are_empty_lists(api: Api) -> None:
    """The lists that the official CLI asks for before it deletes are there and empty."""
    path = f"/endpoints/{api.endpoint()['id']}"
    for kind in ("abExperiments", "shadowExperiments", "rollouts"):
        assert api.done("GET", f"{path}/{kind}")["data"] == []
