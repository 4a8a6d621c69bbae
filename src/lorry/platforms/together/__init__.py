"""Together's API v2, through its official client: our reading of it.

The embedded engine speaks the same API, so this room serves both; it knows nothing of the engine, and the
engine nothing of it (design: two independent readings of one API, held together by contract tests).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lorry.delivery.ports import Platform
from lorry.errors import Unreachable
from lorry.platforms.together.turns import Limits

if TYPE_CHECKING:
    from lorry.platforms.together.fleet import TogetherFleet

#: Bytes of one part of an upload (Together API dossier 2.3).
PART_SIZE = 20 * 1024 * 1024


@asynccontextmanager
async def connect(
    base_url: str,
    api_key: str,
    *,
    project: str | None = None,
    unreachable: type[Unreachable] = Unreachable,
    timeout: float = 60,  # noqa: ASYNC109 - the limit of each request, not of this call
    part_size: int = PART_SIZE,
    uploads: Path | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[Platform]:
    """Connect to a server that speaks Together's API.

    Nothing is sent until a verb of a port is called. Nothing is read from the environment but the proxies,
    and those only for addresses outside this machine.

    Args:
        base_url: Root of the API, without `/v1`.
        api_key: The key.
        project: Id of the project; the platform is asked whose key it is when `None`.
        unreachable: Which error says that nobody answers there.
        timeout: Seconds that a request may take.
        part_size: Bytes of one part of an upload; the platform expects the default.
        uploads: Folder that remembers uploads under way, for another process to go on with; nothing is
            remembered when `None`.
        limits: How much all of this process may ask of an address outside this machine, parts of uploads
            aside; the defaults when `None`.
    """
    # Half a second of imports: only who talks to a platform pays it.
    from lorry.platforms.together.attachments import TogetherAttachments
    from lorry.platforms.together.connection import open_connection
    from lorry.platforms.together.containers import TogetherContainers
    from lorry.platforms.together.deployments import TogetherDeployments
    from lorry.platforms.together.endpoints import TogetherEndpoints
    from lorry.platforms.together.kept import KeptInFolder, NothingKept
    from lorry.platforms.together.legacy import TogetherLegacy
    from lorry.platforms.together.painter import TogetherPainter
    from lorry.platforms.together.queue import TogetherQueue
    from lorry.platforms.together.registry import TogetherRegistry
    from lorry.platforms.together.writer import TogetherWriter

    kept = KeptInFolder(uploads) if uploads else NothingKept()
    asked = limits or Limits()
    opened = open_connection(
        base_url, api_key, project=project, unreachable=unreachable, timeout=timeout, limits=asked
    )
    async with opened as connection:
        queue = TogetherQueue(connection)
        yield Platform(
            address=connection.faults.address,
            registry=TogetherRegistry(connection, part_size, kept),
            endpoints=TogetherEndpoints(connection),
            deployments=TogetherDeployments(connection),
            attachments=TogetherAttachments(connection),
            painter=TogetherPainter(connection, queue),
            writer=TogetherWriter(connection),
            containers=TogetherContainers(connection),
            queue=queue,
            legacy=TogetherLegacy(connection),
        )


@asynccontextmanager
async def connect_fleet(
    base_url: str,
    api_key: str,
    now: Callable[[], datetime],
    *,
    project: str | None = None,
    unreachable: type[Unreachable] = Unreachable,
    timeout: float = 60,  # noqa: ASYNC109 - the limit of each request, not of this call
    limits: Limits | None = None,
    rehearsal: bool = False,
) -> AsyncIterator[TogetherFleet]:
    """Connect to everything that bills on an account.

    Args:
        base_url: Root of the API, without `/v1`.
        api_key: The key.
        now: Gives the time, UTC.
        project: Id of the project; the platform is asked whose key it is when `None`.
        unreachable: Which error says that nobody answers there.
        timeout: Seconds that a request may take.
        limits: As for `connect`.
        rehearsal: Whether the embedded engine plays the platform.
    """
    from lorry.platforms.together.connection import open_connection
    from lorry.platforms.together.deployments import TogetherDeployments
    from lorry.platforms.together.fleet import TogetherFleet

    asked = limits or Limits()
    opened = open_connection(
        base_url, api_key, project=project, unreachable=unreachable, timeout=timeout, limits=asked
    )
    async with opened as connection:
        yield TogetherFleet(connection, TogetherDeployments(connection), now, rehearsal=rehearsal)


__all__ = ["PART_SIZE", "Limits", "connect", "connect_fleet"]
