"""Adapters that are attached to a running deployment of their base."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lorry.delivery.ports import AttachmentState, Platform
from lorry.errors import BaseUnsupported, Conflict, ModelUnavailable, SlotsFull
from tests.platforms.text.hosting import ASKED, BASE, adapter, adapters_on, attached, host_of


async def _said(platform: Platform, target: str) -> str:
    return (await platform.writer.write(replace(ASKED, target=target))).text


async def test_an_attached_adapter_answers_under_its_names_until_it_is_taken_off(
    platform: Platform, tmp_path: Path
) -> None:
    """Attached, loaded, in other words than the base by both of its names, taken off, and unknown again."""
    model, revision = await adapter(platform, tmp_path, "tok")
    host = await host_of(platform)
    found = await attached(platform, host, model, revision)
    assert (found.state, found.said) == (AttachmentState.READY, "ADAPTER_LOAD_STATE_READY")
    assert (found.model, found.revision) == (model.id, revision)
    base = await _said(platform, host.endpoint.name)
    with_adapter = await _said(platform, f"{host.endpoint.name}:{model.name}")
    assert with_adapter == await _said(platform, model.name) != base == await _said(platform, BASE)
    where = (host.endpoint.id, host.deployment.id, found.id)
    await platform.attachments.detach(*where)
    await platform.attachments.detach(*where)
    for _ in range(10):
        if not await adapters_on(platform, host):
            break
    assert await adapters_on(platform, host) == ()
    await platform.attachments.detach(*where)
    with pytest.raises(ModelUnavailable, match="attached to no deployment"):
        await _said(platform, model.name)
    assert await _said(platform, host.endpoint.name) == base


async def test_a_full_deployment_says_so_and_who_sits_there(platform: Platform, tmp_path: Path) -> None:
    """Four slots, five adapters: the fifth is refused, the list says who is there, the oldest leaves."""
    host = await host_of(platform)
    models = [await adapter(platform, tmp_path, f"tok-{number}", seed=number + 1) for number in range(5)]
    for model, revision in models[:4]:
        await attached(platform, host, model, revision)
    model, revision = models[4]
    where = (host.endpoint.id, host.deployment.id, model.id, revision)
    with pytest.raises(SlotsFull, match="tok-0"):
        await platform.attachments.attach(*where, evict=False)
    there = [each.model for each in await adapters_on(platform, host)]
    assert there == [each.id for each, _ in models[:4]]
    await platform.attachments.attach(*where, evict=True)
    present = {each.model: each.state for each in await adapters_on(platform, host)}
    assert present.get(models[0][0].id) in (AttachmentState.REMOVING, None)
    assert model.id in present


async def test_an_adapter_that_is_there_already_is_a_conflict(platform: Platform, tmp_path: Path) -> None:
    """It is not attached a second time."""
    model, revision = await adapter(platform, tmp_path, "tok")
    host = await host_of(platform)
    await attached(platform, host, model, revision)
    with pytest.raises(Conflict, match="already"):
        await attached(platform, host, model, revision)


async def test_no_adapters_are_listed_where_nothing_is(platform: Platform) -> None:
    """A deployment that is gone has none on it, and taking one off is done already."""
    assert await platform.attachments.list("ep_none", "dep_none") == ()
    await platform.attachments.detach("ep_none", "dep_none", "dad_none")


async def test_an_adapter_of_too_high_a_rank_is_not_attached(platform: Platform, tmp_path: Path) -> None:
    """Rank beyond what the configuration takes: the refusal is BaseUnsupported and names the number."""
    model, revision = await adapter(platform, tmp_path, "big", rank=128)
    host = await host_of(platform)
    with pytest.raises(BaseUnsupported, match="128"):
        await attached(platform, host, model, revision)
