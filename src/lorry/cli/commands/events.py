"""`lorry events`."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

from cyclopts import Parameter

from lorry.cli.options import Common
from lorry.cli.printing import event_line
from lorry.model.events import Event


def events(
    name: str,
    /,
    *,
    follow: Annotated[bool, Parameter(alias="-f", negative="")] = False,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Show what happened in a model's life, oldest first.

    With `--json` each event is one line of JSON.

    Args:
        name: The model's name; a retired model's journal can still be read.
        follow: Go on showing events as they happen, until interrupted.
    """
    from lorry.api import Lorry

    async def read() -> None:
        async with Lorry(common.settings()) as lorry:
            stream = lorry.follow(name) if follow else lorry.events(name)
            async for event in stream:
                _print(event, as_json=common.json)

    asyncio.run(read())


def _print(event: Event, *, as_json: bool) -> None:
    text = json.dumps(event.as_dict(), default=str) if as_json else event_line(event)
    print(text, flush=True)  # noqa: T201 - the door prints
