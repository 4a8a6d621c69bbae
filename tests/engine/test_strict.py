"""The second look of the strict client sees what the official client lets pass."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from tests.engine.strict import StrictTogether

ENDPOINT: dict[str, Any] = {
    "id": "ep_1",
    "createdAt": "2026-11-25T12:00:00Z",
    "deployments": [],
    "endpointType": "ENDPOINT_TYPE_DEDICATED",
    "etag": "a",
    "name": "local/tok",
    "projectId": "proj_local",
    "trafficSplit": [],
    "updatedAt": "2026-11-25T12:00:00Z",
    "visibility": "VISIBILITY_PRIVATE",
}


class Canned(httpx.BaseTransport):
    """Answers everything with one body."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        return httpx.Response(200, json=self._body, request=request)


def ask(body: dict[str, Any]) -> Any:
    """Retrieve an endpoint that the server answers with a body."""
    http = httpx.Client(transport=Canned(body), base_url="http://engine.test")
    with StrictTogether(
        api_key="any", project_id="p", base_url="http://engine.test", http_client=http
    ) as client:
        return client.endpoints.retrieve("ep_1")


def test_a_whole_answer_passes() -> None:
    """An answer that has all its fields in their types is what the client gives."""
    assert ask(ENDPOINT).name == "local/tok"


@pytest.mark.parametrize("field", sorted(ENDPOINT))
def test_a_lacking_field_is_seen(field: str) -> None:
    """Each required field is missed when it does not come."""
    with pytest.raises(ValidationError):
        ask({name: value for name, value in ENDPOINT.items() if name != field})


@pytest.mark.parametrize(
    "wrong", [{"etag": 3}, {"visibility": "public"}, {"createdAt": 12}, {"trafficSplit": [{"weight": "1"}]}]
)
def test_another_type_is_seen(wrong: dict[str, Any]) -> None:
    """Numbers as texts, texts as numbers and words that are no choice don't pass."""
    with pytest.raises(ValidationError):
        ask({**ENDPOINT, **wrong})
