"""The OpenAPI document: what FastAPI knows of its routes, and the generation routes beside them."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI

from lorry.generation.asking.fields import ChatBody, GenerateBody, ImagesBody

_REF = "#/components/schemas/{name}"

#: Path, body, what it does, and what it answers with beside JSON.
ROUTES = (
    ("/api/generate", GenerateBody, "Generate pictures or words; the answer says how they came about.", ()),
    ("/v1/images/generations", ImagesBody, "Generate pictures, as Together's and OpenAI's API do.", ()),
    (
        "/v1/chat/completions",
        ChatBody,
        "Answer a conversation, whole or as a stream, as Together's and OpenAI's API do.",
        ("text/event-stream",),
    ),
)

_STATUSES = {
    "202": "The model was asleep and is being started; `status_url` says where to look.",
    "400": "Something in the request can't be used; all of it is named.",
    "401": "The token is missing, unknown or revoked.",
    "402": "It could cost more than is left of a limit.",
    "403": "The token may not do this.",
    "404": "There is no such model for this token.",
    "408": "The body did not arrive in time.",
    "409": "The idempotency key belongs to another request, or its request is under way.",
    "413": "The body is too large.",
    "422": "A safety filter refused it; no other place is asked.",
    "429": "A rate limit is reached; `Retry-After` says until when.",
    "500": "A fault of Lorry's.",
    "502": "The platform failed, or gave no result.",
    "503": "No place can answer now; `Retry-After` says when to come again.",
}


def describe(app: FastAPI) -> None:
    """Have the document describe the generation routes too.

    Args:
        app: The application whose document it is.
    """
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            whole = plain()
            bodies = [body for _, body, _, _ in ROUTES]
            _, schemas = msgspec.json.schema_components(bodies, ref_template=_REF)
            parts = whole.setdefault("components", {}).setdefault("schemas", {})
            parts.update({**schemas, "Error": _ERROR})
            for path, body, text, kinds in ROUTES:
                whole["paths"][path] = {"post": _operation(path, body, text, kinds)}
            whole["paths"]["/api/generations"]["post"]["requestBody"] = _body(GenerateBody)
            _with_errors(whole["paths"])
            whole["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            whole["security"] = [{"token": []}, {}]
            app.openapi_schema = whole
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the documented way to extend it


def _operation(path: str, body: type[msgspec.Struct], text: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    content |= {kind: {"schema": {"type": "string"}} for kind in kinds}
    return {
        "tags": ["generate"],
        "summary": text,
        "operationId": path.strip("/").replace("/", "_"),
        "parameters": [
            _header("Idempotency-Key", "The same key gets the same answer, which is paid for once.", 255),
            _header("Prefer", "`wait=N` to be held while a model starts, `respond-async` for 202.", 100),
        ],
        "requestBody": _body(body),
        "responses": {"200": {"description": "The result.", "content": content}},
    }


def _header(name: str, text: str, longest: int) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": longest, "pattern": "^[ -~]+$"}
    return {"name": name, "in": "header", "required": False, "description": text, "schema": schema}


def _body(body: type[msgspec.Struct]) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name=body.__name__)}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _with_errors(paths: dict[str, Any]) -> None:
    error = {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}}
    for operations in paths.values():
        for operation in operations.values():
            responses = operation["responses"]
            responses.pop("422", None)  # FastAPI's own form, which nothing here has
            for status, text in _STATUSES.items():
                responses.setdefault(status, {"description": text, "content": error})
            if "202" in responses:
                responses["202"]["content"] = {"application/json": {"schema": {"type": "object"}}}


_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code", "fix", "retryable", "request_id"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
                "fix": {"type": "string"},
                "retryable": {"type": "boolean"},
                "pays": {"type": "string"},
                "evidence": {"type": "object"},
                "request_id": {"type": "string"},
            },
        }
    },
}
