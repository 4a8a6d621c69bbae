"""Dedicated containers (Together API dossier 4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from together import omit
from together.types.beta import Deployment

from lorry.delivery.ports import Container, ContainerOrder, ContainerState
from lorry.errors import NotThere
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.fields import text

if TYPE_CHECKING:
    from typing import Literal

    Gpu = Literal["h100-80gb", "h100-40gb-mig", "h200-140gb", "b200-192gb"]

#: A container that updates or scales and has a replica that is ready answers already (`state_of`).
_STATES = {
    "Ready": ContainerState.READY,
    "Failed": ContainerState.FAILED,
    "ScaledToZero": ContainerState.ASLEEP,
}


class TogetherContainers:
    """The port `Containers`.

    Args:
        connection: Where to.
    """

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def find(self, name: str) -> Container | None:
        """Find a container by name."""
        doing = f"list containers to find {name!r}"
        with self._at.faults.translated(doing):
            listed = await self._at.client.beta.jig.list()
        found = next((row for row in listed.data or [] if row.name == name), None)
        return self._at.read(doing, _container, found) if found is not None else None

    async def create(self, order: ContainerOrder) -> Container:
        """Run a container whose replicas follow the length of its queue; sent once."""
        doing = f"run the container {order.name!r}"
        with self._at.faults.translated(doing):
            made = await self._at.client.beta.jig.deploy(
                name=order.name,
                image=order.image,
                gpu_type=cast("Gpu", order.gpu),  # whether it is one is the platform's to say
                min_replicas=order.min_replicas,
                max_replicas=order.max_replicas,
                environment_variables=[
                    {"name": name, "value": value} for name, value in order.environment.items()
                ],
                volumes=[{"name": name, "mount_path": path} for name, path in order.volumes.items()] or omit,
                # One job for each worker, and a little: the platform's own default target (dossier 4.1).
                autoscaling={"metric": "QueueBacklogPerWorker", "model": order.name, "target": 1.01},
            )
        return self._at.read(doing, _container, made)

    async def look(self, container: str) -> Container | None:
        """Read a container's present state by id; `None` when it is not there."""
        doing = f"look at the container {container}"
        try:
            with self._at.faults.translated(doing):
                found = await self._at.client.beta.jig.retrieve(container)
        except NotThere:
            return None
        return self._at.read(doing, _container, found)

    async def logs(self, container: str) -> tuple[str, ...]:
        """Read the newest lines that a container wrote; none when it is not there."""
        doing = f"read the logs of {container}"
        try:
            with self._at.faults.translated(doing):
                answer = await self._at.client.beta.jig.retrieve_logs(container)
        except NotThere:
            return ()
        return self._at.read(doing, lambda: tuple(str(line) for line in answer.lines or []))

    async def destroy(self, container: str) -> None:
        """Remove a container by id; one that is not there is fine."""
        try:
            with self._at.faults.translated(f"remove the container {container}"):
                await self._at.client.beta.jig.destroy(container)
        except NotThere:
            return


def _container(found: Deployment) -> Container:
    name = text(found, "name")
    said = found.status or ""
    return Container(
        id=found.id or name,
        name=name,
        state=state_of(said, found.ready_replicas or 0),
        said=said,
        message=_message(found),
        image=found.image or "",
    )


def state_of(said: str, ready: int) -> ContainerState:
    """Read the platform's state as one of those that a delivery tells apart.

    Args:
        said: `Updating`, `Scaling`, `Ready`, `Failed` or `ScaledToZero`.
        ready: Replicas that answer now.
    """
    known = _STATES.get(said)
    if known is not None:
        return known
    return ContainerState.READY if ready > 0 else ContainerState.STARTING


def _message(found: Deployment) -> str:
    """Give what the replicas complain of, each complaint once."""
    said = []
    for replica in (found.replica_events or {}).values():
        parts = (replica.replica_status_reason, replica.replica_status_message)
        said.append(": ".join(part for part in parts if part))
    return "; ".join(dict.fromkeys(part for part in said if part))
