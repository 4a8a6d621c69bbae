"""Messages that tell the end of a request, signed, and tried again until they are heard."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping

from lorry.errors import LorryError
from lorry.generation.gateway.rendering import Addresses
from lorry.generation.gateway.signatures import ID, SIGNATURE, TIME, signature_of
from lorry.generation.ports import Hooks
from lorry.model.kept import Hook

_LOG = logging.getLogger("lorry.webhooks")

#: Seconds after each try that was not heard, as the specification suggests; after the last nobody tries.
RESTS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0)
_LOOK_SECONDS = 1.0
_AT_ONCE = 16

#: Sends a message to an address that was judged; gives the HTTP status.
Post = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]


def signed(hook: Hook, secret: str, at: int) -> dict[str, str]:
    """Give the headers of a message.

    Args:
        hook: The message.
        secret: `whsec_` and base64.
        at: The time, seconds since 1970.
    """
    return {
        "content-type": "application/json",
        ID: hook.id,
        TIME: str(at),
        SIGNATURE: signature_of(secret, hook.id, at, hook.body.encode()),
    }


class Teller:
    """Tells what is due.

    Args:
        hooks: What is to be told.
        post: Sends a message.
        addresses: Knows the owners' secrets.
        clock: Seconds since 1970.
    """

    def __init__(self, hooks: Hooks, post: Post, addresses: Addresses, clock: Callable[[], float]) -> None:
        self._hooks, self._post, self._addresses, self._clock = hooks, post, addresses, clock
        self._loop: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def start(self) -> None:
        """Begin to tell."""
        self._loop = asyncio.create_task(self._run(), name="webhooks")

    async def close(self) -> None:
        """End; what was not heard is told after the next start."""
        self._closing.set()
        if self._loop is not None:
            await asyncio.gather(self._loop, return_exceptions=True)

    async def tell_due(self) -> int:
        """Tell what is due now; give how many were tried."""
        due = await self._hooks.due(_AT_ONCE)
        await asyncio.gather(*map(self._tell, due))
        return len(due)

    async def _run(self) -> None:
        while not self._closing.is_set():
            try:
                if await self.tell_due():
                    continue
            except LorryError as error:
                _LOG.warning("webhooks wait: %s", error.message)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _LOOK_SECONDS)

    async def _tell(self, hook: Hook) -> None:
        headers = signed(hook, self._addresses.webhook_secret(hook.owner), int(self._clock()))
        try:
            status = await self._post(hook.url, headers, hook.body.encode())
            said = f"status {status}"
        except LorryError as error:
            status, said = 0, error.message
        if 200 <= status < 300:
            await self._hooks.told(hook.id)
            return
        last = hook.tries >= len(RESTS) or status == 410  # "gone": it wants no more
        rest = RESTS[min(hook.tries, len(RESTS) - 1)]
        await self._hooks.again(hook.id, rest, said, give_up=last)
