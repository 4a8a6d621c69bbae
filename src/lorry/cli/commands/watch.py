"""`lorry watch`."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from lorry.cli.options import Common
from lorry.cli.shipping import Going
from lorry.cli.watching import Telling

if TYPE_CHECKING:
    from lorry.api.watching import Destination
    from lorry.model.forecast import Price

_Flag = Annotated[bool, Parameter(negative="")]


def watch(
    folder: str,
    /,
    *more: str,
    route: str = "local",
    once: _Flag = False,
    only_new: _Flag = False,
    detach: _Flag = False,
    yes: Annotated[bool, Parameter(negative="", alias="-y")] = False,
    going: Going = Going(),  # noqa: B008 - frozen
    common: Common = Common(),  # noqa: B008 - frozen
) -> int:
    """Ship each training in some folders as soon as it has finished, until it is stopped (Ctrl-C, SIGTERM).

    A training has finished when its final file is there and whole, and nothing of it has changed for two
    seconds. It is shipped once, under a name made of its own; what can't be shipped is told once, and tried
    again when its files change. Network drives are looked through every few seconds.

    With `--json` each event is one line of JSON.

    Args:
        folder: Where a trainer writes.
        more: More of them.
        route: Where models go, as for `lorry ship`.
        once: Ship what has finished, and end: the last line of a training script. Exit status 1 when
            something could not be shipped.
        only_new: Leave alone what is there already and was never seen.
        detach: Only check it and write it down; a `lorry worker` does the rest.
        yes: Agree to the price of whatever is started; without it nothing is started that bills.
    """
    from lorry.api.watching import Destination

    async def agree(_: Price) -> bool:
        return yes

    to = Destination(route, going.rehearse, going.options(), agree, detach)
    telling = Telling(as_json=common.json)
    if not once:
        where = ", ".join((folder, *more))
        telling.say(f"Watching {where} for trainings that finish. Stop it with Ctrl-C.")
    asyncio.run(_watch((folder, *more), to, telling, common, once=once, only_new=only_new))
    return 1 if once and telling.failed else 0


async def _watch(
    folders: tuple[str, ...],
    to: Destination,
    telling: Telling,
    common: Common,
    *,
    once: bool,
    only_new: bool,
) -> None:
    from lorry.api import Lorry

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Lorry(common.settings(), listen=telling.event) as lorry:
        await lorry.watch(folders, to, telling.training, stop, once=once, only_new=only_new)
