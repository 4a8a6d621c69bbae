"""`lorry worker`."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Annotated

from cyclopts import Parameter, validators

from lorry.cli.options import Common
from lorry.cli.printing import worker_line
from lorry.model.events import Event


def worker(
    *,
    at_once: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 1000,
    stop_with_stdin: Annotated[bool, Parameter(show=False, negative="")] = False,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Go on with every delivery that nobody works on, until it is stopped (Ctrl-C, SIGTERM).

    Several workers share the deliveries of one home, or of one Postgres database (LORRY_DATABASE_URL) on
    several machines; when one dies, another has its deliveries within seconds.

    Args:
        at_once: Deliveries that it works on at most; most of their time they wait.
        stop_with_stdin: End when standard input closes, so that a parent never leaves a worker behind.
    """
    from lorry.api import Lorry
    from lorry.daemon_thread import end_of_stdin

    def tell(event: Event) -> None:
        text = json.dumps(event.as_dict(), default=str) if common.json else worker_line(event)
        if text:
            print(text, flush=True)  # noqa: T201 - the door prints

    async def work() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        if stop_with_stdin:
            parent = asyncio.create_task(end_of_stdin())
            parent.add_done_callback(lambda _: stop.set())
        async with Lorry(common.settings(), listen=tell) as lorry:
            _say("A worker waits for deliveries. Stop it with Ctrl-C.", common)
            await lorry.work(stop, at_once=at_once)
        _say("The worker has ended; others go on with its deliveries.", common)

    asyncio.run(work())


def _say(sentence: str, common: Common) -> None:
    if not common.json:
        print(sentence, flush=True)  # noqa: T201 - the door prints
