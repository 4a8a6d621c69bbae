"""`lorry debug`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from lorry.cli.options import Common

if TYPE_CHECKING:
    from lorry.api.debugging import Case


def debug(
    name: str,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Put together what is known about a model, as one page for a person or a support ticket.

    State, timeline, the last error with its evidence, requests, leases, the journal, versions and settings.
    No key, token or password is in it.

    Args:
        name: The model's name; a retired model's journal can still be read.
        output: Write it into this file (Markdown, or JSON with `--json`) instead of printing it.
    """
    from lorry.api import Lorry
    from lorry.cli.examining import examine
    from lorry.cli.support import support_page
    from lorry.wiring import now

    settings = common.settings()

    async def read() -> Case:
        async with Lorry(settings) as lorry:
            return await lorry.debug(name)

    case = asyncio.run(read())
    machine = examine(settings).as_dict()
    data = {**case.as_dict(), "machine": machine}
    if output is None:
        common.out(data, [support_page(case, machine, now())])
        return
    _write(output, common.text(data, [support_page(case, machine, now())]))
    common.say(f"{output} holds what is known about {name}.")


def _write(file: Path, text: str) -> None:
    from lorry.errors import NotWritable

    try:
        file.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise NotWritable(
            f"{file} can't be written: {error.strerror}.", evidence={"file": str(file)}
        ) from error
