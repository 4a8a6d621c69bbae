"""`lorry watch`."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from lorry.cli.options import Common
from lorry.cli.printing import worker_line
from lorry.cli.shipping import Going
from lorry.model.events import Event

if TYPE_CHECKING:
    from lorry.errors import LorryError
    from lorry.model.forecast import Price
    from lorry.training.ports import Training

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
    from lorry.api import Lorry
    from lorry.api.watching import Destination

    failed: set[str] = set()

    def tell(training: Training, error: LorryError | None) -> None:
        (failed.add if training.state == "failed" else failed.discard)(training.path)
        _say(common, training, error)

    def heard(event: Event) -> None:
        if event.action == "failed" and not common.json:
            return  # told with the training, and with what to do
        text = json.dumps(event.as_dict(), default=str) if common.json else worker_line(event)
        if text:
            print(text, flush=True)  # noqa: T201 - the door prints

    async def agree(_: Price) -> bool:
        return yes

    async def work() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        found = Destination(route, going.rehearse, going.options(), agree, detach)
        async with Lorry(common.settings(), listen=heard) as lorry:
            if not once and not common.json:
                where = ", ".join((folder, *more))
                print(f"Watching {where} for trainings that finish. Stop it with Ctrl-C.", flush=True)  # noqa: T201 - the door prints
            await lorry.watch((folder, *more), found, tell, stop, once=once, only_new=only_new)

    asyncio.run(work())
    return 1 if once and failed else 0


def _say(common: Common, training: Training, error: LorryError | None) -> None:
    if common.json:
        told = {
            "path": training.path,
            "state": str(training.state),
            "model": training.model,
            "message": training.message,
            "at": training.at.isoformat(),
            "error": error.as_dict() if error else None,
        }
        text = json.dumps(told, default=str)
    else:
        at = training.at.strftime("%Y-%m-%d %H:%M:%S")
        text = f"{at}  {training.message}"
        if error is not None:
            text = f"{at}  {training.path} can't be shipped ({error.code}): {error.message}"
            text += f"\n{' ' * 21}fix: {error.fix}" if error.fix else ""
    print(text, flush=True)  # noqa: T201 - the door prints
