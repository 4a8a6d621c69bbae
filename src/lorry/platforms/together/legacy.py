"""The first version of Together's API: upload job, hardware, endpoint (Together API dossier 1).

The official client dropped these calls with its version 3, so they are sent by their paths through its
transport: key, faults and the rule against repeated creates are the same as everywhere.
"""

from __future__ import annotations

from typing import Any, cast

from lorry.delivery.ports import Import, ImportState, LegacyEndpoint, LegacyHardware, LegacyState
from lorry.errors import NotThere
from lorry.model.names import unstamped
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.outcomes import job_error

_JOBS = {"Complete": ImportState.DONE, "Failed": ImportState.FAILED}

_ENDPOINTS = {
    "PENDING": LegacyState.STARTING,
    "STARTING": LegacyState.STARTING,
    "STARTED": LegacyState.READY,
    "STOPPING": LegacyState.STOPPING,
    "STOPPED": LegacyState.STOPPED,
    "ERROR": LegacyState.FAILED,
    "FAILED": LegacyState.FAILED,
}
_MINUTES_PER_HOUR = 60

Row = dict[str, Any]


class TogetherLegacy:
    """The port `Legacy`.

    Args:
        connection: Where to.
    """

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def upload(self, name: str, source: str, *, adapter: bool, base: str, token: str | None) -> Import:
        """Have the platform fetch a model from the Hub or from an archive; sent once (1.1)."""
        body: Row = {
            "model_name": name,
            "model_source": source,
            "model_type": "adapter" if adapter else "model",
        }
        if adapter:
            body["lora_model"] = base  # for a dedicated endpoint; `base_model` is for the shared pool
        if token:
            body["hf_token"] = token
        answer = await self._post("/v1/models", body, "fetch the model")

        def read() -> Import:
            data = answer["data"]
            return Import(
                id=str(data["job_id"]),
                model=str(data["model_name"]),
                source=source,
                state=ImportState.RUNNING,
                message=str(answer.get("message") or ""),
            )

        return self._at.read("fetch the model", read)

    async def job(self, job: str) -> Import:
        """Read an upload job's present state (1.2)."""
        doing = f"look at the upload job {job}"
        answer = await self._get(f"/v1/jobs/{job}", doing)
        return self._at.read(doing, _job, answer)

    async def find_job(self, name: str) -> Import | None:
        """Find the newest upload job of a model by its name, with its owner's slug or without."""
        doing = f"list the upload jobs to find {name!r}"
        answer = await self._get("/v1/jobs", doing)

        def read() -> Import | None:
            rows = [row for row in answer["data"] if _bare(row["args"].get("modelName")) == name]
            newest = max(rows, key=lambda row: str(row.get("created_at") or ""), default=None)
            return _job(newest) if newest else None

        return self._at.read(doing, read)

    async def hardware(self, model: str) -> tuple[LegacyHardware, ...]:
        """List what can serve a model, cheapest first (1.4)."""
        doing = f"list the hardware for {model}"
        answer = await self._get("/v1/hardware", doing, {"model": model})

        def read() -> tuple[LegacyHardware, ...]:
            rows = [_hardware(row) for row in answer["data"]]
            return tuple(sorted(rows, key=lambda each: each.cents_per_hour))

        return self._at.read(doing, read)

    async def find(self, label: str) -> LegacyEndpoint | None:
        """Find our endpoint by its display name."""
        doing = f"list endpoints to find {label!r}"
        answer = await self._get("/v1/endpoints", doing, {"type": "dedicated", "mine": "true"})

        def read() -> LegacyEndpoint | None:
            named = [row for row in answer["data"] if _label(row) == label]
            return _endpoint(named[0]) if named else None

        return self._at.read(doing, read)

    async def create(self, label: str, model: str, hardware: str, inactive_minutes: int) -> LegacyEndpoint:
        """Create an endpoint with one replica; sent once (1.3).

        Raises:
            V1Closed: The platform takes no new ones.
        """
        body = {
            "model": model,
            "hardware": hardware,
            "autoscaling": {"min_replicas": 1, "max_replicas": 1},
            "display_name": label,
            "inactive_timeout": inactive_minutes or None,
        }
        doing = f"create the endpoint {label!r}"
        answer = await self._post("/v1/endpoints", body, doing)
        return self._at.read(doing, _endpoint, answer)

    async def look(self, endpoint: str) -> LegacyEndpoint | None:
        """Read an endpoint's present state by id; `None` when it is not there."""
        doing = f"look at the endpoint {endpoint}"
        try:
            answer = await self._get(f"/v1/endpoints/{endpoint}", doing)
        except NotThere:
            return None
        return self._at.read(doing, _endpoint, answer)

    async def delete(self, endpoint: str) -> None:
        """Delete an endpoint by id; one that is not there is fine."""
        try:
            with self._at.faults.translated(f"delete the endpoint {endpoint}"):
                await self._at.client.delete(f"/v1/endpoints/{endpoint}", cast_to=object)
        except NotThere:
            return

    async def _get(self, path: str, doing: str, query: Row | None = None) -> Row:
        with self._at.faults.translated(doing):
            answer = await self._at.client.get(path, cast_to=object, options={"params": query or {}})
        return cast("Row", answer)  # an object: the connection stops at anything else

    async def _post(self, path: str, body: Row, doing: str) -> Row:
        with self._at.faults.translated(doing):
            answer = await self._at.client.post(path, cast_to=object, body=body)
        return cast("Row", answer)


def _bare(name: object) -> str:
    return str(name or "").rpartition("/")[2]


def _job(row: Row) -> Import:
    said = str(row["status"])
    told = [str(update.get("message") or "") for update in row.get("status_updates") or []]
    message = next((each for each in reversed(told) if each), "")
    args = row.get("args") or {}
    source, model = str(args.get("modelSource") or ""), str(args.get("modelName") or "")
    fault = job_error(said, message, source)
    return Import(
        str(row["job_id"]), model, source, _JOBS.get(said, ImportState.RUNNING), said, message, fault
    )


def _hardware(row: Row) -> LegacyHardware:
    status = (row.get("availability") or {}).get("status")
    cents = float((row.get("pricing") or {})["cents_per_minute"]) * _MINUTES_PER_HOUR
    return LegacyHardware(str(row["id"]), cents, status in ("available", None))


def _label(row: Row) -> str:
    """Give the name that we gave it, without the expiry that the keeper may have written into it."""
    return unstamped(str(row.get("display_name") or ""))[0]


def _endpoint(row: Row) -> LegacyEndpoint:
    said = str(row["state"])
    return LegacyEndpoint(
        id=str(row["id"]),
        name=str(row["name"]),
        label=_label(row),
        model=str(row["model"]),
        state=_ENDPOINTS.get(said, LegacyState.STARTING),
        said=said,
    )
