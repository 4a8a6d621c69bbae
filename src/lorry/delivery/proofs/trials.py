"""How each route is asked with the adapter and without it."""

from __future__ import annotations

from lorry.delivery.proofs.pictures import DEPLOYED_SCALE
from lorry.delivery.proofs.trial import Trial
from lorry.delivery.proofs.words import MAX_TOKENS
from lorry.delivery.run import Run
from lorry.errors import ModelUnavailable, NotThere, PlatformFault
from lorry.model.generation import LoraUse, PictureOrder, TextOrder


async def deployed_adapter(run: Run) -> Trial[bytes]:
    """Draw with the deployed adapter at full strength and at none."""
    ids = (await run.placement()).ids
    target = ids.endpoint_name or run.name

    async def draw(prompt: str, seed: int, scale: float) -> bytes:
        return await _drawn(run, PictureOrder(target, prompt, seed, adapter=ids.adapter_name, scale=scale))

    return Trial(
        acting=lambda prompt, seed: draw(prompt, seed, DEPLOYED_SCALE),
        without=lambda prompt, seed: draw(prompt, seed, 0.0),
    )


async def fetched_adapter(run: Run) -> Trial[bytes]:
    """Draw with the base that everybody shares, with the adapter's address in the request and without it."""
    ids = (await run.placement()).ids
    base, address = ids.base_name or run.model.base, ids.address or ""

    async def draw(prompt: str, seed: int, loras: tuple[LoraUse, ...]) -> bytes:
        return await _drawn(run, PictureOrder(base, prompt, seed, loras=loras))

    return Trial(
        acting=lambda prompt, seed: draw(prompt, seed, (LoraUse(address, DEPLOYED_SCALE),)),
        without=lambda prompt, seed: draw(prompt, seed, ()),
    )


async def contained_adapter(run: Run) -> Trial[bytes]:
    """Draw by jobs in a container's queue, with the adapter's address in them and without it."""
    ids = (await run.placement()).ids
    base, container, address = run.model.base, ids.endpoint_name, ids.address or ""

    async def draw(prompt: str, seed: int, loras: tuple[LoraUse, ...]) -> bytes:
        return await _drawn(run, PictureOrder(base, prompt, seed, loras=loras, container=container))

    return Trial(
        acting=lambda prompt, seed: draw(prompt, seed, (LoraUse(address, DEPLOYED_SCALE),)),
        without=lambda prompt, seed: draw(prompt, seed, ()),
    )


async def answering_model(run: Run) -> Trial[str]:
    """Ask the model, and its base where that answers."""
    ids = (await run.placement()).ids
    target, base = ids.adapter_name if ids.attachment else ids.endpoint_name, ids.base_name

    async def ask(name: str, prompt: str, seed: int) -> str:
        order = TextOrder(name, prompt, max_tokens=MAX_TOKENS, temperature=0.0, seed=seed)
        return (await run.platform.writer.write(order)).text

    return Trial(
        acting=lambda prompt, seed: ask(target or run.name, prompt, seed),
        without=(lambda prompt, seed: ask(base, prompt, seed)) if base else None,
    )


async def compared_model(run: Run) -> Trial[str]:
    """Ask the model, and its base only where that really answers; a catalogue may name one that does not."""
    trial = await answering_model(run)
    if trial.without is None:
        return trial
    try:
        await trial.without("Hello.", 1)
    except (ModelUnavailable, NotThere):
        return Trial(trial.acting, None)
    return trial


async def _drawn(run: Run, order: PictureOrder) -> bytes:
    pictures = await run.platform.painter.paint(order)
    if len(pictures) != 1:
        raise PlatformFault(f"The platform drew {len(pictures)} pictures where 1 was ordered.")
    return pictures[0].png
