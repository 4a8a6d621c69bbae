"""`lorry ship`."""

from __future__ import annotations

import asyncio

from lorry.cli.options import Common
from lorry.cli.printing import proof_lines
from lorry.cli.progress import Steps
from lorry.model.placement import Placement


def ship(
    source: str,
    /,
    *,
    name: str,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Bring a LoRA to its platform: check, convert where that is needed, publish, upload, deploy, prove.

    It can be interrupted at any moment; the same command (or `lorry resume NAME`) goes on where it stood.

    Args:
        source: A .safetensors file, or what holds it: a folder, an archive (.zip, .tar, .tar.gz), a Hub
            repository (`owner/name[@revision][:file]`, or its address) or an https address.
        name: What the model is called from now on.
    """
    from lorry.api import Lorry

    async def deliver() -> Placement:
        with Steps(common.steps_console()) as steps:
            async with Lorry(common.settings(), listen=steps.show) as lorry:
                return await lorry.ship(source, name)

    tell_ready(asyncio.run(deliver()), common)


def tell_ready(placement: Placement, common: Common) -> None:
    """Print the end of a delivery: the proof, and how to use the model.

    Args:
        placement: Where the model is now.
        common: How to print.
    """
    proof = proof_lines(placement.proof) if placement.proof else []
    command = f'lorry generate {placement.model} "PROMPT" -o out.png'
    common.out(placement.as_dict(), [f"{placement.model} is ready.", *proof, f"next: {command}"])
