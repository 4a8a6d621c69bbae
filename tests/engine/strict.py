"""The official client, whose every answer is held to its own models: all fields, in their types."""

from __future__ import annotations

import inspect
import json
from typing import Any, get_origin

import httpx
from pydantic import BaseModel, TypeAdapter
from together import Together


class StrictTogether(Together):
    """The client as it is, which looks at each answer a second time, and strictly."""

    def _process_response(self, *, cast_to: Any, response: httpx.Response, stream: bool, **more: Any) -> Any:
        result = super()._process_response(cast_to=cast_to, response=response, stream=stream, **more)
        kind = get_origin(cast_to) or cast_to
        if not stream and inspect.isclass(kind) and issubclass(kind, BaseModel):
            TypeAdapter(cast_to).validate_json(response.content, strict=True)
        return result

    def _process_response_data(self, *, data: object, cast_to: Any, response: httpx.Response) -> Any:
        """Look at each piece of a streamed answer too."""
        TypeAdapter(cast_to).validate_json(json.dumps(data), strict=True)
        return super()._process_response_data(data=data, cast_to=cast_to, response=response)


def strict_client(url: str, project: str, key: str = "any") -> StrictTogether:
    """Give a strict client of an engine that repeats nothing."""
    return StrictTogether(base_url=url, api_key=key, project_id=project, max_retries=0)
