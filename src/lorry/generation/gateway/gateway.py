"""The gateway: takes a request that was read and answers it."""

from __future__ import annotations

from lorry.errors import LorryError
from lorry.generation.asking import Ask
from lorry.generation.gateway.attempts import Asleep
from lorry.generation.gateway.composing import require_own_loras
from lorry.generation.gateway.keeping import Keeper
from lorry.generation.gateway.passing import passed_through
from lorry.generation.gateway.patience import Patience
from lorry.generation.gateway.sink import Request, Sink
from lorry.model.kept import Came, LedgerRow


class Gateway:
    """Answers requests.

    Args:
        patience: Finds places and waits for those that are asleep.
        keeper: Keeps results.
    """

    def __init__(self, patience: Patience, keeper: Keeper) -> None:
        self.patience = patience
        self.keeper = keeper
        self.tries = patience.tries

    async def answer(self, request: Request, ask: Ask, sink: Sink) -> None:
        """Answer a request, from the first place that can, or from what was kept of it.

        Args:
            request: What came.
            ask: What was asked for.
            sink: Where the answer goes.

        Raises:
            LorryError: It can't be answered.
            CallerLeft: Whoever asked has gone.
        """
        require_own_loras(ask, request.caller)
        if self.keeper.keeps(request, ask):
            await self.keeper.answer(request, ask, sink)
            return
        try:
            await passed_through(self.patience, request, ask, sink)
        except Asleep as error:
            raise await self.patience.starting(error) from None

    def refused(self, request: Request, ask: Ask, error: LorryError, status: int) -> None:
        """Note a request in the ledger that nothing was sent for."""
        tries = self.tries
        row = LedgerRow(
            request.id, request.id, tries.now(), request.caller.token, request.caller.owner, ask.model,
            None, None, False, ask.form.value, Came.REFUSED, error.code, status,
            (tries.clock() - request.began) * 1000,
        )  # fmt: skip
        tries.ledger.note(row)
