"""Whatever is sent, the engine answers with a sentence and never with a fault of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorry.engine.clock import ManualClock
from tests.engine.conftest import opened
from tests.engine.samples import KEY, PROJECT, Api, write_adapter

# Lone surrogates are legal in JSON and in no encoding: the classic way to break a server with text.
TEXT = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["\ud800", "\0", "local/tok", "tok", "ep_x", "../x", "NaN", "x" * 300, "é" * 200]),
)
NUMBERS = st.one_of(st.integers(), st.integers(-(10**40), 10**40), st.floats(allow_nan=False))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)

FIELDS: dict[tuple[str, str], list[str]] = {
    ("POST", "/models"): ["name", "baseModelId", "type", "description"],
    ("PATCH", "/models/{model}"): ["name", "description", "visibility"],
    ("POST", "/models/upload/create"): ["objectId", "files"],
    ("POST", "/models/upload/complete"): ["objectId", "files"],
    ("POST", "/models/download"): ["objectId", "paths", "revisionId"],
    ("POST", "/models/uploads"): ["modelId", "remoteUrl", "token"],
    ("POST", "/endpoints"): ["name", "visibility"],
    ("PATCH", "/endpoints/{endpoint}"): ["name", "visibility", "trafficSplit", "etag"],
    ("POST", "/endpoints/{endpoint}/deployments"): [
        "name",
        "autoscaling",
        "model",
        "modelId",
        "config",
        "inactiveTimeout",
        "maxConcurrentRequestsPerReplica",
        "placement",
    ],
    ("PATCH", "/endpoints/{endpoint}/deployments/{deployment}"): [
        "name",
        "autoscaling",
        "inactiveTimeout",
        "maxConcurrentRequestsPerReplica",
        "etag",
    ],
}

PICTURES: dict[str, Any] = {
    "model": "lorry/flux-icons-64",
    "prompt": "a cat",
    "response_format": "base64",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, dict[str, str]]]:
    """Give an engine that serves something, and the ids of what it serves."""
    folder = tmp_path_factory.mktemp("fuzz")
    with opened(folder / "home", ManualClock()) as api:
        endpoint, deployment = api.served(write_adapter(folder / "adapter"))
        model = api.done("GET", "/models")["data"][0]["id"]
        yield api, {"model": model, "endpoint": endpoint["id"], "deployment": deployment["id"]}


def answered(api: Api, method: str, path: str, body: object, **query: str) -> None:
    """Send a body and demand an answer that is not a fault."""
    content = json.dumps(body).encode()
    headers = {**KEY, "Content-Type": "application/json"}
    answer = api.client.request(method, path, content=content, params=query, headers=headers)
    assert answer.status_code < 500, (method, path, body, answer.text)
    if answer.status_code >= 400:
        told = answer.json()
        assert told["error"]["message"] if path.startswith("/v1/") else told["message"]


QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(data=st.data())
def test_no_body_is_a_fault(place: tuple[Api, dict[str, str]], data: st.DataObject) -> None:
    """Any JSON in any field of any route is done or refused with a sentence."""
    api, ids = place
    (method, path), fields = data.draw(st.sampled_from(sorted(FIELDS.items())))
    known = st.sampled_from(sorted(ids.values()))
    body = data.draw(st.one_of(JSON, st.dictionaries(st.sampled_from(fields), st.one_of(JSON, known))))
    answered(api, method, PROJECT + path.format(**ids), body)


@QUICK
@given(
    changes=st.dictionaries(st.sampled_from([*PICTURES, "seed", "n", "width", "image_loras", "user"]), JSON)
)
def test_no_request_for_pictures_is_a_fault(
    place: tuple[Api, dict[str, str]], changes: dict[str, object]
) -> None:
    """Any JSON in any field of a request for pictures is drawn or refused with a sentence."""
    answered(place[0], "POST", "/v1/images/generations", PICTURES | changes)


@QUICK
@given(
    path=st.sampled_from(["/models", "/endpoints", "/models/uploads", "/endpoints/{endpoint}/events"]),
    key=st.sampled_from(["filter", "limit", "after", "orderBy", "updateMask", "types", "since"]),
    value=st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_no_query_is_a_fault(place: tuple[Api, dict[str, str]], path: str, key: str, value: str) -> None:
    """Any text in any query of a list is understood or refused with a sentence."""
    api, ids = place
    answered(api, "GET", PROJECT + path.format(**ids), None, **{key: value})
