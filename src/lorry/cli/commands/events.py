"""`lorry events`."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

from cyclopts import Parameter

from lorry.cli.options import Common
from lorry.cli.printing import event_line
from lorry.cli.times import time_from
from lorry.model.events import Event


def events(
    name: str,
    /,
    *,
    follow: Annotated[bool, Parameter(alias="-f", negative="")] = False,
    since: str | None = None,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Show what happened in a model's life, oldest first.

    With `--json` each event is one line of JSON.

    Args:
        name: The model's name; a retired model's journal can still be read.
        follow: Go on showing events as they happen, until interrupted.
        since: Leave out what is older: a time (`2026-11-30T12:00`, UTC where it names no zone), or how long
            ago (`90s`, `30m`, `2h`, `3d`).
    """
    from lorry.api import Lorry
    from lorry.wiring import now

    begin = time_from(since, now()) if since is not None else None

    async def read() -> None:
        async with Lorry(common.settings()) as lorry:
            stream = lorry.follow(name) if follow else lorry.events(name)
            async for event in stream:
                if begin is None or event.at >= begin:
                    _print(event, as_json=common.json)

    asyncio.run(read())


def _print(event: Event, *, as_json: bool) -> None:
    text = json.dumps(event.as_dict(), default=str) if as_json else event_line(event)
    print(text, flush=True)  # noqa: T201 - the door prints
