"""The last step of every delivery."""

from __future__ import annotations

from lorry.delivery.run import Done, Run, Step
from lorry.model.placement import PlacementState


def ready_step() -> Step:
    """Give the step that marks a placement as ready."""
    return Step("ready", "Marking the model as ready.", _ready)


async def _ready(run: Run) -> Done:
    await _settle(run)
    placement = await run.save(state=PlacementState.READY, error=None)
    ids = placement.ids
    attached = ids.adapter_name if ids.attachment else None
    name = attached or ids.endpoint_name or ids.container or ids.base_name
    return Done(f"{run.model.name} answers as {name}.")


async def _settle(run: Run) -> None:
    """Close what a kill left open about things that are gone by now: all that is wanted has been seen."""
    intents = run.world.intents
    for key, intent in (await intents.all(f"{run.model.name}/")).items():
        if intent["result"] is None:
            await intents.close(key, {"action": "settled"})
