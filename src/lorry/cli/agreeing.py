"""Asking for the agreement to a price before anything is started that bills."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lorry.cli.progress import Steps
    from lorry.delivery.refusing import Agree
    from lorry.model.forecast import Price


def agreement(steps: Steps, *, yes: bool, ask: bool) -> Agree:
    """Give what a delivery asks before it starts something that bills.

    Args:
        steps: The progress that is shown meanwhile.
        yes: Whether the user agreed beforehand.
        ask: Whether there may be a question at all; only a terminal is asked.
    """

    async def agree(price: Price) -> bool:
        if yes:
            return True
        if not (ask and sys.stdin.isatty() and sys.stdout.isatty()):
            return False
        return await asyncio.to_thread(
            steps.ask, f"This starts something that bills: {price.sentence}. Go on?"
        )

    return agree
