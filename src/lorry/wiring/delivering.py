"""Writing deliveries down from the gateway, and having somebody go on with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lorry.model.batch import Order
from lorry.server.rooms import Errand

#: Seconds that a check may take: of a repository only the header is fetched.
_SECONDS = 120.0


class HandsOver:
    """Runs `lorry ship --detach`.

    Args:
        errands: Runs it.
        hands: Sees to it that a worker goes on with what was written down.
    """

    def __init__(self, errands: Errand, hands: Callable[[], Awaitable[None]]) -> None:
        self._errands, self._hands = errands, hands

    async def __call__(self, order: Order, *, agree: bool) -> Mapping[str, Any]:
        """Check a model and write down that it shall be shipped.

        Args:
            order: What, and how.
            agree: Whether something may be started that bills.

        Returns:
            The placement, as data.

        Raises:
            LorryError: As `lorry ship` would tell it.
        """
        told = await self._errands(_command(order, agree=agree), _SECONDS)
        await self._hands()
        return told


def _command(order: Order, *, agree: bool) -> list[str]:
    command = ["ship", order.source, "--name", order.name, "--route", order.route, "--detach"]
    command += ["--rehearse"] if order.rehearse else []
    command += ["--base", order.options.base] if order.options.base else []
    return [*command, "--yes"] if agree else command
