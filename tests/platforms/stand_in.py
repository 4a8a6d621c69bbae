"""A stand-in for Together's v2 API, by the dossier alone.

It keeps what it is told in memory, pages by two, gives every object an etag, and notes each request. It is
no engine: it draws nothing and validates nothing, but it refuses what the dossier says is refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.platforms.wire import Json, No, Seen, rpc

PNG = b"\x89PNG\r\n\x1a\n"
KEY = "key-of-the-test"
PROJECT = "proj_1"
_AT = "2026-11-01T00:00:00Z"
_P = f"/v2/projects/{PROJECT}"


@dataclass
class StandIn:
    """The server's whole state; tests look into it and change it."""

    url: str = ""
    storage: str = ""  # where parts shall go, when not to `url`
    seen: list[Seen] = field(default_factory=list)
    models: dict[str, Json] = field(default_factory=dict)
    revisions: dict[str, list[Json]] = field(default_factory=dict)
    endpoints: dict[str, Json] = field(default_factory=dict)
    deployments: dict[str, Json] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    parts: dict[tuple[str, int], bytes] = field(default_factory=dict)
    #: Files that the list shows otherwise than they were sent, by path.
    damage: dict[str, Json] = field(default_factory=dict)
    announced: dict[str, Json] = field(default_factory=dict)
    supported: list[Json] = field(default_factory=list)
    configs: list[Json] = field(default_factory=list)
    #: Answers instead of what would be answered, for the next requests whose path begins with the key.
    instead: list[tuple[str, int, bytes, str]] = field(default_factory=list)
    numbers: int = 0

    def number(self, kind: str) -> str:
        """Give a new id."""
        self.numbers += 1
        return f"{kind}_{self.numbers}"

    def paths(self) -> list[str]:
        """List what was asked for, in order."""
        return [f"{one.method} {one.path}" for one in self.seen]

    async def __call__(self, scope: Json, receive: Any, send: Any) -> None:
        """Answer one HTTP request (ASGI)."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
        seen = Seen(scope["method"], scope["path"], query, headers, body)
        self.seen.append(seen)
        status, kind, content, more = self._answer(seen)
        raw = [(b"content-type", kind.encode()), (b"content-length", str(len(content)).encode()), *more]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, seen: Seen) -> tuple[int, str, bytes, list[tuple[bytes, bytes]]]:
        for number, (path, status, content, kind) in enumerate(self.instead):
            if seen.path.startswith(path):
                del self.instead[number]
                return status, kind, content, []
        if seen.path.startswith("/storage/"):
            return self._store(seen)
        try:
            if seen.headers.get("authorization") != f"Bearer {KEY}":
                raise rpc(401, f"the key {seen.headers.get('authorization')} is not known")
            answer, status = self._route(seen), 200
        except No as no:
            answer, status = no.body, no.status
        return status, "application/json", json.dumps(answer).encode(), []

    def _store(self, seen: Seen) -> tuple[int, str, bytes, list[tuple[bytes, bytes]]]:
        _, _, upload, number = seen.path.split("/")
        assert "authorization" not in seen.headers, "a presigned address takes no key"
        assert seen.headers["content-length"] == str(len(seen.body))
        self.parts[upload, int(number)] = seen.body
        digest = hashlib.md5(seen.body, usedforsecurity=False).digest()
        if base64.b64decode(seen.headers["content-md5"]) != digest:
            return 400, "text/plain", b"BadDigest", []
        tag = hashlib.md5(seen.body, usedforsecurity=False).hexdigest()
        return 200, "text/plain", b"", [(b"etag", f'"{tag}"'.encode())]

    def _route(self, seen: Seen) -> object:
        parts = seen.path.removeprefix(f"{_P}/").split("/")
        fixed: dict[str, Callable[[Seen], object]] = {
            "GET /v3/whoami": lambda _: _WHO,
            "GET /v2/supported-models": self._catalog,
            f"GET {_P}/configs": lambda seen: self._page(
                seen, [one for one in self.configs if one["referenceModel"] == seen.query["referenceModel"]]
            ),
            f"GET {_P}/models": lambda seen: self._page(seen, list(self.models.values())),
            f"POST {_P}/models": self._create_model,
            f"POST {_P}/models/upload/create": self._begin,
            f"POST {_P}/models/upload/complete": self._complete,
            f"GET {_P}/endpoints": lambda seen: self._page(seen, list(self.endpoints.values())),
            f"POST {_P}/endpoints": self._create_endpoint,
            "POST /v1/images/generations": self._draw,
        }
        handler = fixed.get(f"{seen.method} {seen.path}")
        if handler:
            return handler(seen)
        words: tuple[str, ...] = (seen.method, *parts)
        match words:
            case ("GET", "models", model, "files"):
                rows = self._get(self.revisions, model)
                found = next(row for row in rows if row["revisionId"] == seen.query["revisionId"])
                return self._page(seen, found["files"])
            case ("GET", "models", model, "revisions"):
                return self._page(seen, self._get(self.revisions, model))
            case ("DELETE", "models", model):
                self._get(self.models, model)
                return self.models.pop(model)
            case (_, "endpoints", endpoint):
                return self._one_endpoint(seen, self._get(self.endpoints, endpoint))
            case ("GET", "endpoints", endpoint, "deployments"):
                return self._page(
                    seen, [one for one in self.deployments.values() if one["endpointId"] == endpoint]
                )
            case ("POST", "endpoints", endpoint, "deployments"):
                return self._create_deployment(seen, self._get(self.endpoints, endpoint))
            case (_, "endpoints", _, "deployments", deployment):
                return self._one_deployment(seen, self._get(self.deployments, deployment))
        raise rpc(404, f"nothing at {seen.path}")

    @staticmethod
    def _get(table: dict[str, Any], key: str) -> Any:
        if key not in table:
            raise rpc(404, f"{key} was not found")
        return table[key]

    @staticmethod
    def _page(seen: Seen, rows: list[Json]) -> Json:
        begin = int(seen.query.get("after", 0))
        after = str(begin + 2) if begin + 2 < len(rows) else ""
        return {"object": "list", "data": rows[begin : begin + 2], "next_cursor": after}

    def _catalog(self, seen: Seen) -> Json:
        return self._page(seen, [one for one in self.supported if seen.query["search"] in one["name"]])

    def _create_model(self, seen: Seen) -> Json:
        given = seen.json
        if any(one["name"] == f"slug/{given['name']}" for one in self.models.values()):
            raise rpc(409, "Model name already exists")
        made = {**given, "id": self.number("ml"), "name": f"slug/{given['name']}", "projectId": PROJECT}
        self.models[made["id"]] = made
        self.revisions[made["id"]] = []
        return made

    def _begin(self, seen: Seen) -> Json:
        self._get(self.models, seen.json["objectId"])
        rows = []
        for file in seen.json["files"]:
            row: Json = {"path": file["path"]}
            if file["hash"] in self.stored:
                row["skipUpload"] = True
            else:
                upload = self.number("up")
                row["uploadId"] = upload
                at = f"{self.storage or self.url}/storage/{upload}"
                row["parts"] = [
                    {
                        "partNumber": part,
                        "url": f"{at}/{part}",
                        "headers": {"X-Part": "yes"},
                    }
                    for part in range(1, file["numParts"] + 1)
                ]
            rows.append(row)
        return {"files": rows}

    def _complete(self, seen: Seen) -> Json:
        for file in seen.json["files"]:
            if file.get("skipUpload"):
                continue
            details = file["uploadDetails"]
            parts = [self.parts[details["uploadId"], part["partNumber"]] for part in details["parts"]]
            digests = [hashlib.md5(part, usedforsecurity=False) for part in parts]
            assert [digest.hexdigest() for digest in digests] == [part["hash"] for part in details["parts"]]
            whole = hashlib.md5(b"".join(one.digest() for one in digests), usedforsecurity=False).hexdigest()
            expected = digests[0].hexdigest() if len(parts) == 1 else f"{whole}-{len(parts)}"
            assert file["hash"] == expected
            self.stored[expected] = b"".join(parts)
        rows = self.revisions[seen.json["objectId"]]
        files = [
            {"path": file["path"], "hash": file["hash"], "sizeBytes": str(len(self.stored[file["hash"]]))}
            for file in seen.json["files"]
        ]
        made = {
            "revisionId": self.number("rv"),
            "createdAt": f"2026-11-01T00:00:{len(rows):02}Z",
            "validationStatus": "REVISION_VALIDATION_STATUS_SUCCESS",
            "files": [self.damage.get(file["path"], file) for file in files],
        }
        rows.append(made)
        return {"revisionId": made["revisionId"]}

    def _create_endpoint(self, seen: Seen) -> Json:
        made: Json = {
            "id": self.number("ep"),
            "name": f"slug/{seen.json['name']}",
            "etag": "1",
            "trafficSplit": [],
        }
        self.endpoints[made["id"]] = made
        return made

    def _one_endpoint(self, seen: Seen, found: Json) -> Json:
        self._check_etag(seen, found)
        if seen.method == "PATCH":
            assert seen.query["updateMask"] == "trafficSplit"
            found["trafficSplit"] = seen.json["trafficSplit"]
            found["etag"] += "+"
        if seen.method == "DELETE":
            del self.endpoints[found["id"]]
        return found

    def _create_deployment(self, seen: Seen, endpoint: Json) -> Json:
        given = seen.json
        made = {
            **given,
            "id": self.number("dep"),
            "endpointId": endpoint["id"],
            "name": f"{endpoint['name']}/{given['name']}",
            "etag": "1",
            "status": {"state": "DEPLOYMENT_STATE_PROVISIONING", "message": "downloading weights"},
        }
        self.deployments[made["id"]] = made
        return made

    def _one_deployment(self, seen: Seen, found: Json) -> Json:
        self._check_etag(seen, found)
        stopped = found["status"]["state"] == "DEPLOYMENT_STATE_STOPPED"
        if seen.method == "PATCH":
            assert seen.query["updateMask"] == "autoscaling"
            assert seen.json["autoscaling"] == {"minReplicas": 0, "maxReplicas": 0}
            found["status"] = {"state": "DEPLOYMENT_STATE_STOPPED", "message": "stopped"}
            found["etag"] += "+"
        if seen.method == "DELETE":
            if not stopped:
                raise rpc(400, "the deployment has to be stopped first")
            del self.deployments[found["id"]]
        return found

    @staticmethod
    def _check_etag(seen: Seen, found: Json) -> None:
        given = seen.query.get("etag") or (seen.json.get("etag") if seen.method == "PATCH" else None)
        if given and given != found["etag"]:
            raise rpc(409, "ABORTED: the etag does not match")

    def _draw(self, seen: Seen) -> Json:
        if seen.json["model"] not in {one["name"] for one in self.endpoints.values()}:
            raise No(400, {"error": {"message": "No such model.", "code": "model_not_available"}})
        picture = base64.b64encode(PNG + seen.body).decode()
        data = [{"index": 0, "type": "b64_json", "b64_json": picture}]
        return {"id": "img", "model": seen.json["model"], "object": "list", "data": data}


_WHO: Json = {
    "type": "project_api_key",
    "api_key": {"id": "k"},
    "organization": {"id": "org"},
    "project": {"id": PROJECT, "name": "one", "slug": "slug"},
}
