"""The API does what its OpenAPI document says, for whatever fits the document and for what does not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.server.ground import Places, place, settings_of
from tests.server.running import running_gateway

#: Cases for each operation; LORRY_SCHEMA_CASES makes it more.
CASES = int(os.environ.get("LORRY_SCHEMA_CASES", "12"))


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    """Give the document of a server that listens, with a model that answers at once."""
    home = tmp_path_factory.mktemp("home")
    chosen = settings_of(home)
    asyncio.run(place(chosen, "tok"))
    with running_gateway(chosen, Places()) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


def test_the_document_is_valid_and_complete(schema: schemathesis.BaseSchema) -> None:
    """It can be loaded, and every route of the server is in it."""
    paths = set(schema.raw_schema["paths"])
    assert {"/api/generate", "/v1/images/generations", "/v1/chat/completions", "/v1/models"} <= paths
    assert {"/api/generations", "/api/tokens", "/api/routes", "/metrics", "/healthz", "/readyz"} <= paths


OPERATIONS = [
    ("POST", "/api/generate"),
    ("POST", "/v1/images/generations"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/api/generations"),
    ("GET", "/api/generations"),
    ("GET", "/api/generations/{id}"),
    ("POST", "/api/generations/{id}/cancel"),
    ("GET", "/api/pictures/{signature}/{name}"),
    ("GET", "/v1/models"),
    ("GET", "/api/models/{name}"),
    ("PUT", "/api/models/{name}/policy"),
    ("POST", "/api/routes/mend"),
    ("POST", "/api/tokens"),
    ("DELETE", "/api/tokens/{id}"),
    ("GET", "/readyz"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_an_operation_holds_to_the_document(schema: schemathesis.BaseSchema, method: str, path: str) -> None:
    """No fault of ours, and every answer of a type and form that the document names."""
    operation = schema[path][method]

    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def hold(case: schemathesis.Case[Any]) -> None:
        response = case.call(timeout=20)
        case.validate_response(
            response,
            checks=[not_a_server_error, content_type_conformance, response_schema_conformance],
        )

    hold()
