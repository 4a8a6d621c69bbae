"""What happened to endpoints and deployments, in order (Together API dossier 2.6)."""

from __future__ import annotations

from typing import Any

from lorry.engine.clock import stamp
from lorry.engine.documents import new_id
from lorry.engine.together.records import EventRecord, Shelves
from lorry.engine.works import Works

LEVELS = ("LEVEL_DEBUG", "LEVEL_INFO", "LEVEL_WARN", "LEVEL_ERROR")


class Events:
    """The history of one engine's endpoints."""

    def __init__(self, works: Works, shelves: Shelves) -> None:
        self._works = works
        self._shelves = shelves

    def note(
        self,
        kind: str,
        endpoint: str,
        message: str,
        *,
        deployment: str | None = None,
        level: str = "LEVEL_INFO",
        **more: Any,
    ) -> None:
        """Append an event.

        Args:
            kind: Its type, such as `deployment.created`.
            endpoint: Id of the endpoint.
            message: One short sentence.
            deployment: Id of the deployment, if it concerns one.
            level: One of `LEVELS`.
            more: Fields that only this type has, in camelCase.
        """
        now = stamp(self._works.clock.now())
        event = EventRecord(new_id("evt"), endpoint, now, level, kind, message, deployment, more)
        self._shelves.events.put(event)

    def of(self, endpoint: str) -> list[EventRecord]:
        """List an endpoint's events, oldest first."""
        return self._shelves.events.all(endpoint)


def answer(event: EventRecord) -> dict[str, Any]:
    """Write an event as the API does."""
    return {
        "id": event.id,
        "endpointId": event.endpoint_id,
        "deploymentId": event.deployment_id,
        "sourceKind": "SOURCE_KIND_DEPLOYMENT" if event.deployment_id else "SOURCE_KIND_ENDPOINT",
        "source": event.deployment_id or event.endpoint_id,
        "type": event.type,
        "level": event.level,
        "message": event.message,
        "createdAt": event.created_at,
        **event.more,
    }
