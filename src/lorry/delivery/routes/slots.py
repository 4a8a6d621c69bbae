"""A deployment's places for adapters: who holds them, and who had to leave."""

from __future__ import annotations

from collections.abc import Sequence

from lorry.delivery.ports import Attachment, AttachmentState
from lorry.delivery.run import Run
from lorry.errors import SlotsFull


async def evicted(run: Run, before: Sequence[Attachment], after: Sequence[Attachment]) -> str:
    """Name the adapters that had to leave.

    Args:
        run: Whose adapter came.
        before: What was attached before.
        after: What is attached now.
    """
    staying = {each.id for each in after if each.state is not AttachmentState.REMOVING}
    gone = [each.model for each in before if each.id not in staying]
    names = await _ours(run)
    return ", ".join(names.get(model, model) for model in gone)


async def _ours(run: Run) -> dict[str, str]:
    """Give Lorry's names of the models that it knows, by the platform's ids."""
    names = {}
    for model in await run.world.records.models():
        placement = await run.world.records.placement(model.name)
        if placement is not None and placement.ids.model:
            names[placement.ids.model] = model.name
    return names


async def full(run: Run, endpoint: str, deployment: str, error: SlotsFull) -> SlotsFull:
    """Say what holds the slots, and what could make room.

    Args:
        run: Whose adapter found no place.
        endpoint: Id of the endpoint.
        deployment: Id of the deployment.
        error: What the platform said.
    """
    attached = await run.platform.attachments.list(endpoint, deployment)
    names = await _ours(run)
    holders = [names.get(each.model, each.model) for each in attached]
    ours = [names[each.model] for each in attached if each.model in names]
    fix = None
    if ours:
        fix = f"Run `lorry retire {ours[0]}` if it is not used, or ship with `--evict` to replace the oldest."
    return SlotsFull(
        f"The deployment has no place for another adapter; it holds {', '.join(holders)}.",
        fix=fix,
        evidence={"adapters": holders, "oldest": holders[0] if holders else None, **error.evidence},
    )
