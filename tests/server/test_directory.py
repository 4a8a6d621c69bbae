"""What the gateway knows of models follows the tables, whatever changed in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lorry.generation.gateway.directory import LiveDirectory
from lorry.model.placement import PlacementState
from lorry.model.serving import Policy
from lorry.store import open_store
from tests.server.ground import placed, trained


async def test_a_snapshot_is_what_the_tables_say(home: Path) -> None:
    """New, moved, changed, gone: after each, the snapshot has just what a fresh one has."""
    async with open_store(home) as store:
        live = LiveDirectory(store)

        async def same() -> None:
            assert await live.refresh()
            fresh = LiveDirectory(store)
            await fresh.refresh()
            assert live.now == fresh.now
            assert not await live.refresh()

        for name in ("a", "b", "c"):
            await store.save_model(trained(name), placed(name))
        await same()
        later = datetime.now(UTC)

        await store.save_placement(replace(placed("b"), state=PlacementState.FAILED, updated_at=later))
        await same()
        assert live.now.placements["b"].state is PlacementState.FAILED
        await store.save_model(
            trained("a", digest="c" * 64), replace(placed("a"), updated_at=datetime.now(UTC))
        )
        await same()
        assert live.now.models["a"].digest == "c" * 64
        await store.forget("c")
        await same()
        assert set(live.now.models) == {"a", "b"}
        await store.set_policy("a", Policy(owner="ann"))
        await same()
        assert live.now.policy("a").owner == "ann"
